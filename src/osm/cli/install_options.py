"""The options by which `install` and `upgrade` take values, and how these are put together."""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from osm.cli.command import Decorated
from osm.cli.names import shortened
from osm.cli.render import one_line, paint
from osm.errors import ConfigError, UsageError

PRESETS = ("small", "default", "ha")


class Given(msgspec.Struct, frozen=True):
    """The values of a command line, in the order in which later ones win: preset, files, `--set`."""

    preset: str | None = None
    files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    set_strings: tuple[str, ...] = ()

    def tree(self, base: Mapping[str, object]) -> dict[str, object]:
        """These values over `base`. Raises `OsmError` for what cannot be read."""
        from osm.core.install.presets import PRESETS as TREES  # noqa: PLC0415 - slow
        from osm.core.install.set_text import with_set  # noqa: PLC0415
        from osm.core.install.values_reading import merged  # noqa: PLC0415

        preset = TREES[self.preset] if self.preset else {}
        tree = merged(base, preset, *map(_read_file, self.files))
        for text in self.sets:
            tree = with_set(tree, text)
        for text in self.set_strings:
            tree = with_set(tree, text, strings=True)
        return tree


def values_options(function: Callable[..., Any]) -> Decorated:  # type: ignore[type-var]
    """Add `--set`, `--set-string`, `-f` and `--preset`, as one argument `given`."""

    @wraps(function)
    def understood(**arguments: Any) -> Any:
        given = Given(
            arguments.pop("preset"),
            arguments.pop("files"),
            arguments.pop("sets"),
            arguments.pop("set_strings"),
        )
        return function(given=given, **arguments)

    command: Any = understood
    for option in (
        click.option("--set-string", "set_strings", multiple=True, metavar="NAME=VALUE",
                     help="The same, and the value is text whatever it looks like."),
        click.option("--set", "sets", multiple=True, metavar="NAME=VALUE",
                     help="Set values, as in osm.image.tag=2.0,osm.enableEgress=false. May be repeated."),
        click.option("-f", "--values", "files", multiple=True, metavar="FILE|-",
                     help="A YAML file of values, as for the Helm chart. May be repeated."),
        click.option("--preset", type=click.Choice(PRESETS),
                     help="Values for a laptop (small), or for three replicas (ha)."),
    ):  # fmt: skip
        command = option(command)
    return command  # type: ignore[no-any-return]


def warn(text: str) -> None:
    """Print a warning to stderr."""
    click.echo(f"{paint('Warning:', 'yellow', sys.stderr)} {one_line(text)}", err=True)


def _read_file(name: str) -> Mapping[str, object]:
    import yaml  # noqa: PLC0415 - slow

    try:
        text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        values = yaml.safe_load(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shortened(name)} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{shortened(name)} is not YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{shortened(name)} holds no values: it must be a mapping, as values.yaml is."
        )
    return values
