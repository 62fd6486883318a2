"""Which files are the mesh's, and what stands in them: reading only, no meaning."""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from osm.core.api import codes
from osm.core.api.yaml_text import LARGEST
from osm.core.model.origin import Finding, Severity

SUFFIXES = (".yaml", ".yml")
_SETTLED_S = 0.05
"""A file that changed this recently may change again without a newer time stamp."""

Signature = tuple[int, int, int, int]


class FoundFile(msgspec.Struct, frozen=True, gc=False):
    """A file: `path` is real and absolute, `name` what people call it."""

    path: str
    name: str
    signature: Signature
    size: int


class Listing(msgspec.Struct, frozen=True):
    """The files below some roots in the order of their names, and what could not be looked at."""

    files: tuple[FoundFile, ...]
    findings: tuple[Finding, ...] = ()


class Content(msgspec.Struct, frozen=True):
    """What stands in a file. `signature` is None when it is too fresh to be relied on."""

    data: bytes
    signature: Signature | None


class Visitor(Protocol):
    """Is told of each place before it is looked at, so that nothing happens there unseen."""

    def directory(self, path: str, name: str) -> None:
        """A directory whose files count; `name` is what people call it."""

    def entry(self, path: str) -> None:
        """One place that counts whatever its name is: a file, or a root that is not there."""


def list_files(
    roots: Sequence[Path], *, optional: Sequence[Path] = (), visitor: Visitor | None = None
) -> Listing:
    """List every `.yaml` and `.yml` file below the roots; a root that is a file counts as it is.

    Hidden files and directories are left out, and so are symbolic links, with a finding. A root in
    `optional` need not exist.
    """
    found: dict[str, FoundFile] = {}
    findings: list[Finding] = []
    for root in dict.fromkeys((*roots, *optional)):
        if visitor is not None and not root.is_dir():
            visitor.entry(str(root.absolute()))
        try:
            status = root.stat()
        except OSError as error:
            if root not in optional or not isinstance(error, FileNotFoundError):
                findings.append(_unreadable(str(root), error))
            continue
        if stat.S_ISDIR(status.st_mode):
            for file in _walk(str(root), os.path.realpath(root), findings, visitor):
                found.setdefault(file.path, file)
        elif stat.S_ISREG(status.st_mode):
            path = os.path.realpath(root)
            found.setdefault(path, _found(path, str(root), status))
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
    return Listing(tuple(files), tuple(findings))


def _walk(
    shown: str, real: str, findings: list[Finding], visitor: Visitor | None
) -> Iterator[FoundFile]:
    if visitor is not None:
        visitor.directory(real, shown)
    try:
        with os.scandir(real) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        findings.append(_unreadable(shown, error))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = entry.path if shown == real else name_in(shown, entry.name)
        is_yaml = entry.name.endswith(SUFFIXES)
        try:
            if entry.is_symlink() and is_yaml:
                findings.append(_symlink(name))
            elif entry.is_dir(follow_symlinks=False):
                yield from _walk(name, entry.path, findings, visitor)
            elif is_yaml and entry.is_file():
                yield _found(entry.path, name, entry.stat())
        except FileNotFoundError:
            continue  # it went while we looked
        except OSError as error:
            findings.append(_unreadable(name, error))


def name_in(directory: str, entry: str) -> str:
    """What people call an entry of a directory that they call `directory`."""
    return entry if directory == "." else os.path.join(directory, entry)  # noqa: PTH118 - texts


def find_file(path: str, name: str) -> FoundFile | None:
    """The file at a path that `list_files` would go to. None when there is no regular file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return _found(path, name, status) if stat.S_ISREG(status.st_mode) else None


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
        # What is no file any more must not make us wait, or lead elsewhere.
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            data = _read_all(descriptor, file.size)
        finally:
            os.close(descriptor)
    except OSError as error:
        return _unreadable(file.name, error)
    settled = time.time() - status.st_mtime > _SETTLED_S
    return Content(data, _signature(status) if settled else None)


def _read_all(descriptor: int, expected: int) -> bytes:
    data = os.read(descriptor, expected + 1)
    while len(data) <= LARGEST and (more := os.read(descriptor, LARGEST)):
        data += more
    return data


def _found(path: str, name: str, status: os.stat_result) -> FoundFile:
    return FoundFile(path, name, _signature(status), status.st_size)


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
