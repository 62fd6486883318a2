"""An interpreter, the packages that the mesh needs at run time, and the mesh itself."""

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .archive import Entry, File, Link
from .programs import libraries

ROOT = Path(__file__).parent.parent
PACKAGES = "usr/local/lib/osm"
"""Where packages lie; `PYTHONPATH` names it, since distributions disagree about their own place."""
_NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
_LIBRARY = f"usr/local/lib/{_NAME}"
_NOT_LIBRARY = {
    "__pycache__",
    "dist-packages",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "venv",
}
_NOT_MODULES = ("_test", "_tkinter", "_ctypes_test", "_xx", "xx")
_NOT_PACKAGE = {"__pycache__", "tests"}
_NOT_METADATA = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def interpreter() -> Mapping[str, Entry]:
    """CPython: that of this process, without what nobody needs in a container."""
    binary = Path(sys.executable).resolve()
    files = {
        f"{_LIBRARY}/{path.relative_to(_standard_library())}": File(path)
        for path in _tree(_standard_library(), _NOT_LIBRARY)
        if not path.name.startswith(_NOT_MODULES) and "config-" not in path.parent.name
    }
    modules = [entry.source for path, entry in files.items() if path.endswith(".so")]
    return {
        f"usr/local/bin/{_NAME}": File(binary),
        "usr/local/bin/python3": Link(_NAME),
        "usr/local/bin/python": Link(_NAME),
        **libraries([binary, *sorted(modules)]),
        **files,
    }


def requirements(extra: str) -> Sequence[str]:
    """What the mesh requires with one of its extras."""
    project = _project()["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


def packages(required: Sequence[str]) -> Mapping[str, Entry]:
    """Distributions with all that they require in turn, as `constraints.txt` pins them."""
    pinned = _pinned(ROOT / "constraints.txt")
    files: dict[str, Entry] = {}
    for name in sorted(_closure(required)):
        distribution = metadata.distribution(name)
        if pinned.get(name) != distribution.version:
            raise RuntimeError(
                f"{name} {distribution.version} is installed, and constraints.txt pins "
                f"{pinned.get(name, 'none')}: `make .venv/locked` mends that"
            )
        files |= _files(distribution)
    modules = [entry.source for entry in files.values() if isinstance(entry, File)]
    native = sorted(path for path in modules if ".so" in path.suffixes)
    # What a distribution brings itself lies beside it, and is found there.
    brought = {path.resolve() for path in native}
    needed = {
        place: entry
        for place, entry in libraries(native).items()
        if not (isinstance(entry, File) and entry.source in brought)
    }
    return {**needed, **files}


def mesh() -> Mapping[str, Entry]:
    """The package `osm` as the wheel has it."""
    wheel = _project()["tool"]["hatch"]["build"]["targets"]["wheel"]
    included = {"src/osm": "osm", **wheel["force-include"]}
    if not (ROOT / "src" / "osm" / "_envoy").is_dir():
        raise RuntimeError("src/osm/_envoy is missing: `make .venv/installed` generates it")
    return {
        str(Path(PACKAGES) / place / path.relative_to(ROOT / source)): File(path)
        for source, place in included.items()
        for path in _tree(ROOT / source, {"__pycache__"})
    }


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _standard_library() -> Path:
    return Path(os.__file__).parent


def _tree(directory: Path, without: set[str]) -> Iterator[Path]:
    """All files below a directory, or the file that it is instead."""
    if directory.is_file():
        yield directory
    for here, directories, names in os.walk(directory):
        directories[:] = sorted(set(directories) - without)
        yield from (Path(here) / name for name in sorted(names) if not name.endswith(".pyc"))


def _closure(required: Sequence[str]) -> set[str]:
    """The names of distributions, and of all that they require."""
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in required]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = str(canonicalize_name(requirement.name))
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                texts = metadata.requires(name) or ()
                waiting.extend((Requirement(text), wanted) for text in texts)
    return {name for name, _ in seen}


def _pinned(constraints: Path) -> Mapping[str, str]:
    lines = (line.split(";")[0].split() for line in constraints.read_text().splitlines())
    pairs = (words[0].split("==") for words in lines if words and "==" in words[0])
    return {str(canonicalize_name(pair[0])): pair[1] for pair in pairs}


def _files(distribution: metadata.Distribution) -> Iterator[tuple[str, Entry]]:
    for path in distribution.files or ():
        parts = path.parts
        if ".." in parts or _NOT_PACKAGE & set(parts) or path.suffix in {".pyc", ".pyi"}:
            continue
        if parts[0].endswith(".dist-info") and path.name in _NOT_METADATA:
            continue
        yield f"{PACKAGES}/{path}", File(Path(str(distribution.locate_file(path))))
