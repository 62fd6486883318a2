"""What is asked of a proxy's admin interface, checked, and where its answer goes."""

import os
import re
import sys

import click

from osm.cli.command import Decorated
from osm.cli.names import NAMESPACE, shortened
from osm.cli.render import printable
from osm.errors import ConfigError, UsageError

_QUERY = re.compile(r"[!-\"$-~]{1,1024}")
"""Visible ASCII but for `#`."""
_REMOVE_FIRST = "Remove it first, or choose another name."


def admin_options(function: Decorated) -> Decorated:
    """Add `-n`, `-f` and `-p`, as OSM's verbs have them."""
    for option in (
        click.option(
            "-p",
            "--local-port",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="On a cluster: the port of this machine to go by.  [default: none, a unix socket]",
        ),
        click.option(
            "-f",
            "--file",
            "path",
            default=None,
            metavar="FILE",
            help="Write the answer to a new file, which only you may read.",
        ),
        click.option(
            "-n", "--namespace", type=NAMESPACE, metavar="NAME", help="The proxy's namespace."
        ),
    ):
        function = option(function)
    return function


def show_answer(answer: bytes, path: str | None) -> None:
    """Write what a proxy answered to a new file, or print it."""
    if path is not None:
        _write_new(path, answer)
    elif sys.stdout.isatty():
        click.echo(printable(answer.decode(errors="replace")), nl=not answer.endswith(b"\n"))
    else:
        click.echo(answer, nl=False)


def checked_query(query: str) -> str:
    """A path of the admin interface, without its first slash. Raises `BadParameter`."""
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
