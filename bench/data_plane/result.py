"""What was measured, in words and tables."""

from collections.abc import Iterable, Iterator, Mapping

from bench.data_plane.features import FEATURES
from bench.data_plane.instructions import Count
from bench.data_plane.measurement import CONTROL, DUTIES, MINIMAL, OURS, Counts, Measured
from bench.data_plane.rounds import cpu_us, latency_us, ratio
from bench.figures import Figure, Result, Table, number

BUDGET = 1.05
_NAMES = {
    MINIMAL: "minimal, by hand",
    CONTROL: "the same once more (A/A control)",
    DUTIES: "by hand, with our duties",
    OURS: "ours",
}


def result(measured: Measured) -> Result:
    """The result as every case of the bench has one."""
    tables = [_pairs(measured)]
    if measured.counts is not None and measured.counts.features:
        tables.append(_features(measured.counts))
    return Result(
        case="data-plane",
        title="what a request costs two proxies, against a minimal pair written by hand",
        setting="POST with 128 bytes both ways over 16 kept connections; mutual TLS 1.3, HTTP/2 and a "
        "unix socket between the proxies; one worker each",
        figures=tuple(_figures(measured)),
        tables=tuple(tables),
        remarks=tuple(_remarks(measured)),
    )


def _figures(measured: Measured) -> Iterator[Figure]:
    rounds = measured.loaded
    ours, once_more = ratio(rounds, OURS, MINIMAL), ratio(rounds, OURS, CONTROL)
    yield Figure(
        "CPU for a request, ours to the minimal pair",
        ours.median,
        "×",
        control=once_more.median,
        budget=BUDGET,
        note=ours.text,
    )
    duties, again = ratio(rounds, OURS, DUTIES), ratio(rounds[::2], OURS, DUTIES)
    yield Figure(
        "CPU for a request, ours to a pair by hand with the same duties",
        duties.median,
        "×",
        control=again.median,
        note=duties.text,
    )
    same = ratio(rounds, CONTROL, MINIMAL)
    yield Figure("CPU for a request, A/A control", same.median, "×", note=same.text)
    if measured.counts is not None:
        pairs = measured.counts.pairs
        for what, name, to, control in (
            ("ours to the minimal pair", OURS, MINIMAL, CONTROL),
            ("ours to a pair by hand with the same duties", OURS, DUTIES, None),
            ("A/A control", CONTROL, MINIMAL, None),
        ):
            yield Figure(
                f"instructions in user space for a request, {what}",
                pairs[name].pair / pairs[to].pair,
                "×",
                control=pairs[name].pair / pairs[control].pair if control else None,
            )
    for name in (MINIMAL, OURS):
        yield Figure(
            f"latency of one request at a time, p50, {_NAMES[name]}",
            latency_us(measured.alone, name),
            "µs",
            control=latency_us(measured.alone, CONTROL) if name == MINIMAL else None,
        )


def _pairs(measured: Measured) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, words in _NAMES.items():
        client, server = cpu_us(measured.loaded, name)
        found = ratio(measured.loaded, name, MINIMAL)
        row = [words, f"{client:.1f} + {server:.1f}", f"{found.median:.3f}"]
        row.append(f"{found.least:.2f} to {found.most:.2f}")
        row += _counted(measured.counts.pairs if measured.counts else {}, name)
        row += [f"{latency_us(each, name):.0f}" for each in (measured.loaded, measured.alone)]
        rows.append(tuple(row))
    cpu = ("CPU µs, client's + server's", "× minimal", "rounds")
    rest = ("thousand instructions", "× minimal", "p50 µs, c=16", "p50 µs, c=1")
    return Table(("pair", *cpu, *rest), tuple(rows))


def _counted(pairs: Mapping[str, Count], name: str) -> list[str]:
    if name not in pairs:
        return ["–", "–"]
    count = pairs[name]
    text = f"{count.client / 1000:.1f} + {count.server / 1000:.1f}"
    return [text, f"{count.pair / pairs[MINIMAL].pair:.3f}"]


def _features(counts: Counts) -> Table:
    base, noise = _base(counts), _noise(counts)
    rows = []
    for feature in FEATURES:
        added = counts.features[feature.name]
        share = added.pair / base.pair - 1
        rows.append(
            (
                feature.name,
                feature.minimal,
                feature.why,
                "yes" if feature.duty else "",
                f"{_thousands(added.client - base.client)} / {_thousands(added.server - base.server)}",
                f"{share:+.1%}" + ("" if abs(share) > noise else " (noise)"),
            )
        )
    if counts.together is not None:
        share = counts.together.pair / base.pair - 1
        rows.append(("all of them together", "", "", "", "", f"{share:+.1%}"))
    head = ("ours has", "minimal has", "why", "duty", "thousand instr., client / server", "cost")
    return Table(head, tuple(rows))


def _thousands(value: float) -> str:
    return f"{value / 1000:+.1f}"


def _base(counts: Counts) -> Count:
    """The minimal pair, of which there are two counts."""
    one, other = counts.pairs[MINIMAL], counts.pairs[CONTROL]
    return Count((one.client + other.client) / 2, (one.server + other.server) / 2)


def _noise(counts: Counts) -> float:
    """What two counts of the same differ by, and at least 0.3 %: batches differ a little."""
    return max(0.003, abs(counts.pairs[CONTROL].pair / counts.pairs[MINIMAL].pair - 1))


def _remarks(measured: Measured) -> Iterable[str]:
    same, ours = ratio(measured.loaded, CONTROL, MINIMAL), ratio(measured.loaded, OURS, MINIMAL)
    resolved = same.low >= 0.98 and same.high <= 1.02
    yield (
        f"Noise: two pairs with the same configuration differ by {same.least - 1:+.0%} to "
        f"{same.most - 1:+.0%} in a round; their median ratio lies in {same.low:.3f} to {same.high:.3f}. "
        + (
            "That resolves 1.05 ×."
            if resolved
            else "That does not resolve 1.05 ×: the instructions, and the table of features, decide."
        )
    )
    yield (
        f"The kernel does {measured.kernel_share:.0%} of the minimal pair's work; instructions are those "
        "of user space, counted by callgrind with what timers do taken off."
    )
    if ours.median > BUDGET:
        yield (
            "What exceeds the budget are duties that the minimal pair does not have: it counts no "
            "requests by who calls whom, and lets one caller do everything. “By hand, with our duties” "
            "is the minimal pair with those (column `duty`) and nothing else."
        )
    if measured.left_over:
        yield "Differences that no feature speaks of: " + ", ".join(measured.left_over) + "."
    else:
        yield (
            "The table of features is complete: with all of them the minimal pair has every option "
            "of our connection managers, routers and clusters."
        )


def to_markdown(found: Result) -> str:
    """The result as a section of a page."""
    head = ("what", "unit", "figure", "control", "budget", "")
    figures = Table(
        head,
        tuple(
            (x.what, x.unit, number(x.value), number(x.control), number(x.budget), x.note)
            for x in found.figures
        ),
    )
    title = f"{found.title[0].upper()}{found.title[1:]}: {found.setting}."
    parts = [f"## {found.case}", title, *map(_markdown, (figures, *found.tables)), *found.remarks]
    return "\n\n".join(parts) + "\n"


def _markdown(table: Table) -> str:
    lines = [table.head, ("---",) * len(table.head), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
