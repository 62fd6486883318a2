"""Which files of directories were written, moved or removed: inotify(7) on the event loop.

By ctypes: a library with a thread of its own that polls costs more CPU while nothing happens than
an edit does, and milliseconds for each edit. A file counts when its writer has closed it, so half
a file is no news.
"""

import asyncio
import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping

import msgspec

from osm.local.folder import SUFFIXES, name_in

_ATTRIBUTES, _CLOSED, _MOVED_FROM, _MOVED_TO = 0x4, 0x8, 0x40, 0x80
_CREATED, _DELETED, _SELF_DELETED, _SELF_MOVED = 0x100, 0x200, 0x400, 0x800
_UNMOUNTED, _OVERFLOWN, _IGNORED, _IS_DIRECTORY = 0x2000, 0x4000, 0x8000, 0x40000000
_ONLY_DIRECTORIES = 0x01000000
_WANTED = (
    _ATTRIBUTES | _CLOSED | _MOVED_FROM | _MOVED_TO | _CREATED | _DELETED
    | _SELF_DELETED | _SELF_MOVED | _ONLY_DIRECTORIES
)  # fmt: skip
_HEADER = struct.Struct("iIII")
_READ_BYTES = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class News(msgspec.Struct, frozen=True):
    """Paths where something happened, with their names; or that it may have happened anywhere."""

    paths: Mapping[str, str] = {}
    anywhere: bool = False


class _Directory(msgspec.Struct):
    """A directory that is watched: all of its files when it has a name, else only some entries."""

    path: str
    name: str | None = None
    entries: set[str] = msgspec.field(default_factory=set)


class Watcher:
    """Collects news of the places that `Visit`s are told of, and calls `ring` when there are some.

    Belongs to the running event loop. Where the system gives no (more) watches it stays silent.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._directories: dict[int, _Directory] = {}
        self._paths: dict[str, str] = {}
        self._anywhere = False
        self._descriptor = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def take(self) -> News:
        """What happened since the last time."""
        news = News(self._paths, self._anywhere)
        self._paths, self._anywhere = {}, False
        return news

    def hears(self, directory: str) -> bool:
        """Whether news of a directory's files arrive."""
        return any(
            each.path == directory and each.name is not None
            for each in tuple(self._directories.values())
        )

    def visit(self) -> "Visit":
        """Begin a look at everything."""
        return Visit(self._add)

    def watch_only(self, visit: "Visit") -> None:
        """Forget the places that a look, which has ended, did not come to."""
        for number in self._directories.keys() - visit.directories.keys():
            _libc.inotify_rm_watch(self._descriptor, number)  # fails where it went by itself
        self._directories = visit.directories

    def _add(self, path: str, directories: dict[int, _Directory]) -> _Directory | None:
        if self._descriptor < 0:
            return None
        number = int(_libc.inotify_add_watch(self._descriptor, os.fsencode(path), _WANTED))
        if number < 0:
            return None
        directory = directories.setdefault(number, _Directory(path))
        self._directories[number] = directory
        return directory

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number, mask, name in _events(os.read(self._descriptor, _READ_BYTES)):
                self._note(self._directories.get(number), mask, name)
        if self._paths or self._anywhere:
            self._ring()

    def _note(self, directory: _Directory | None, mask: int, name: str) -> None:
        if mask & _IGNORED:
            return
        if (
            directory is None
            or mask & (_OVERFLOWN | _UNMOUNTED | _SELF_DELETED | _SELF_MOVED)
            or name in directory.entries
        ):
            self._anywhere = True
        elif directory.name is None or name.startswith("."):
            return
        elif mask & _IS_DIRECTORY:
            self._anywhere = True
        elif name.endswith(SUFFIXES):
            path = os.path.join(directory.path, name)  # noqa: PTH118 - a text, thousands of times
            if not mask & _CREATED or _is_complete(path):
                self._paths[path] = name_in(directory.name, name)


class Visit:
    """One look at everything: watches each place that it comes to. May belong to another thread."""

    def __init__(self, add: Callable[[str, dict[int, _Directory]], _Directory | None]) -> None:
        self.directories: dict[int, _Directory] = {}
        self._add = add

    def directory(self, path: str, name: str) -> None:
        """Watch all files of a directory."""
        directory = self._add(path, self.directories)
        if directory is not None and directory.name is None:
            directory.path, directory.name = path, name

    def entry(self, path: str) -> None:
        """Watch one path, by the directory that it is in."""
        above, name = os.path.split(path)
        directory = self._add(above, self.directories)
        if directory is not None:
            directory.entries.add(name)


def _is_complete(path: str) -> bool:
    """Whether no end of writing will be told of what was just created: a link, a pipe."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return not stat.S_ISREG(status.st_mode) or status.st_nlink > 1


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    position = 0
    while position < len(data):
        number, mask, _, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        yield number, mask, os.fsdecode(data[position : position + length].rstrip(b"\0"))
        position += length
