"""Which files are the mesh's, and what stands in them: reading only, no meaning."""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from osm.core.api import codes
from osm.core.api.yaml_text import LARGEST
from osm.core.model.origin import Finding, Severity

SUFFIXES = (".yaml", ".yml")
_SETTLED_S = 0.05
"""A file that changed this recently may change again without a newer time stamp."""

Signature = tuple[int, int, int, int]


class FoundFile(msgspec.Struct, frozen=True):
    """A file: `path` is real and absolute, `name` what people call it."""

    path: Path
    name: str
    signature: Signature
    size: int


class Listing(msgspec.Struct, frozen=True):
    """The files below some roots in the order of their names, and what could not be looked at."""

    files: tuple[FoundFile, ...]
    findings: tuple[Finding, ...] = ()
    roots: tuple[tuple[str, int, int], ...] = ()
    """Directories by name, device and number: it differs once a directory was made anew."""


class Content(msgspec.Struct, frozen=True):
    """What stands in a file. `signature` is None when it is too fresh to be relied on."""

    data: bytes
    signature: Signature | None


def list_files(roots: Sequence[Path], *, optional: Sequence[Path] = ()) -> Listing:
    """List every `.yaml` and `.yml` file below the roots; a root that is a file counts as it is.

    Hidden files and directories are left out, and so are symbolic links, with a finding. A root in
    `optional` need not exist.
    """
    found: dict[Path, FoundFile] = {}
    findings: list[Finding] = []
    identities = []
    for root in dict.fromkeys((*roots, *optional)):
        try:
            status = root.stat()
        except OSError as error:
            if root not in optional or not isinstance(error, FileNotFoundError):
                findings.append(_unreadable(str(root), error))
            continue
        if stat.S_ISDIR(status.st_mode):
            identities.append((str(root), status.st_dev, status.st_ino))
            for file in _walk(root, root.resolve(), findings):
                found.setdefault(file.path, file)
        elif stat.S_ISREG(status.st_mode):
            path = root.resolve()
            found.setdefault(path, FoundFile(path, str(root), _signature(status), status.st_size))
        else:
            findings.append(
                Finding(
                    codes.UNREADABLE,
                    Severity.ERROR,
                    None,
                    "is neither a file nor a directory",
                    "Name a file, or a directory of YAML files.",
                    str(root),
                )
            )
    files = sorted(found.values(), key=lambda file: file.name)
    return Listing(tuple(files), tuple(findings), tuple(identities))


def _walk(shown: Path, real: Path, findings: list[Finding]) -> Iterator[FoundFile]:
    try:
        entries = sorted(os.scandir(real), key=lambda entry: entry.name)
    except OSError as error:
        findings.append(_unreadable(str(shown), error))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = shown / entry.name
        try:
            if entry.is_symlink():
                if entry.name.endswith(SUFFIXES):
                    findings.append(_symlink(str(name)))
            elif entry.is_dir():
                yield from _walk(name, real / entry.name, findings)
            elif entry.is_file() and entry.name.endswith(SUFFIXES):
                status = entry.stat()
                yield FoundFile(real / entry.name, str(name), _signature(status), status.st_size)
        except FileNotFoundError:
            continue  # it went while we looked
        except OSError as error:
            findings.append(_unreadable(str(name), error))


def read_file(file: FoundFile) -> Content | Finding:
    """Read a file, or say why that cannot be done."""
    if file.size > LARGEST:
        return Finding(
            codes.TOO_LARGE,
            Severity.ERROR,
            None,
            f"too large; a file may have {LARGEST // 1024 // 1024} MB",
            "Split it into several files.",
            file.name,
        )
    try:
        with file.path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            data = stream.read(LARGEST + 1)
    except OSError as error:
        return _unreadable(file.name, error)
    settled = time.time() - status.st_mtime > _SETTLED_S
    return Content(data, _signature(status) if settled else None)


def _signature(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _unreadable(name: str, error: OSError) -> Finding:
    reason = error.strerror or str(error)
    hint = (
        "Check the path."
        if isinstance(error, FileNotFoundError)
        else "Check its permissions, and those of the directories above it."
    )
    return Finding(
        codes.UNREADABLE, Severity.ERROR, None, f"cannot be read: {reason.lower()}", hint, name
    )


def _symlink(name: str) -> Finding:
    return Finding(
        codes.SYMLINK,
        Severity.WARNING,
        None,
        "is a symbolic link, which is not followed",
        "Put the file itself here, or name it when the mesh is started.",
        name,
    )
