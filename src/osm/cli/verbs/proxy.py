"""`osm proxy list`, `osm proxy get` and `osm proxy bootstrap`."""

import os
import re
import sys

import click

from osm.cli.client import connect
from osm.cli.command import Verb, VerbGroup, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.names import NAMESPACE, WORKLOAD, shortened
from osm.cli.render import duration, printable, table
from osm.cli.run_options import new_mesh_option
from osm.cli.workloads import find_workloads
from osm.core.explain.view import ProxyView, ResourceTypeView
from osm.errors import ConfigError, UsageError

_HEADERS = ("namespace", "name", "status", "connected", "version", "certificate expires")
_QUERY = re.compile(r"[!-\"$-~]{1,1024}")
"""Visible ASCII but for `#`."""
_REMOVE_FIRST = "Remove it first, or choose another name."


@click.group(cls=VerbGroup, name="proxy")
def command() -> None:
    """Look at the proxies."""


@command.command(
    "list",
    cls=Verb,
    examples="""
    osm proxy list
    osm proxy list -n bookstore -o wide
    osm proxy list -o json
    """,
)
@click.option("-n", "--namespace", type=NAMESPACE, metavar="NAME", help="Only of this namespace.")
@mesh_option
@output_option("wide", "json", "yaml", "name")
def list_proxies(namespace: str | None, mesh: str | None, output: str) -> None:
    """List the proxies, and whether each has the newest configuration.

    `-o wide` has the number of resources of each type that a proxy holds, and `refused` where it
    refused the newest.
    """
    with connect(mesh) as client:
        proxies = [each for each in client.view().proxies if namespace in (None, each.namespace)]
    if output in ("json", "yaml"):
        click.echo(encoded({"items": proxies}, output))
    elif output == "name":
        for each in proxies:
            click.echo(printable(f"{each.namespace}/{each.name}"))
    elif not proxies:
        click.echo("No proxies found.", err=True)
    else:
        types = sorted({kind.type for each in proxies for kind in each.types})
        wide = output == "wide"
        click.echo(
            table(
                (*_HEADERS, *(types if wide else ()), *(("identity",) if wide else ())),
                [_row(each, types if wide else None) for each in proxies],
            )
        )


def _row(proxy: ProxyView, types: list[str] | None) -> tuple[str, ...]:
    row = (
        proxy.namespace,
        proxy.name,
        _status(proxy),
        duration(proxy.connected_s) if proxy.connected else "no",
        proxy.version,
        proxy.certificate_expires,
    )
    if types is None:
        return row
    held = {kind.type: kind for kind in proxy.types}
    return (*row, *(_type_cell(held.get(name)) for name in types), proxy.identity)


def _type_cell(held: ResourceTypeView | None) -> str:
    if held is None:
        return ""
    return f"{held.resources} (refused)" if held.refused else str(held.resources)


def _status(proxy: ProxyView) -> str:
    if any(kind.refused for kind in proxy.types):
        return "Refused"
    if not proxy.connected:
        return "Disconnected"
    return "InSync" if proxy.in_sync else "Pending"


@command.command(
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
def get_from_proxy(
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


@command.command(
    "bootstrap",
    cls=Verb,
    examples="""
    osm proxy bootstrap bookstore/bookstore-0 --service-account bookstore --directory proxy/
    envoy $(osm proxy bootstrap shop/cart-0 --ads unix:/tmp/ads.sock --directory proxy/)
    """,
)
@click.argument("pod", type=WORKLOAD)
@click.option("--service-account", default="default", show_default=True, metavar="NAME",
              help="The workload's service account.")  # fmt: skip
@click.option("--ads", default="127.0.0.1:15128", show_default=True, metavar="unix:PATH|HOST:PORT",
              help="Where `osm controller` listens.")  # fmt: skip
@click.option("--directory", required=True, metavar="DIR", help="Where the proxy's files go.")
@new_mesh_option
def bootstrap(pod: str, service_account: str, ads: str, directory: str, mesh: str) -> None:
    """Write what an Envoy of your own needs to connect to `osm controller`.

    POD is the NAMESPACE/NAME of a Pod object in the controller's directory. Prints Envoy's arguments.
    The files hold a private key: keep them as you would keep a password.
    """
    import asyncio  # noqa: PLC0415 - not for --help
    from pathlib import Path  # noqa: PLC0415

    from osm.runtime.bootstrap_command import (  # noqa: PLC0415
        BootstrapRequest,
        write_bootstrap,
    )

    namespace, slash, name = pod.partition("/")
    if not slash:
        namespace, name = "default", pod
    request = BootstrapRequest(mesh, namespace, name, service_account, ads, Path(directory))
    click.echo(" ".join(asyncio.run(write_bootstrap(request))))


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
