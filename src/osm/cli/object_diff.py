"""What would change in a cluster, as unified diffs of YAML."""

import difflib
import sys
from collections.abc import Iterator

import yaml

from osm.cli.render import paint, printable
from osm.kubernetes.apply import Applied, Document, bare
from osm.kubernetes.resources import Ref

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def print_changes(applied: tuple[Applied, ...], pruned: tuple[Ref, ...]) -> None:
    """Print a diff for each object that changes, and a line that sums up."""
    for each in applied:
        for line in _diff(each):
            colour = _COLOURS.get(line[:1], "")
            text = printable(line)
            sys.stdout.write(f"{paint(text, colour, sys.stdout) if colour else text}\n")
    for ref in pruned:
        sys.stdout.write(paint(f"- {printable(str(ref))} is deleted", "red", sys.stdout) + "\n")
    sys.stdout.write(summary(applied, pruned) + "\n")


def summary(applied: tuple[Applied, ...], pruned: tuple[Ref, ...]) -> str:
    """Count what changes."""
    created = sum(each.outcome == "created" for each in applied)
    changed = sum(each.outcome == "configured" for each in applied)
    parts = [
        f"{count} {word}"
        for count, word in (
            (created, "to create"),
            (changed, "to change"),
            (len(pruned), "to delete"),
        )
        if count
    ]
    return f"Objects: {', '.join(parts)}." if parts else "Nothing would change."


def _diff(applied: Applied) -> Iterator[str]:
    if applied.outcome == "unchanged":
        return iter(())
    before = _lines(applied.before) if applied.before else []
    after = _lines(applied.after)
    return difflib.unified_diff(
        before, after, f"now/{applied.ref}", f"new/{applied.ref}", lineterm=""
    )


def _lines(document: Document) -> list[str]:
    text = yaml.safe_dump(bare(document), sort_keys=True, width=100, allow_unicode=True)
    return str(text).splitlines()
