"""The directory of a running mesh: its lock, who runs it, and a private directory for each pod.

`$XDG_RUNTIME_DIR/osm/<mesh>` where that is short enough for unix sockets, else
`/tmp/osm-<uid>/<mesh>`. Everything in it goes when the mesh ends; what a SIGKILL left is cleaned at
the next start.
"""

import asyncio
import fcntl
import os
import re
import shutil
import signal
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from osm.errors import NotRunningError, PlatformError, UsageError
from osm.local import process_table

LONGEST_SOCKET_PATH = 107
"""Bytes: `sun_path` (unix(7)) without its final zero."""

_LONGEST_SOCKET_NAME = len("/in.65535.sock")
_SHORTEST_POD_NAME = 24
_MESH_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
_MOST_TRIES = 100
_RUN_FILE = "run.json"
_LOCK_FILE = "lock"


class RunningProcess(msgspec.Struct, frozen=True):
    """A process that cannot be mistaken for another one that got its pid later."""

    pid: int
    start: int
    command: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Describe a process; None when it is gone."""
        found = process_table.read(pid)
        return cls(pid, found.start, process_table.command_line(pid)) if found else None

    @property
    def alive(self) -> bool:
        """Whether it still runs, and is the same."""
        found = process_table.read(self.pid)
        return (
            found is not None
            and found.start == self.start
            and process_table.command_line(self.pid) == self.command
        )


class Run(msgspec.Struct, frozen=True):
    """What `run.json` says: the supervisor, and the pods' agents."""

    supervisor: RunningProcess
    agents: tuple[RunningProcess, ...] = ()


def runtime_base(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the directories of this user's meshes are."""
    given = environment.get("XDG_RUNTIME_DIR", "")
    if given and os.access(given, os.W_OK):
        base = Path(given) / "osm"
        if len(os.fsencode(base)) + 1 + 20 + len("/pods/") <= _longest_pods_path():
            return base
    return Path("/tmp") / f"osm-{os.geteuid()}"  # noqa: S108 - see `_private_directory`


def mesh_directory(mesh: str, base: Path | None = None) -> Path:
    """Where one mesh runs; raises `UsageError` for a name that cannot be a directory's."""
    if not _MESH_NAME.fullmatch(mesh):
        raise UsageError(
            f"{mesh!r} cannot be the name of a mesh",
            hint="Use at most 20 lower-case letters, digits and dashes.",
        )
    return (base or runtime_base()) / mesh


def pod_directory_name(namespace: str, name: str, longest: int) -> str:
    """`<namespace>.<name>`, or as much of it as fits and a hash."""
    full = f"{namespace}.{name}"
    if len(full) <= longest:
        return full
    return f"{full[: longest - 9]}-{blake2b(full.encode(), digest_size=4).hexdigest()}"


class RuntimeDirectory:
    """The directory of a mesh that we run. A context manager: locked inside, and gone after."""

    def __init__(self, mesh: str, *, base: Path | None = None) -> None:
        self.mesh = mesh
        self.base = base or runtime_base()
        self.path = mesh_directory(mesh, self.base)
        self._lock = -1
        self._agents: dict[int, RunningProcess] = {}

    def __enter__(self) -> Self:
        self._take_lock()
        try:
            self._clean_up_after_predecessor()
            self._pods.mkdir(mode=0o700)
            self._write_run()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # While the lock is held: who has opened the file sees that it is gone, and makes a new one.
        shutil.rmtree(self.path, ignore_errors=True)
        self._release()
        with suppress(OSError):  # other meshes
            self.base.rmdir()

    @property
    def _pods(self) -> Path:
        return self.path / "pods"

    def pod(self, namespace: str, name: str) -> Path:
        """The private directory of a pod; made when it is not there."""
        longest = LONGEST_SOCKET_PATH - _LONGEST_SOCKET_NAME - len(os.fsencode(self._pods)) - 1
        path = self._pods / pod_directory_name(namespace, name, longest)
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def remove_pod(self, namespace: str, name: str) -> None:
        """Delete a pod's directory."""
        shutil.rmtree(self.pod(namespace, name), ignore_errors=True)

    def add_agent(self, pid: int) -> None:
        """Remember a pod's agent, so that a successor can end it should we be killed."""
        if (process := RunningProcess.of(pid)) is not None:
            self._agents[pid] = process
            self._write_run()

    def remove_agent(self, pid: int) -> None:
        """Forget an agent that ended."""
        if self._agents.pop(pid, None) is not None:
            self._write_run()

    def _take_lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        for _ in range(_MOST_TRIES):
            try:
                _private_directory(self.base)
                _private_directory(self.path)
                lock = os.open(self.path / _LOCK_FILE, flags, 0o600)
            except FileNotFoundError:  # one that ended took the directory away at this moment
                continue
            except OSError as error:
                raise PlatformError(f"{self.path / _LOCK_FILE}: {error.strerror}") from error
            if not _lock(lock):
                os.close(lock)
                raise PlatformError(
                    f"mesh {self.mesh} is already running{_by_whom(self.path)}",
                    hint="End it with `osm down`, or choose another name with `--mesh`.",
                )
            if _same_file(lock, self.path / _LOCK_FILE):
                self._lock = lock
                return
            os.close(lock)
        raise PlatformError(f"{self.path} cannot be made", hint=f"Is there a {self.base.parent}?")

    def _release(self) -> None:
        os.close(self._lock)
        self._lock = -1

    def _clean_up_after_predecessor(self) -> None:
        run = read_run(self.path)
        if run is not None:
            _end_agents(run.agents)
        for entry in self.path.iterdir():
            if entry.name == _LOCK_FILE:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _write_run(self) -> None:
        supervisor = RunningProcess.of(os.getpid())
        if supervisor is None:
            raise PlatformError("/proc does not show this process")
        data = msgspec.json.encode(Run(supervisor, tuple(self._agents.values())))
        new = self.path / f"{_RUN_FILE}.new"
        new.write_bytes(data)
        new.replace(self.path / _RUN_FILE)


def read_run(path: Path) -> Run | None:
    """Who runs, or ran, the mesh of this directory; None when nothing readable says so."""
    try:
        return msgspec.json.decode((path / _RUN_FILE).read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError):
        return None


def is_running(path: Path) -> bool:
    """Whether someone holds the lock of a mesh's directory."""
    try:
        lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


async def down(mesh: str, *, base: Path | None = None, timeout: float = 30.0) -> None:
    """End a running mesh and wait until it is gone; raises `NotRunningError` when there is none.

    What a mesh that was killed left behind is cleaned, too.
    """
    path = mesh_directory(mesh, base)
    run = read_run(path)
    if not is_running(path):
        if path.is_dir():
            with RuntimeDirectory(mesh, base=base):
                pass  # cleans what was left
        raise NotRunningError(f"no mesh {mesh} is running")
    if run is None or not run.supervisor.alive:
        raise PlatformError(f"{path / _RUN_FILE} does not say which process runs mesh {mesh}")
    os.kill(run.supervisor.pid, signal.SIGTERM)
    end = time.monotonic() + timeout
    while run.supervisor.alive:
        if time.monotonic() > end:
            raise PlatformError(
                f"mesh {mesh} does not end; its process is {run.supervisor.pid}",
                hint=f"`kill -9 {run.supervisor.pid}` ends it; the next start cleans up.",
            )
        await asyncio.sleep(0.05)


def _longest_pods_path() -> int:
    return LONGEST_SOCKET_PATH - _LONGEST_SOCKET_NAME - 1 - _SHORTEST_POD_NAME


def _private_directory(path: Path) -> None:
    """Make a directory that only we can use; refuse one that somebody else prepared."""
    try:
        path.mkdir(mode=0o700, parents=False)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PlatformError(f"{path}: {error.strerror}") from error
    found = path.lstat()
    problem = ""
    if not stat.S_ISDIR(found.st_mode):
        problem = "is not a directory"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to user {found.st_uid}"
    elif found.st_mode & 0o077:
        problem = "can be used by others"
    if problem:
        raise PlatformError(
            f"{path} {problem}, and cannot hold keys", hint=f"Remove it: `rm -rf {path}`."
        )


def _lock(descriptor: int) -> bool:
    """Take a lock, and be patient for a moment: `is_running` holds it for an instant."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _by_whom(path: Path) -> str:
    run = read_run(path)
    return f" as process {run.supervisor.pid}" if run else ""


def _end_agents(agents: Iterable[RunningProcess], within: float = 3.0) -> None:
    """End the pods of a killed mesh, if any still run; each takes along what runs in it."""
    waiting = list(agents)
    end = time.monotonic() + within
    while (waiting := [agent for agent in waiting if agent.alive]) and time.monotonic() < end:
        below = process_table.read_all()
        for agent in waiting:
            process_table.kill([agent.pid, *process_table.descendants(below, agent.pid)])
        time.sleep(0.02)
