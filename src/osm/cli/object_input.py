"""The objects that `validate` and `analyze` are given: files, directories, pipes, `demo:NAME`."""

import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from osm.cli.finding_report import counted
from osm.cli.manifest_text import DEMO
from osm.cli.names import shortened
from osm.core.api.yaml_text import LARGEST
from osm.errors import UsageError
from osm.local.reading import ReadObjects, read_objects

_BOOKSTORE = "bookstore"
"""All that `osm demo` runs."""


def read_input(names: Iterable[str]) -> ReadObjects:
    """Read everything below directories, as a mesh does. What cannot be read is a finding.

    Raises UsageError when there is neither an object nor a finding.
    """
    paths: list[Path] = []
    texts: dict[str, bytes] = {}
    for name in dict.fromkeys(names):  # a pipe can be read once
        if name == "-":
            texts["stdin"] = sys.stdin.buffer.read(LARGEST + 1)
        elif name.startswith(DEMO):
            texts[name] = _demo_text(name.removeprefix(DEMO))
        elif not name or "\0" in name:
            raise UsageError(f"{shortened(name)} is not the name of a file.")
        elif _is_pipe(Path(name)):
            texts[name] = _read_pipe(Path(name))
        else:
            paths.append(Path(name))
    read = read_objects(paths, texts)
    if not read.objects and not read.findings:
        raise UsageError(
            "There are no objects in what was given.",
            hint="Files of directories count when they end in .yaml or .yml.",
        )
    return read


def describe_input(read: ReadObjects) -> str:
    """Say how much was looked at."""
    objects, files = len(read.objects) + read.broken, counted(read.files, "file")
    return f"{counted(objects, 'object')} of {files}" if objects else files


def _is_pipe(path: Path) -> bool:
    """Whether it is a pipe, as from a shell's `<(…)`: not a file, and yet meant to be read."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _read_pipe(path: Path) -> bytes:
    with path.open("rb") as pipe:
        return pipe.read(LARGEST + 1)


def _demo_text(name: str) -> bytes:
    from osm.demo import scenario  # noqa: PLC0415 - seldom wanted

    if name != _BOOKSTORE:
        return scenario.demo_manifest(name).encode()
    files = map(scenario.read_manifest, scenario.scenario(scenario.DEFAULT_SCENARIO))
    return "---\n".join(files).encode()
