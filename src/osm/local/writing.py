"""Puts texts into files: each of them whole, or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_all(texts: Mapping[Path, str | None]) -> None:
    """Write files (None: remove it). Each is written beside its place first: a full disk changes nothing.

    Raises OSError.
    """
    ready: list[tuple[str, Path]] = []
    try:
        for path, text in texts.items():
            if text is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                ready.append((_write_beside(path, text), path))
        while ready:
            temporary, path = ready.pop()
            Path(temporary).replace(path)
    finally:
        for temporary, _ in ready:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
    for path, text in texts.items():
        if text is None:
            path.unlink(missing_ok=True)
    for directory in {path.parent for path in texts}:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_beside(path: Path, text: str) -> str:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, temporary = tempfile.mkstemp(prefix=".osm-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return temporary
