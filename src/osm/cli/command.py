"""What every verb is made of: its class, and the options that verbs share."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from osm.cli.names import MESH, NAMESPACE

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Invocation:
    """What one run of `osm` was told before its verb was known. It is the click context's `obj`."""

    def __init__(self) -> None:
        self.verbose = False


def _be_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    invocation = ctx.find_object(Invocation)
    if value and invocation is not None and not invocation.verbose:
        invocation.verbose = True
        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_be_verbose,
    help="Show debug logs, and the traceback of an error.",
)


class Verb(click.Command):
    """A command with examples at the end of its help, and `-v`."""

    def __init__(self, *args: Any, examples: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(line.strip() for line in examples.strip().splitlines())
        verbose_option(self)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples as they are, without wrapping."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"  {line}\n")


class VerbGroup(click.Group):
    """A verb with verbs below it. Its examples are theirs."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first example of each verb below."""
        with formatter.section("Examples"):
            for name in self.list_commands(ctx):
                command = self.get_command(ctx, name)
                if isinstance(command, Verb):
                    formatter.write(f"  {command.examples[0]}\n")


def mesh_option(function: Decorated) -> Decorated:
    """Add `--mesh`: which running mesh is meant."""
    return click.option(
        "--mesh",
        type=MESH,
        envvar="OSM_MESH",
        metavar="NAME",
        help="The running mesh to use.  [default: $OSM_MESH, or the only one]",
    )(function)


def namespace_option(function: Decorated) -> Decorated:
    """Add `-n`."""
    return click.option(
        "-n", "--namespace", type=NAMESPACE, metavar="NAME", help="The namespace to look in."
    )(function)


def output_option(*choices: str, default: str = "table") -> Callable[[Decorated], Decorated]:
    """Add `-o` with these choices."""
    names = (default, *(choice for choice in choices if choice != default))
    return click.option(
        "-o",
        "--output",
        type=click.Choice(names),
        default=default,
        show_default=True,
        help="How to print.",
    )
