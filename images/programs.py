"""Programs of this machine with the shared libraries that they need."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from .archive import Entry, File

_LIBRARY = re.compile(r"^\t(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_MISSING = re.compile(r"^\t(\S+) => not found", re.MULTILINE)
_SEARCHED = ("usr/lib/", "usr/lib64/")


def program(name: str, place: str = "") -> Mapping[str, Entry]:
    """A program found by name or path, at `place` or else in `usr/bin`, and its libraries."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise RuntimeError(f"{name} is not installed here, and an image needs it")
    source = Path(found).resolve()
    return {place or f"usr/bin/{Path(name).name}": File(source), **libraries([source])}


def libraries(programs: Iterable[Path]) -> Mapping[str, Entry]:
    """The shared libraries of programs and libraries, where the loader looks for them."""
    paths = [str(path) for path in programs]
    if not paths:
        return {}
    done = subprocess.run(["ldd", *paths], capture_output=True, text=True, check=False)
    missing = sorted(set(_MISSING.findall(done.stdout)))
    if missing:
        raise RuntimeError(f"libraries are missing here: {', '.join(missing)}")
    found = sorted(set(_LIBRARY.findall(done.stdout)))
    return {_place(Path(path)): File(Path(path).resolve()) for path in found}


def _place(library: Path) -> str:
    """Where a library lies in an image, which has `/lib` in `/usr` as all systems have it now."""
    place = str(library).removeprefix("/")
    if not place.startswith("usr/"):
        place = f"usr/{place}"
    return place if place.startswith(_SEARCHED) else f"usr/lib/{library.name}"
