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
from pathlib import Path

import click

from osm import __version__
from osm.cli.command import Invocation, as_called, verbose_option
from osm.cli.render import paint, printable
from osm.errors import InvalidObjects, OsmError

INTERRUPTED = 130

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
        ("validate", "Check objects, each by itself, without a mesh."),
    ),
    "Understand it": (
        ("status", "Show whether the mesh is well, and what is wrong."),
        ("analyze", "Find what is wrong with a mesh as a whole: a running one, or one in files."),
        ("explain", "Tell whether a request may pass, where it goes, and why."),
        ("logs", "Print what a workload or its proxy printed."),
        ("proxy", "Look at the proxies."),
    ),
    "On Kubernetes": (
        ("install", "Install a mesh on a cluster."),
        ("upgrade", "Bring an installed mesh to this version of osm, or to other values."),
        ("uninstall", "Remove a mesh from a cluster."),
        ("check", "Check whether a cluster can have a mesh, or whether its mesh is well."),
        ("mesh", "Look at the meshes of a cluster, and upgrade them."),
        ("namespace", "Choose which namespaces of a cluster are in the mesh."),
        ("metrics", "Choose which namespaces Prometheus scrapes the proxies of."),
        ("verify", "Verify step by step that pods can talk, and that the control plane is well."),
        ("policy", "Check which policies let pods talk, and which contradict each other."),
        ("crds", "Print the CustomResourceDefinitions of the mesh's kinds."),
        ("migrate", "Come from OSM v1.1 or v1.2."),
    ),
    "Other": (
        ("support", "Explain error codes, and gather what a report of a problem needs."),
        (
            "env",
            "Print what the environment tells this command: OSM_NAMESPACE, OSM_MESH, KUBECONFIG.",
        ),
        ("version", "Print the versions of this command and of the running mesh."),
        ("completion", "Print a script that completes commands in a shell."),
    ),
}
"""Each verb and its first line of help, by the heading that it stands under."""
ALIASES = {"ns": "namespace", "del": "uninstall"}
PLUGIN = "kubectl-osm"
"""As this, kubectl calls us for `kubectl osm …`."""


class LazyGroup(click.Group):
    """A group that imports a verb's module when the verb is called, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the verbs, in the order of the table."""
        return [name for verbs in VERBS.values() for name, _ in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb, or return None when there is no such verb."""
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"osm.cli.verbs.{cmd_name}").command
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs from the table."""
        for heading, verbs in VERBS.items():
            with formatter.section(heading):
                formatter.write_dl(verbs)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End with what to type first."""
        with formatter.section("Examples"):
            for line in ("osm demo", "osm up manifests/", "osm get all -A", "osm apply --help"):
                formatter.write(f"  {as_called(line, ctx)}\n")


@click.group(
    cls=LazyGroup,
    name="osm",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.option("--version", "wants_version", is_flag=True, help="Print this command's version.")
@verbose_option
@click.pass_context
def osm(ctx: click.Context, *, wants_version: bool) -> None:
    """Open Service Mesh: a small service mesh on stock Envoy."""
    if wants_version:
        click.echo(f"osm {__version__}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `osm` with arguments (the process's own if None) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale without some letter is no failure
            stream.reconfigure(errors="backslashreplace")
    invocation = Invocation()
    try:
        result = osm.main(
            args=None if arguments is None else list(arguments),
            prog_name="kubectl osm" if Path(sys.argv[0]).stem == PLUGIN else "osm",
            standalone_mode=False,
            obj=invocation,
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        _say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`osm get … | head`) has enough. Python would complain at exit.
        # click does the same, and exits with 1, when this happens before a verb's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the last place that can turn one into words
        return _explain_failure(error, verbose=invocation.verbose)
    return result if isinstance(result, int) else 0


def _explain_failure(error: Exception, *, verbose: bool) -> int:
    """Say what went wrong on stderr, and return the exit code."""
    if isinstance(error, click.ClickException):
        _complain(error.format_message(), _usage_hint(error))
        return error.exit_code
    if verbose:
        _say(printable("".join(traceback.format_exception(error))))
    if not isinstance(error, OsmError):
        _complain(
            f"osm itself failed: {type(error).__name__}: {error}",
            "This is a mistake in osm. Run it again with -v, and report what it prints.",
        )
        return 1
    if isinstance(error, InvalidObjects):
        for finding in error.findings:
            _say(printable(str(finding)))
    _complain(error.message, error.hint)
    return error.exit_code


def _usage_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"Try: {error.ctx.command_path} --help"
    return ""


def _complain(message: str, hint: str) -> None:
    _say(f"{paint('Error:', 'red', sys.stderr)} {printable(message)}")
    if hint:
        _say("  " + printable(hint).replace("\n", "\n  "))


def _say(line: str) -> None:
    """Write a line to stderr, and never fail for it: there may be no one left to read it."""
    with suppress(OSError):
        click.echo(line, err=True)
