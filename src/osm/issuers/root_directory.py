"""The root's two files on disk: `ca.crt` and `ca.key`, in a directory that only we can enter.

Files appear whole or not at all: written under another name, synced, then linked to their own name,
which fails when somebody was quicker. The key comes first. Whoever loses that race takes the
winner's key, and a process that dies between the two files leaves a key without a certificate, from
which the next one makes the certificate: nothing was signed before there was one.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from osm.errors import IssuerError

CERTIFICATE = "ca.crt"
KEY = "ca.key"
_SIZE_LIMIT = 1 << 20
_ABANDONED_S = 60.0
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class RootDirectory:
    """An open directory that only we can enter. Reads and creates files, never overwrites one."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def read(self, name: str, *, private: bool) -> bytes | None:
        """Return a file's content, or None when there is none. Raises `IssuerError`."""
        place = self.path / name
        try:
            # Without O_NONBLOCK, a named pipe in its place would hold us here for ever.
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NONBLOCK | _FLAGS, dir_fd=self._descriptor
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IssuerError(
                f"{place} cannot be opened: {error.strerror}",
                hint="It must be a regular file of yours; symbolic links are not followed.",
            ) from error
        try:
            _check_file(place, os.fstat(descriptor), private=private)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(_SIZE_LIMIT)
        finally:
            os.close(descriptor)

    def create(self, name: str, content: bytes, *, mode: int) -> bool:
        """Write a file that does not exist yet. Returns False when it does; it is left as it is."""
        temporary = f".{name}.{secrets.token_hex(8)}.tmp"
        try:
            descriptor = os.open(
                temporary,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS,
                mode,
                dir_fd=self._descriptor,
            )
            try:
                with os.fdopen(descriptor, "wb") as file:
                    os.fchmod(descriptor, mode)  # whatever the umask took away
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                os.link(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except FileExistsError:
                return False
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=self._descriptor)
            os.fsync(self._descriptor)
        except OSError as error:
            raise IssuerError(
                f"{self.path / name} cannot be written: {error.strerror}",
                hint="Give the mesh a directory on a local disk that you can write to.",
            ) from error
        return True

    def sweep(self, now_s: float) -> None:
        """Remove what a process that was killed left behind, unless it may still be at work."""
        for name in os.listdir(self._descriptor):  # noqa: PTH208 - by descriptor
            if name.startswith(".ca.") and name.endswith(".tmp"):
                with suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
                    if now_s - status.st_mtime > _ABANDONED_S:
                        os.unlink(name, dir_fd=self._descriptor)


@contextmanager
def open_root_directory(path: Path) -> Iterator[RootDirectory]:
    """Open a directory, or create it. Raises `IssuerError` unless only we can enter."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
    except OSError as error:
        raise IssuerError(
            f"{path} cannot be used for the root certificate: {error.strerror}",
            hint="It must be a directory of yours, and not a symbolic link.",
        ) from error
    try:
        _check_directory(path, os.fstat(descriptor))
        yield RootDirectory(path, descriptor)
    finally:
        os.close(descriptor)


def _check_directory(path: Path, status: os.stat_result) -> None:
    _check_owner(path, status)
    if status.st_mode & 0o077:
        raise IssuerError(
            f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o}); "
            "it holds the root's private key",
            hint=f"If nobody can have read or changed it: chmod 700 {path}",
        )


def _check_file(path: Path, status: os.stat_result, *, private: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise IssuerError(f"{path} is not a regular file", hint="Move it away.")
    _check_owner(path, status)
    if status.st_mode & (0o077 if private else 0o022):
        mode = "600" if private else "644"
        raise IssuerError(
            f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"If nobody can have read or changed it: chmod {mode} {path}",
        )


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise IssuerError(
            f"{path} belongs to user {status.st_uid}, and you are user {os.geteuid()}",
            hint="Run as that user, or choose another directory.",
        )
