"""`osm demo`."""

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from osm.cli.command import Verb
from osm.cli.find_mesh import running_meshes
from osm.cli.launch import LocalMesh, local_mesh
from osm.cli.names import shortened
from osm.cli.presenters import Lines, Quiet
from osm.cli.run_mesh import Presenter
from osm.cli.run_options import is_terminal, run_and_report, run_options
from osm.core.explain.view import MeshView
from osm.demo.scenario import copy_scenario, flat_name, next_steps, read_manifest
from osm.demo.scenario import scenario as files_of
from osm.errors import ConfigError, PlatformError
from osm.local.runtime_directory import is_running, mesh_directory, runtime_base

SCENARIOS = ("policies", "empty", "permissive", "split")


@click.command(
    cls=Verb,
    examples="""
    osm demo
    osm demo --scenario split
    osm demo --directory bookstore/
    osm demo --duration 30 -o json
    """,
)
@click.option(
    "--scenario", type=click.Choice(SCENARIOS), default=SCENARIOS[0], show_default=True,
    help="Where to start: with access policies, without any, with everybody allowed, or with two "
    "bookstores that share the traffic.",
)  # fmt: skip
@click.option("--directory", metavar="DIR",
              help="Keep the demo's YAML files there.  [default: removed at the end]")  # fmt: skip
@run_options
def command(
    *,
    scenario: str,
    directory: str | None,
    mesh: str,
    isolation: str,
    page_port: int,
    duration: float | None,
    quiet: bool,
    output: str,
) -> int:
    """Run the bookstore: real proxies, real mutual TLS.

    bookbuyer buys books and bookthief tries to steal them; the mesh decides. Shows who calls whom,
    what is refused and why, and what to try next. Ctrl-C ends it and leaves nothing behind.
    """
    where = _fresh_directory(mesh) if directory is None else _own_directory(directory, scenario)
    try:
        copy_scenario(scenario, where)
        start = local_mesh(LocalMesh(mesh, (where,), isolation, page_port))
        return run_and_report(
            start, _presenter(scenario, quiet=quiet or output == "json"),
            duration=duration, output=output, summary=not quiet,
        )  # fmt: skip
    finally:
        if directory is None:
            _remove(where)


def _presenter(scenario: str, *, quiet: bool) -> Presenter:
    if quiet:
        return Quiet(sys.stderr)
    steps = tuple(f"{step.command}  # {step.watch}" for step in next_steps(scenario))
    if shutil.which("osm") is None:
        place = Path(sys.executable).parent
        steps = (f'export PATH="{place}:$PATH"  # so that your shell finds osm', *steps)

    def try_next(_view: MeshView) -> Sequence[str]:
        return steps

    if not is_terminal():
        return Lines(sys.stdout, sys.stderr, logs=False, next_steps=try_next)
    from osm.cli.live import LiveView  # noqa: PLC0415 - rich is slow, and for terminals only

    return LiveView(sys.stdout, sys.stderr, try_next)


def _fresh_directory(mesh: str) -> Path:
    """Make an empty directory for the demo's files: the same in every run, so that none is left."""
    base = runtime_base()
    running_meshes(base)  # refuses a directory that is not ours
    if is_running(mesh_directory(mesh, base)):
        raise ConfigError(
            f"A mesh named {mesh} is running.",
            hint=f"Stop it with `osm down --mesh {mesh}`, or choose another name with --mesh.",
        )
    directory = base / f"{mesh}.demo"  # a mesh's name has no dot
    shutil.rmtree(directory, ignore_errors=True)
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise PlatformError(f"Cannot make {directory}: {error.strerror}.") from error
    return directory


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # other meshes are in there
        directory.parent.rmdir()


def _own_directory(name: str, scenario: str) -> Path:
    """Return a directory of the user's, in which no edited file would be replaced."""
    if not name or "\0" in name:
        raise ConfigError(f"{shortened(name)} is not the name of a directory.")
    directory = Path(name).absolute()
    for file in files_of(scenario):
        target = directory / flat_name(file)
        try:
            edited = target.read_text(encoding="utf-8") != read_manifest(file)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot use {shortened(name)}: {error}.") from error
        if edited:
            raise ConfigError(
                f"{target} is not as the demo would write it.",
                hint=f"Go on with your files: `osm up {name}`. Or choose another directory.",
            )
    return directory
