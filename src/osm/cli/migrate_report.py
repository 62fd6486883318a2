"""How `osm migrate check` prints what it found."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

import click

from osm.cli.encode import encoded
from osm.cli.finding_report import counted
from osm.cli.render import one_line, paint
from osm.core.migrate.report import ORDER, Entry, Plan, Report, Severity

_HEADINGS = {
    Severity.UNSUPPORTED: "Not supported",
    Severity.ACTION: "To do",
    Severity.CHANGES: "Works, and means something else",
    Severity.CARRY_OVER: "Works as before",
}
_COLOURS = {
    Severity.UNSUPPORTED: "red",
    Severity.ACTION: "yellow",
    Severity.CHANGES: "cyan",
    Severity.CARRY_OVER: "green",
}
_SHOWN = 5
"""Of entries that say the same of several objects."""


def exit_code(report: Report, unseen: tuple[str, ...]) -> int:
    """1 when something will not work, or when nobody knows whether all does."""
    return int(bool(unseen) or any(e.severity is Severity.UNSUPPORTED for e in report.entries))


def print_report(report: Report, unseen: tuple[str, ...], output: str) -> None:
    """Print all of it; `unseen` is what could not be looked at."""
    if output != "text":
        click.echo(
            encoded(
                {
                    "found": report.found,
                    "unseen": unseen,
                    "entries": report.entries,
                    "plans": report.plans,
                },
                output,
            )
        )
        return
    for line in _lines(report, unseen):
        click.echo(line)


def _lines(report: Report, unseen: tuple[str, ...]) -> Iterator[str]:
    for each in report.found:
        yield f"Found {one_line(each)}."
    for each in unseen:
        yield f"{paint('Not looked at:', 'yellow', sys.stdout)} {one_line(each)}"
    for severity in ORDER:
        entries = [each for each in report.entries if each.severity is severity]
        if entries:
            yield ""
            heading = f"{_HEADINGS[severity]} ({len(entries)})"
            yield paint(heading, _COLOURS[severity], sys.stdout, bold=True)
            yield from _entries(entries)
    for plan in report.plans:
        yield from _plan(plan)


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    """What is said of several objects is said once."""
    ordered = sorted(entries, key=lambda each: (each.code, each.message, each.to_do))
    for (code, message, to_do), group in groupby(
        ordered, lambda each: (each.code, each.message, each.to_do)
    ):
        same = list(group)
        yield f"  {one_line(message)} [{code}]"
        places = [" ".join(part for part in (e.object, e.field) if part) for e in same]
        for place in [each for each in places if each][:_SHOWN]:
            yield f"    at {one_line(place)}"
        if len(places) > _SHOWN:
            yield f"    and {counted(len(places) - _SHOWN, 'more object')} (-o json names all)"
        if to_do:
            yield f"    {paint('do:', 'yellow', sys.stdout)} {one_line(to_do)}"


def _plan(plan: Plan) -> Iterator[str]:
    yield ""
    yield paint(f"Plan: {one_line(plan.title)}", "", sys.stdout, bold=True)
    for index, step in enumerate(plan.steps, 1):
        yield f"  {index}. {one_line(step.title)}"
        yield f"     {one_line(step.text)}"
        yield from (f"       {one_line(command)}" for command in step.commands)
