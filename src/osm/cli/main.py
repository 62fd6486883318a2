"""The entry of `osm`: verbs, how errors are shown, and exit codes.

A verb's module is imported only when the verb is called, so that `osm --help` stays quick: the list
below repeats each verb's first line of help, and a test holds the two equal.

Exit codes: 0 done, 1 failed or the answer is no, 2 called wrongly, 130 stopped with Ctrl-C.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from osm import __version__
from osm.cli.command import Invocation, verbose_option
from osm.cli.render import paint, printable
from osm.errors import InvalidObjects, OsmError

INTERRUPTED = 130
BROKEN_PIPE = 141

VERBS: dict[str, tuple[tuple[str, str], ...]] = {
    "Run a mesh on this machine": (
        ("demo", "Run the bookstore: real proxies, real mutual TLS."),
        ("up", "Run a mesh from YAML files, in the foreground."),
        ("down", "Stop a running mesh."),
        ("dashboard", "Open the web page of a running mesh."),
        ("controller", "Run the control plane alone, for proxies that others start."),
    ),
    "Change it": (
        ("apply", "Create or change objects."),
        ("get", "Show objects."),
        ("delete", "Delete objects."),
    ),
    "Understand it": (
        ("status", "Show whether the mesh is well, and what is wrong."),
        ("explain", "Tell whether a request may pass, where it goes, and why."),
        ("logs", "Print what a workload or its proxy printed."),
        ("proxy", "Look at the proxies."),
    ),
    "Other": (
        ("version", "Print the versions of this command and of the running mesh."),
        ("completion", "Print a script that completes commands in a shell."),
    ),
}
"""Each verb and its first line of help, by the heading that it stands under."""


class LazyGroup(click.Group):
    """A group that imports a verb's module when the verb is called, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs, in the order of the table."""
        return [name for verbs in VERBS.values() for name, _ in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb, or return None when there is no such verb."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"osm.cli.verbs.{cmd_name}").command
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table."""
        for heading, verbs in VERBS.items():
            with formatter.section(heading):
                formatter.write_dl(verbs)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End with what to type first."""
        with formatter.section("Examples"):
            for line in ("osm demo", "osm up manifests/", "osm get all -A", "osm apply --help"):
                formatter.write(f"  {line}\n")


@click.group(
    cls=LazyGroup,
    name="osm",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.option("--version", "wants_version", is_flag=True, help="Print this command's version.")
@verbose_option
@click.pass_context
def osm(ctx: click.Context, wants_version: bool) -> None:
    """Open Service Mesh: a small service mesh on stock Envoy."""
    if wants_version:
        click.echo(f"osm {__version__}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `osm` with arguments (the process's own if None) and return its exit code."""
    invocation = Invocation()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a locale without some letter is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        result = osm.main(
            args=None if arguments is None else list(arguments),
            prog_name="osm",
            standalone_mode=False,
            obj=invocation,
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        _say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`osm get … | head`) has enough. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except click.ClickException as error:
        _complain(error.format_message(), _usage_hint(error))
        return error.exit_code
    except OsmError as error:
        if invocation.verbose:
            _traceback()
        if isinstance(error, InvalidObjects):
            _complain_of_objects(error)
        else:
            _complain(error.message, error.hint)
        return error.exit_code
    except Exception as error:
        if invocation.verbose:
            _traceback()
        _complain(
            f"osm itself failed: {type(error).__name__}: {error}",
            "This is a mistake in osm. Run it again with -v, and report what it prints.",
        )
        return 1
    return result if isinstance(result, int) else 0


def _usage_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"Try: {error.ctx.command_path} --help"
    return ""


def _complain_of_objects(error: InvalidObjects) -> None:
    for finding in error.findings:
        _say(printable(str(finding)))
    _complain(error.message, error.hint)


def _complain(message: str, hint: str) -> None:
    _say(f"{paint('Error:', 'red', sys.stderr)} {printable(message)}")
    if hint:
        _say("  " + printable(hint).replace("\n", "\n  "))


def _say(line: str) -> None:
    """Write a line to stderr, and never fail for it: there may be no one left to read it."""
    with suppress(OSError):
        click.echo(line, err=True)


def _traceback() -> None:
    _say(printable(traceback.format_exc()))
