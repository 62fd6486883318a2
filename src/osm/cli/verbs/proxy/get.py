"""`osm proxy get`."""

import os
import re
import sys

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option
from osm.cli.names import NAMESPACE, WORKLOAD, shortened
from osm.cli.render import printable
from osm.cli.workloads import find_workloads
from osm.errors import ConfigError, UsageError

_QUERY = re.compile(r"[!-\"$-~]{1,1024}")
"""Visible ASCII but for `#`."""
_REMOVE_FIRST = "Remove it first, or choose another name."


@click.command(
    "get",
    cls=Verb,
    examples="""
    osm proxy get config_dump bookbuyer -n bookbuyer
    osm proxy get clusters bookstore/bookstore-v2
    osm proxy get 'stats?filter=rbac' bookstore -f stats.txt
    """,
)
@click.argument("query")
@click.argument("pod", type=WORKLOAD)
@click.option("-n", "--namespace", type=NAMESPACE, metavar="NAME", help="The proxy's namespace.")
@click.option("-f", "--file", "path", default=None, metavar="FILE",
              help="Write the answer to a new file, which only you may read.")  # fmt: skip
@mesh_option
def command(
    query: str, pod: str, namespace: str | None, path: str | None, mesh: str | None
) -> None:
    """Ask a proxy's admin interface for config_dump, clusters, stats, certs or more.

    QUERY is a path of Envoy's admin interface, with parameters if you like. POD is a workload or
    the Deployment that it belongs to, as NAME or NAMESPACE/NAME.
    """
    query = _checked_query(query)
    with connect(mesh) as client:
        found = find_workloads(client.view(), pod, namespace)
        answer = client.proxy_admin(found[0].namespace, found[0].name, query)
    if path is not None:
        _write_new(path, answer)
    elif sys.stdout.isatty():
        click.echo(printable(answer.decode(errors="replace")), nl=not answer.endswith(b"\n"))
    else:
        click.echo(answer, nl=False)


def _checked_query(query: str) -> str:
    stripped = query.removeprefix("/")
    path = stripped.partition("?")[0]
    odd_parts = any(part in ("", ".", "..") for part in path.split("/"))
    if odd_parts or not _QUERY.fullmatch(stripped):
        raise click.BadParameter(
            f"{shortened(query)} is not a path of Envoy's admin interface, such as config_dump.",
            param_hint="'QUERY'",
        )
    return stripped


def _write_new(path: str, content: bytes) -> None:
    """Write a file that did not exist. A link that leads elsewhere is not followed."""
    if not path or "\0" in path:
        raise UsageError(f"{shortened(path)} is not the name of a file.")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise ConfigError(f"{shortened(path)} exists already.", hint=_REMOVE_FIRST) from error
    except OSError as error:
        raise ConfigError(f"Cannot write {shortened(path)}: {error.strerror}.") from error
