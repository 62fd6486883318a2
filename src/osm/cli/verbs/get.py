"""`osm get`."""

from collections.abc import Iterator, Sequence

import click
import msgspec

from osm.cli import columns, pods
from osm.cli.client import ObjectAnswer, connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.kinds import is_pod, kind_reference, parse_kinds, split_reference
from osm.cli.names import DEFAULT_NAMESPACE, NAMESPACE, OBJECT
from osm.cli.render import one_line, table
from osm.core.api.registry import Kind
from osm.core.explain.view import MeshView
from osm.errors import UsageError


class Row(msgspec.Struct, frozen=True):
    """An object as `get` shows it."""

    kind: Kind
    namespace: str
    name: str
    cells: tuple[str, ...]
    wide: tuple[str, ...]
    value: object


@click.command(
    cls=Verb,
    examples="""
    osm get all -A
    osm get traffictargets -n bookstore
    osm get tt,ts -A -o wide
    osm get pods -A
    osm get meshconfig osm-mesh-config -n osm-system -o yaml
    """,
)
@click.argument("kinds", metavar="KIND[,KIND]")
@click.argument("names", nargs=-1, type=OBJECT, metavar="[NAME]...")
@click.option("-n", "--namespace", type=NAMESPACE, metavar="NAME",
              help=f"The namespace to look in.  [default: {DEFAULT_NAMESPACE}]")  # fmt: skip
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@mesh_option
@output_option("wide", "yaml", "json", "name")
def command(
    *,
    kinds: str,
    names: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,
    mesh: str | None,
    output: str,
) -> None:
    """Show objects.

    KIND is singular, plural or short (traffictarget, traffictargets, tt), or `all`. Pods are the
    workloads that run.
    """
    kinds, names = split_reference(kinds, names)
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A cannot be used together.")
    if names and all_namespaces:
        raise click.UsageError("A NAME needs one namespace: use -n instead of -A.")
    wanted = parse_kinds(kinds)
    place = None if all_namespaces else namespace or DEFAULT_NAMESPACE
    with connect(mesh) as client:
        view, objects = client.view(), client.objects()
    found = [row for kind in wanted for row in _rows(kind, objects, view)]
    rows = [
        row
        for row in found
        if (place is None or not row.kind.namespaced or row.namespace == place)
        and (not names or row.name in names)
    ]
    _check_names(names, rows, kinds, place)
    if output in ("yaml", "json"):
        _print_values(rows, output, single=len(names) == 1 and len(wanted) == 1)
    elif output == "name":
        _print_names(rows)
    elif not rows:
        _print_nothing(place, others=len(found))
    else:
        _print_tables(rows, wanted, wide=output == "wide", all_namespaces=all_namespaces)


def _rows(kind: Kind, objects: Sequence[ObjectAnswer], view: MeshView) -> Iterator[Row]:
    if is_pod(kind):
        for each in view.workloads:
            cells, wide = pods.cells(each, view), pods.wide_cells(each)
            yield Row(kind, each.namespace, each.name, cells, wide, pods.pod(each, view))
        return
    shown = columns.COLUMNS.get((kind.group, kind.kind), columns.GENERIC)
    statuses = {
        (each.group, each.kind, each.namespace, each.name): each.status for each in view.objects
    }
    for item in objects:
        key = item.key
        if (key.group, key.kind) != (kind.group, kind.kind):
            continue
        status = statuses.get((key.group, key.kind, key.namespace, key.name), "ok")
        cells = (*shown.cells(item.raw, view), status)
        wide = (*shown.wide(item.raw, view), item.where)
        yield Row(kind, key.namespace, key.name, cells, wide, item.raw)


def _headers(kind: Kind, *, wide: bool) -> tuple[str, ...]:
    if is_pod(kind):
        return pods.HEADERS + (pods.WIDE_HEADERS if wide else ())
    shown = columns.COLUMNS.get((kind.group, kind.kind), columns.GENERIC)
    return (*shown.headers, "status", *((*shown.wide_headers, "where") if wide else ()))


def _check_names(names: Sequence[str], rows: Sequence[Row], kinds: str, place: str | None) -> None:
    missing = [name for name in names if not any(row.name == name for row in rows)]
    if missing:
        where = f" in the namespace {place}" if place else ""
        raise UsageError(
            f"There is no {kinds} {', '.join(missing)}{where}.",
            hint=f"`osm get {kinds} -A` lists those of all namespaces.",
        )


def _print_values(rows: Sequence[Row], output: str, *, single: bool) -> None:
    values = [row.value for row in rows]
    whole = {"apiVersion": "v1", "kind": "List", "items": values}
    click.echo(encoded(values[0] if single else whole, output))


def _print_names(rows: Sequence[Row]) -> None:
    for row in rows:
        click.echo(one_line(f"{kind_reference(row.kind)}/{row.name}"))


def _print_nothing(place: str | None, *, others: int) -> None:
    click.echo(f"No resources found{f' in {place} namespace' if place else ''}.", err=True)
    if others:
        click.echo(f"  There are {others} in other namespaces: use -A, or -n NAME.", err=True)


def _print_tables(
    rows: Sequence[Row], kinds: Sequence[Kind], *, wide: bool, all_namespaces: bool
) -> None:
    def name(row: Row) -> str:
        return f"{kind_reference(row.kind)}/{row.name}" if len(kinds) > 1 else row.name

    tables = []
    for kind in kinds:
        mine = [row for row in rows if row.kind == kind]
        if not mine:
            continue
        with_namespace = all_namespaces and kind.namespaced
        headers = ("name", *_headers(kind, wide=wide))
        lines = [(name(row), *row.cells, *(row.wide if wide else ())) for row in mine]
        if with_namespace:
            headers = ("namespace", *headers)
            lines = [(row.namespace, *line) for row, line in zip(mine, lines, strict=True)]
        tables.append(table(headers, lines))
    click.echo("\n\n".join(tables))
