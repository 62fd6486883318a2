"""What a running mesh refused: a list to choose from, and the one that is meant."""

import click
import msgspec

from osm.cli.client import MeshClient
from osm.cli.encode import encoded
from osm.cli.render import table
from osm.core.explain.refusal import Refusal, Unreadable, read_refusal, refusal_of
from osm.core.explain.view import DenialView, MeshView
from osm.errors import UsageError


def print_denials(view: MeshView, output: str) -> None:
    """The last refusals, newest first, each with the number that chooses it."""
    if output in ("json", "yaml"):
        click.echo(encoded(view.denials, output))
        return
    if not view.denials:
        click.echo("Nothing was refused.")
        return
    rows = [
        (
            str(number),
            denial.time.partition(".")[0],
            str(denial.count),
            denial.source,
            f"{denial.destination}:{denial.port}",
            f"{denial.method} {denial.path}" if denial.method else "TCP",
            denial.reason,
        )
        for number, denial in enumerate(view.denials, 1)
    ]
    click.echo(table(("#", "last", "times", "source", "destination", "request", "why"), rows))
    click.echo("\n`osm explain --denied 1` explains the first of them.")


def chosen_refusal(
    client: MeshClient, text: str, caller: str, headers: tuple[tuple[str, str], ...]
) -> Refusal:
    """The one of the list with a number, or what a text says. Raises `UsageError` for neither.

    `caller` is who sent it, where a text does not say that.
    """
    number = text.strip()
    if number.isascii() and number.isdecimal():
        refusal: Refusal | Unreadable = _numbered(client.view().denials, number)
    else:
        refusal = read_refusal(text, caller)
    if isinstance(refusal, Unreadable):
        raise UsageError(refusal.text, hint=refusal.hint)
    return msgspec.structs.replace(refusal, headers=headers)


def _numbered(denials: tuple[DenialView, ...], number: str) -> Refusal:
    if len(number) > 6 or not 0 < int(number) <= len(denials):
        known = f"There are {len(denials)}." if denials else "Nothing was refused."
        raise UsageError(
            f"There is no refusal {number[:20]}.", hint=f"{known} See `osm explain --denied`."
        )
    return refusal_of(denials[int(number) - 1])
