"""What became of objects that were applied or deleted, as kubectl prints it."""

from collections.abc import Sequence

import click

from osm.cli.encode import encoded
from osm.cli.render import one_line
from osm.core.api.manifest import Key
from osm.ports import AppliedObject


def reference(key: Key) -> str:
    """Write `traffictarget.access.smi-spec.io/bookstore`."""
    group = f".{key.group}" if key.group else ""
    return one_line(f"{key.kind.lower()}{group}/{key.name}")


def print_changes(results: Sequence[AppliedObject], output: str, *, dry_run: bool) -> None:
    """Print a line for each object, or all as JSON or YAML."""
    if output in ("json", "yaml"):
        click.echo(encoded({"dryRun": dry_run, "results": results}, output))
        return
    for result in results:
        words = [reference(result.key)]
        if output != "name":
            words.append(one_line(result.action))
            if dry_run:
                words.append("(dry run)")
        click.echo(" ".join(words))
