"""`osm proxy diff`."""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from osm.cli.client import MeshClient, connect
from osm.cli.command import Verb, mesh_option, namespace_option, output_option
from osm.cli.difference import NOUNS, Comparison, Difference, compare
from osm.cli.encode import encoded
from osm.cli.names import WORKLOAD, shortened
from osm.cli.proxies import find_proxies
from osm.cli.render import one_line, paint
from osm.cli.running import CONFIG_DUMP, RUNTIME, read_running
from osm.core.explain.view import ProxyView
from osm.errors import NotRunningError, OsmError, UsageError

CANNOT_TELL = 2
_WAITS_S = (0.3, 0.7, 1.0)
"""Before looking again: a change may be on its way."""
_SAID = {
    "missing": "the proxy does not have it",
    "extra": "the proxy has it, and should not",
    "different": "its content (Envoy tells no version)",
}
_COLOURS = {"-": "red", "+": "green", "@": "cyan"}


@click.command(
    "diff",
    cls=Verb,
    examples="""
    osm proxy diff bookbuyer
    osm proxy diff bookstore/bookstore-v2 -o yaml
    osm proxy diff --all
    osm proxy diff shop/cart-0 --dump config_dump.json
    """,
)
@click.argument("pod", type=WORKLOAD, required=False)
@namespace_option
@click.option("--all", "every", is_flag=True, help="Compare every proxy, of all namespaces or one.")
@click.option(
    "--dump", default=None, metavar="FILE",
    help="What a proxy that others started answers to config_dump?include_eds; - for stdin.",
)  # fmt: skip
@mesh_option
@output_option("json", "yaml", default="text")
def command(
    pod: str | None,
    namespace: str | None,
    *,
    every: bool,
    dump: str | None,
    mesh: str | None,
    output: str,
) -> int:
    """Compare what a proxy runs with what it should run.

    POD is a workload or the Deployment that it belongs to, as NAME or NAMESPACE/NAME. The control
    plane says what the proxy should run, resource by resource; Envoy says what it runs. A line with
    `-` is only in what runs, one with `+` only in what should. Private keys are never shown.

    Exits with 0 if there is no difference, with 1 if there is one, and with 2 if nobody can tell:
    the proxy, or the control plane, does not answer.
    """
    if (pod is None) != every:
        raise click.UsageError(
            "Give POD, or --all." if pod is None else "POD and --all exclude each other."
        )
    if every and dump is not None:
        raise click.UsageError("--all and --dump exclude each other.")
    found: list[tuple[ProxyView, Comparison | OsmError]] = []
    try:
        with connect(mesh) as client:
            view = client.view()
            if pod is not None:
                content = None if dump is None else _read(dump)
                found += [
                    (each, settled(partial(_look, client, each, content)))
                    for each in find_proxies(view, pod, namespace)
                ]
            else:
                chosen = [each for each in view.proxies if namespace in (None, each.namespace)]
                found += [(each, _try(client, each)) for each in chosen]
    except OsmError as error:
        error.exit_code = CANNOT_TELL
        raise
    if output == "text":
        if not found:
            click.echo("No proxies found.", err=True)
        for proxy, comparison in found:
            _print(proxy, comparison)
    else:
        items = [_item(proxy, comparison) for proxy, comparison in found]
        click.echo(encoded({"items": items}, output))
    return max((_code(comparison) for _, comparison in found), default=0)


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"Cannot read {shortened(path)}: {error}.") from error


def settled(look: Callable[[], Comparison]) -> Comparison:
    """Compare, and look again while there is a difference: it may be a change on its way."""
    comparison = look()
    for wait in _WAITS_S:
        if comparison.in_sync:
            break
        time.sleep(wait)
        comparison = look()
    return comparison


def _try(client: MeshClient, proxy: ProxyView) -> Comparison | OsmError:
    """One of many: that it cannot be looked at is no reason not to look at the others."""
    try:
        return settled(partial(_look, client, proxy, None))
    except NotRunningError:
        raise
    except OsmError as error:
        return error


def _look(client: MeshClient, proxy: ProxyView, dump: bytes | None) -> Comparison:
    where = (proxy.namespace, proxy.name)
    expected = client.proxy_expected(*where)
    if dump is not None:  # it says nothing of the runtime
        known = [each for each in expected if each.type != "RTDS"]
        return compare(known, read_running(dump, b"{}"))
    running = read_running(
        client.proxy_admin(*where, CONFIG_DUMP), client.proxy_admin(*where, RUNTIME)
    )
    return compare(expected, running)


def _code(comparison: Comparison | OsmError) -> int:
    if isinstance(comparison, OsmError):
        return CANNOT_TELL
    return 0 if comparison.in_sync else 1


def _item(proxy: ProxyView, comparison: Comparison | OsmError) -> dict[str, object]:
    who = {"namespace": proxy.namespace, "name": proxy.name}
    if isinstance(comparison, OsmError):
        return {**who, "inSync": None, "problem": comparison.message}
    return {
        **who,
        "inSync": comparison.in_sync,
        "byVersion": comparison.by_version,
        "byContent": comparison.by_content,
        "differences": comparison.differences,
    }


def _print(proxy: ProxyView, comparison: Comparison | OsmError) -> None:
    name = one_line(f"{proxy.namespace}/{proxy.name}")
    if isinstance(comparison, OsmError):
        unknown = paint("cannot tell", "yellow", sys.stdout)
        click.echo(f"{name}: {unknown}: {one_line(comparison.message)}")
        return
    count = comparison.by_version + comparison.by_content
    alike = (
        f"{count} resources as they should be ({comparison.by_version} compared by version, "
        f"{comparison.by_content} by content)"
    )
    if comparison.in_sync:
        click.echo(f"{name}: {paint('in sync', 'green', sys.stdout)}, {alike}")
        return
    differences = len(comparison.differences)
    verdict = f"{differences} difference{'s' if differences > 1 else ''}"
    click.echo(f"{name}: {paint(verdict, 'red', sys.stdout)}, {alike}")
    for each in comparison.differences:
        _print_difference(each)
    for kind in proxy.types:
        if kind.refuses:
            click.echo(f"\n  It refused {one_line(kind.type)}: {one_line(kind.last_error)}")
            for origin in kind.at_fault:
                click.echo(f"    from {one_line(origin)}")


def _print_difference(each: Difference) -> None:
    what = one_line(f"{NOUNS.get(each.type, each.type)} {each.name}")
    text = _SAID.get(each.kind, "")
    if each.kind == "different" and each.running_version:
        text = f"runs version {each.running_version}, should run {each.expected_version}"
    if each.warming:
        text += "; the proxy received it, and waits for something that it refers to"
    click.echo(f"\n  {paint(each.kind, 'red', sys.stdout)} {what}: {one_line(text)}")
    for line in each.diff:
        colour = _COLOURS.get(line[:1])
        text = one_line(line)
        click.echo("    " + (paint(text, colour, sys.stdout) if colour else text))
