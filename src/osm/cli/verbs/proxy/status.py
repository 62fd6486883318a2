"""`osm proxy status`."""

import sys

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, namespace_option, output_option
from osm.cli.encode import encoded
from osm.cli.names import WORKLOAD
from osm.cli.proxies import ago, find_proxies, state
from osm.cli.render import duration, one_line, paint, printable, size, table
from osm.core.explain.view import ProxyView, ResourceTypeView

_HEADERS = (
    "type", "asked for", "held", "size", "sent", "acknowledged", "refused", "pending", "last sent",
    "last acknowledged",
)  # fmt: skip
_COLOURS = {"InSync": "green", "Pending": "yellow"}


@click.command(
    "status",
    cls=Verb,
    examples="""
    osm proxy status bookbuyer
    osm proxy status bookstore/bookstore-v2
    osm proxy status bookbuyer -n bookbuyer -o json
    """,
)
@click.argument("pod", type=WORKLOAD)
@namespace_option
@mesh_option
@output_option("json", "yaml", default="text")
def command(pod: str, namespace: str | None, mesh: str | None, output: str) -> int:
    """Show what a proxy asked for, holds, acknowledged and refused, type by type.

    POD is a workload or the Deployment that it belongs to, as NAME or NAMESPACE/NAME. `own` means
    everything of the type that belongs to the workload itself; numbers count names that the proxy
    asked for. Sent, acknowledged and refused count responses since the proxy connected.

    Exits with 1 if a proxy is not connected or not in sync.
    """
    with connect(mesh) as client:
        proxies = find_proxies(client.view(), pod, namespace)
    if output == "text":
        for number, each in enumerate(proxies):
            if number:
                click.echo()
            _print(each)
    else:
        click.echo(encoded({"items": proxies}, output))
    return 0 if all(each.in_sync for each in proxies) else 1


def _print(proxy: ProxyView) -> None:
    status = state(proxy)
    rows = {
        "Proxy": one_line(f"{proxy.namespace}/{proxy.name}"),
        "Status": paint(status, _COLOURS.get(status, "red"), sys.stdout),
        "Connected": f"for {duration(proxy.connected_s)}" if proxy.connected else "no",
        "Envoy": one_line(proxy.version),
        "Identity": one_line(proxy.identity),
        "Certificate": f"expires {one_line(proxy.certificate_expires)}"
        if proxy.certificate_expires
        else "",
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name + ':':<13}{value}")
    if proxy.types:
        click.echo("\n" + table(_HEADERS, [_row(each) for each in proxy.types]))
    refusals = [each for each in proxy.types if each.refuses]
    if refusals:
        click.echo(
            "\n" + paint("Refused, so that the last good configuration stays:", "red", sys.stdout)
        )
    for each in refusals:
        click.echo(
            f"  {one_line(each.type)}: " + printable(each.last_error).replace("\n", "\n    ")
        )
        for origin in each.at_fault:
            click.echo(f"    from {one_line(origin)}")


def _row(kind: ResourceTypeView) -> tuple[str, ...]:
    return (
        kind.type,
        _asked_for(kind),
        str(kind.resources),
        size(kind.bytes),
        str(kind.sent),
        str(kind.acknowledged),
        str(kind.refused),
        str(kind.pending),
        ago(kind.sent_ago_s),
        ago(kind.acknowledged_ago_s),
    )


def _asked_for(kind: ResourceTypeView) -> str:
    if not kind.wildcard:
        return str(kind.subscribed)
    return f"own + {kind.subscribed}" if kind.subscribed else "own"
