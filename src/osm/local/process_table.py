"""What /proc says about processes: parents, sessions, and which of two with one pid it is.

Standard library only: also used inside of pods.
"""

# ruff: noqa: PTH123, PTH208

import os
import signal
import time
from collections.abc import Iterable
from typing import NamedTuple


class Stat(NamedTuple):
    """The fields of `/proc/<pid>/stat` (proc(5)) that we need. `start` is in ticks since boot."""

    pid: int
    state: str
    parent: int
    session: int
    start: int


def read(pid: int) -> Stat | None:
    """Look a process up; None when there is none, or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may contain anything
    stat = Stat(pid, fields[0], int(fields[1]), int(fields[3]), int(fields[19]))
    return None if stat.state in "ZX" else stat


def read_all() -> list[Stat]:
    """Look up every process that this /proc shows."""
    found = (read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [stat for stat in found if stat is not None]


def command_line(pid: int) -> str:
    """The arguments of a process, separated by spaces; empty when it has none or is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def descendants(stats: Iterable[Stat], ancestor: int) -> list[int]:
    """Everything that a process started, and what those started."""
    children: dict[int, list[int]] = {}
    for stat in stats:
        children.setdefault(stat.parent, []).append(stat.pid)
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Signal processes; those that are gone do not matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def kill_session(session: int) -> None:
    """End whatever is left of a session."""
    kill(stat.pid for stat in read_all() if stat.session == session)


def kill_descendants(ancestor: int, within: float = 2.0) -> None:
    """End everything that this process started; it must reap its children itself or be a reaper."""
    end = time.monotonic() + within
    while (pids := descendants(read_all(), ancestor)) and time.monotonic() < end:
        kill(pids)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.01)
