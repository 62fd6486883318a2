"""How `osm check` prints what came out, and the page about its checks."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

import osm
from osm.cli.encode import encoded
from osm.cli.finding_report import counted
from osm.cli.render import one_line, paint, printable
from osm.core.check.outcome import Result, State
from osm.errors import UsageError

_PACKAGE = Path(osm.__file__).parent
_PAGES = (_PACKAGE / "check.md", _PACKAGE.parents[1] / "docs" / "reference" / "check.md")
"""Where the page is in an installed `osm`, and in a checkout."""
_MARKS = {State.OK: "✓", State.WARNING: "!", State.ERROR: "×", State.SKIPPED: "-"}
_PLAIN = {State.OK: "ok", State.WARNING: "!!", State.ERROR: "xx", State.SKIPPED: "--"}
"""For a terminal that lacks these letters."""
_COLOURS = {
    State.OK: "green",
    State.WARNING: "yellow",
    State.ERROR: "red",
    State.SKIPPED: "bright_black",
}


def print_results(results: Sequence[Result], output: str) -> None:
    """Print the results by group; as text, with a last line that sums up."""
    if output != "text":
        answer = {"success": succeeded(results), "checks": results}
        click.echo(encoded(answer, output))
        return
    group = ""
    for result in results:
        if result.group != group:
            group = result.group
            click.echo(paint(group, "reset", sys.stdout, bold=True))
        for line in result_lines(result):
            click.echo(line)
    click.echo("\n" + summary(results))


def result_lines(result: Result) -> Iterator[str]:
    """Write a result: one line when all is well, and else what, what to do, and where to read on."""
    mark = paint(_marks()[result.state], _COLOURS[result.state], sys.stdout)
    well = result.state == State.OK
    told = f" ({'; '.join(result.details)})" if well and result.details else ""
    yield f"  {mark} {one_line(result.title + told)}"
    if well:
        return
    for each in result.details:
        yield f"      {one_line(each)}"
    if result.hint:
        yield f"      {paint('hint:', 'cyan', sys.stdout)} {one_line(result.hint)}"
        yield f"      more: osm check --page {result.check}"


def summary(results: Sequence[Result]) -> str:
    """Say how it went."""
    counts = Counter(result.state for result in results)
    if not counts[State.ERROR] and not counts[State.WARNING]:
        text = "All checks successful!"
    else:
        nouns = ((State.ERROR, "error"), (State.WARNING, "warning"))
        text = ", ".join(counted(counts[state], noun) for state, noun in nouns if counts[state])
        text += f" in {counted(len(results), 'check')}."
    skipped = counts[State.SKIPPED]
    return text + (f" {counted(skipped, 'check')} could not be made." if skipped else "")


def succeeded(results: Sequence[Result]) -> bool:
    """Whether nothing is wrong; warnings are no failure."""
    return all(result.state != State.ERROR for result in results)


def page_section(name: str) -> str:
    """The part of the page about one check. Raises UsageError when there is none."""
    sections = read_page()
    if name not in sections:
        raise UsageError(
            f"There is no check {name[:60]!r}.", hint=f"There are: {', '.join(sections)}."
        )
    return printable(sections[name])


def read_page() -> dict[str, str]:
    """The page, by check."""
    path = next((each for each in _PAGES if each.is_file()), _PAGES[-1])
    parts = re.split(r"^### (\S+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = (re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0] for text in parts[2::2])
    return {name: text.strip() for name, text in zip(parts[1::2], texts, strict=True)}


def _marks() -> dict[State, str]:
    try:
        "".join(_MARKS.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return _PLAIN
    return _MARKS
