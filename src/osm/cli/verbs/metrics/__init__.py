"""`osm metrics`: both verbs below it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osm.cli.cluster_options import connection_options, on_cluster
from osm.cli.command import Decorated, Verb, VerbGroup
from osm.cli.names import split_namespaces

if TYPE_CHECKING:
    from osm.kubernetes.api_server import ApiServer


@click.group(cls=VerbGroup, name="metrics")
def command() -> None:
    """Choose which namespaces Prometheus scrapes the proxies of."""


def _namespaces_option(function: Decorated) -> Decorated:
    return click.option(
        "--namespace",
        "namespaces",
        multiple=True,
        required=True,
        metavar="NAME[,NAME]",
        help="A namespace of the mesh. May be repeated.",
    )(function)


@click.command(
    "enable",
    cls=Verb,
    examples="""
    osm metrics enable --namespace bookstore
    osm metrics enable --namespace bookstore,bookbuyer
    """,
)
@_namespaces_option
@connection_options
def enable(*, namespaces: tuple[str, ...], kubeconfig: Path | None, context: str | None) -> None:
    """Have the proxies of namespaces scraped: those that run, and those that come."""
    _set(namespaces, kubeconfig, context, enabled=True)


@click.command(
    "disable",
    cls=Verb,
    examples="""
    osm metrics disable --namespace bookstore
    """,
)
@_namespaces_option
@connection_options
def disable(*, namespaces: tuple[str, ...], kubeconfig: Path | None, context: str | None) -> None:
    """Have the proxies of namespaces not scraped any more."""
    _set(namespaces, kubeconfig, context, enabled=False)


def _set(
    given: tuple[str, ...], kubeconfig: Path | None, context: str | None, *, enabled: bool
) -> None:
    names = split_namespaces(given)

    async def ask(server: "ApiServer") -> None:
        from osm.cli.cluster_namespaces import set_metrics  # noqa: PLC0415 - needs an extra
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        for name in names:
            click.echo(await set_metrics(Objects(server), name, enabled=enabled))

    on_cluster(kubeconfig, context, ask)


command.add_command(enable)
command.add_command(disable)
