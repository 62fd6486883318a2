"""An explanation on a terminal."""

from typing import IO

import click

from osm.cli.render import number, one_line, paint, printable
from osm.core.explain.explanation import Explanation

_COLOURS = {"ok": "green", "denied": "red", "failed": "red"}


def print_explanation(explanation: Explanation, stream: IO[str]) -> None:
    """The verdict first, then how it came about, and at the end what would change it."""
    asked = explanation.question
    request = f" {asked.method} {asked.path}" if asked.method else " (TCP)"
    colour = "green" if explanation.allowed else "red"
    verdict = paint(one_line(explanation.verdict).upper(), colour, stream, bold=True)
    click.echo(f"{one_line(asked.source)} -> {one_line(asked.destination + request)}: {verdict}")
    click.echo(one_line(explanation.summary))
    for sentence in explanation.advice:
        click.echo(one_line(sentence))
    if explanation.steps:
        click.echo()
    _print_steps(explanation, stream)
    if explanation.backends:
        click.echo("\nIt goes to:" if explanation.allowed else "\nIt would go to:")
        for backend, share in explanation.backends:
            click.echo(f"  {number(share):>4}%  {one_line(backend)}")
    if explanation.remedy:
        click.echo("\nThis would allow it (`-o remedy` prints it alone, for `osm apply -f -`):\n")
        for line in printable(explanation.remedy).rstrip("\n").split("\n"):
            click.echo(f"  {line}".rstrip())


def _print_steps(explanation: Explanation, stream: IO[str]) -> None:
    for step in explanation.steps:
        outcome = f"{one_line(step.outcome):<7}"
        if step.outcome in _COLOURS:
            outcome = paint(outcome, _COLOURS[step.outcome], stream)
        click.echo(f"  {outcome} {one_line(step.title)}: {one_line(step.text)}")
        for origin in step.origins:
            click.echo(f"          by {one_line(str(origin))}")
