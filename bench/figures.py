"""Figures: what was measured, its control, and the budget that it is held to."""

import math
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing measured. `control` is the same thing measured once more in the same run."""

    what: str
    value: float
    unit: str
    control: float | None = None
    budget: float | None = None
    """The most that DESIGN §10 allows."""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the budget holds, for the worse one of the two measurements."""
        return self.budget is None or max(self.value, self.control or 0.0) <= self.budget

    @property
    def noise(self) -> float | None:
        """How far the control is from the value, as a share of the greater one."""
        if self.control is None or min(self.value, self.control) <= 0:
            return None
        return abs(self.value - self.control) / max(self.value, self.control)


class Table(msgspec.Struct, frozen=True):
    """A table that belongs to a result. Cells are text already."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a case found. `setting` says in words what was measured."""

    case: str
    title: str
    setting: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()
    remarks: tuple[str, ...] = ()
    machine: str = ""
    load: float = 0.0
    """How many processes of others wanted to run, on average of the minute before."""
    took_s: float = 0.0


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent do not exceed (nearest rank). Needs at least one."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def middle(values: Sequence[float]) -> float:
    """The median."""
    return percentile(values, 50)


def number(value: float | None) -> str:
    """A number as people write it: three digits that count, and no more."""
    if value is None:
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def text_lines(result: Result) -> list[str]:
    """A result for a terminal."""
    lines = [f"{result.case}: {result.title} ({result.setting})"]
    lines += [f"  {'':<64} {'measured':>10} {'control':>10} {'budget':>8}"]
    for figure in result.figures:
        verdict = "" if figure.budget is None else "holds" if figure.holds else "EXCEEDED"
        lines.append(
            f"  {figure.what + ', ' + figure.unit:<64} {number(figure.value):>10} "
            f"{number(figure.control):>10} {number(figure.budget):>8} {verdict} {figure.note}".rstrip()
        )
    for table in result.tables:
        widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
        for row in (table.head, *table.rows):
            cells = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  " + "  ".join(cells))
    lines += [f"  {remark}" for remark in result.remarks]
    return lines
