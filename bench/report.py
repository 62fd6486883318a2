"""`RESULTS.md`, written from what the runs found."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.figures import Figure, Result, Table, number
from bench.plot import draw_growth

HERE = Path(__file__).parent
KEPT = HERE / "results"
PAGE = HERE / "RESULTS.md"
PLOT = HERE / "growth.svg"

_HEAD = """\
# Results

`make bench ARGS=--write` measures and writes this page. Every figure has its control beside it: the same
thing measured once more in the same run, mostly the odd rounds against the even ones. What the two differ
by is what the noise hides. CPU time and memory are the kernel's figures of `osm controller`, a process of
its own that reads a directory of YAML; a compiled client plays the proxies, each with a certificate and a
connection of its own. A change begins right before its file is replaced, and ends when the last proxy that
holds the resource has acknowledged it: that the file is seen, read and waited for is part of it. In the
case `kubernetes` an API server has the objects, and proxies show tokens.
"""


def keep(result: Result) -> None:
    """Store a result until the page is written."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{result.case}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))


def kept(order: Sequence[str]) -> list[Result]:
    """The stored results, in an order of cases."""
    files = {path.stem: path for path in KEPT.glob("*.json")}
    return [
        msgspec.json.decode(files[name].read_bytes(), type=Result)
        for name in order
        if name in files
    ]


def write_page(order: Sequence[str]) -> None:
    """Write the page and its plot anew."""
    results = kept(order)
    for result in results:
        if result.case == "growth":
            draw_growth(result.tables[0], PLOT)
    PAGE.write_text("\n".join(page(results)) + "\n")


def page(results: Sequence[Result]) -> Iterable[str]:
    """The lines of the page."""
    yield _HEAD
    machines = sorted({result.machine for result in results})
    yield from (f"Machine: {machine}." for machine in machines)
    figures = [figure for result in results for figure in result.figures]
    yield "\n## Budgets\n"
    yield from _figures([each for each in figures if each.budget is not None], budgets=True)
    yield "\n## Noise\n"
    yield "How far the control is from the figure, by case: what is closer together than this is the same."
    yield "The load is what the machine had to do in the minute before, partly for others.\n"
    head = ("case", "median", "most", "load", "took, s")
    yield from _markdown(Table(head, tuple(_noise(results))))
    for result in results:
        yield f"\n## {result.case}\n"
        yield f"{result.title[0].upper()}{result.title[1:]}: {result.setting}.\n"
        yield from _figures(result.figures, budgets=False)
        for table in result.tables:
            yield ""
            yield from _markdown(table)
        if result.case == "growth":
            yield f"\n![How the cost of a change grows with the mesh]({PLOT.name})"
        for remark in result.remarks:
            yield f"\n{remark}"


def _figures(figures: Sequence[Figure], *, budgets: bool) -> Iterable[str]:
    head = ("what", "unit", "figure", "control")
    rows = []
    for each in figures:
        row: tuple[str, ...] = (each.what, each.unit, number(each.value), number(each.control))
        if budgets:
            row += (number(each.budget), "holds" if each.holds else "**exceeded**")
        rows.append((*row, each.note))
    return _markdown(Table((*head, *(("budget", "verdict") if budgets else ()), ""), tuple(rows)))


def _noise(results: Sequence[Result]) -> Iterable[tuple[str, ...]]:
    for result in results:
        found = sorted(each.noise for each in result.figures if each.noise is not None)
        shares = [f"{x:.0%}" for x in (found[len(found) // 2], found[-1])] if found else ["–", "–"]
        yield (result.case, *shares, number(result.load), number(round(result.took_s)))


def _markdown(table: Table) -> Iterable[str]:
    yield f"| {' | '.join(table.head)} |"
    yield "|---|" + "---:|" * (len(table.head) - 1)
    for row in table.rows:
        yield f"| {' | '.join(row)} |"
