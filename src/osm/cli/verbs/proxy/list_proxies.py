"""`osm proxy list`."""

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.names import NAMESPACE
from osm.cli.proxies import brief, oldest_pending_s, state, without_proxy
from osm.cli.render import duration, printable, size, table
from osm.core.explain.view import ProxyView, ResourceTypeView

_HEADERS = (
    "namespace", "name", "status", "held", "size", "waits", "connected", "version",
    "certificate expires",
)  # fmt: skip


@click.command(
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
def command(namespace: str | None, mesh: str | None, output: str) -> None:
    """List the proxies, and whether each has the newest configuration.

    HELD and SIZE count the resources that a proxy holds and their bytes; WAITS says for how long the
    proxy owes an answer. `-o wide` has the number of resources of each type, and `refused` where the
    proxy refused the newest. `osm proxy status` has all of one proxy.
    """
    with connect(mesh) as client:
        view = client.view()
    proxies = [each for each in view.proxies if namespace in (None, each.namespace)]
    if output in ("json", "yaml"):
        click.echo(encoded({"items": proxies}, output))
    elif output == "name":
        for each in proxies:
            click.echo(printable(f"{each.namespace}/{each.name}"))
    elif not proxies:
        click.echo("No proxies found.", err=True)
    else:
        types = list(dict.fromkeys(kind.type for each in proxies for kind in each.types))
        wide = output == "wide"
        click.echo(
            table(
                (*_HEADERS, *(types if wide else ()), *(("identity",) if wide else ())),
                [_row(each, types if wide else None) for each in proxies],
            )
        )
    bare = without_proxy(w for w in view.workloads if namespace in (None, w.namespace))
    if bare and output in ("table", "wide"):
        click.echo(f"{printable(bare)}: `osm analyze` says why.", err=True)


def _row(proxy: ProxyView, types: list[str] | None) -> tuple[str, ...]:
    waits = oldest_pending_s(proxy)
    row = (
        proxy.namespace,
        proxy.name,
        state(proxy),
        str(sum(kind.resources for kind in proxy.types)),
        size(sum(kind.bytes for kind in proxy.types)),
        "" if waits is None else brief(waits),
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
    return f"{held.resources} (refused)" if held.refuses else str(held.resources)
