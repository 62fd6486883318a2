"""What every verb is made of: its class, and the options that verbs share."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from osm.cli.names import MESH, NAMESPACE

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Invocation:
    """What one run of `osm` was told before its verb was known. It is the click context's `obj`."""

    def __init__(self) -> None:
        self.verbose = False
        self.kubeconfig: Path | None = None
        self.context: str | None = None
        self.osm_namespace: str | None = None
        self.names_cluster = False
        """Whether it says that a mesh on a cluster is meant, and none on this machine."""


def invocation() -> Invocation:
    """What this run was told."""
    context = click.get_current_context(silent=True)
    return (context and context.find_object(Invocation)) or Invocation()


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

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, without wrapping."""
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"  {as_called(line, ctx)}\n")


def as_called(line: str, ctx: click.Context) -> str:
    """An example, with `kubectl osm` for `osm` when we are kubectl's plugin."""
    called = ctx.find_root().info_name or "osm"
    return f"{called} {line.removeprefix('osm ')}" if line.startswith("osm ") else line


class VerbGroup(click.Group):
    """A verb with verbs below it. Its examples are theirs."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first example of each verb below."""
        with formatter.section("Examples"):
            for name in self.list_commands(ctx):
                command = self.get_command(ctx, name)
                if isinstance(command, Verb):
                    formatter.write(f"  {as_called(command.examples[0], ctx)}\n")


def _remember(ctx: click.Context, parameter: click.Parameter, value: Path | str | None) -> None:
    told = ctx.ensure_object(Invocation)
    setattr(told, str(parameter.name), value)
    if ctx.get_parameter_source(str(parameter.name)) == ParameterSource.COMMANDLINE:
        told.names_cluster = True


def cluster_choice(function: Decorated) -> Decorated:
    """Add `--context`, `--kubeconfig` and `--osm-namespace`, which are no arguments: `invocation` has
    what they say.
    """
    for option in (
        click.option(
            "--osm-namespace",
            type=NAMESPACE,
            envvar="OSM_NAMESPACE",
            metavar="NAME",
            expose_value=False,
            callback=_remember,
            help="The namespace of the control plane, on a cluster.  [default: the only one]",
        ),
        click.option(
            "--context",
            metavar="NAME",
            expose_value=False,
            callback=_remember,
            help="A context of the kubeconfig: the mesh is on that cluster.",
        ),
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_remember,
            help="A kubeconfig: the mesh is on its cluster.  [default, when no mesh runs on this "
            "machine: $KUBECONFIG, or ~/.kube/config]",
        ),
    ):
        function = option(function)
    return function


def mesh_option(function: Decorated) -> Decorated:
    """Add `--mesh`, and what chooses a cluster: which running mesh is meant."""
    return click.option(
        "--mesh",
        type=MESH,
        envvar="OSM_MESH",
        metavar="NAME",
        help="The running mesh to use.  [default: $OSM_MESH, or the only one]",
    )(cluster_choice(function))


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
