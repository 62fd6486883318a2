"""How a program starts inside of a pod, and what holds it there.

A proxy runs in the pod's namespaces without capabilities. An application's container has process
and mount namespaces of its own besides, where its proxy, the mesh's sockets and all keys are out of
sight; process 1 in there (`_hold`) forwards signals and reaps, and when the application ends, the
kernel ends all that it left behind. Each program gets a user namespace in which it is the person
who runs the mesh, and which has no power over the pod's network. Standard library only: this runs
in pods.
"""

# ruff: noqa: PTH123, PTH208

import os
import signal
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, NoReturn

from osm.local import namespaces

NOT_STARTED = 127
"""Exit code of what could not be executed, as in shells."""


class Isolation(StrEnum):
    """How pods are kept apart: by namespaces as root, by user namespaces, or not at all."""

    ROOT = "root"
    USER = "user"
    NONE = "none"


class Program(NamedTuple):
    """What to execute. `uid` and `gid` are those that it shall see itself as."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    uid: int
    gid: int


class Failure(Exception):
    """A program did not start; the text says at which step, and why."""


def exit_code(status: int) -> int:
    """What wait(2) said, as a shell or Kubernetes would put it: 128 + signal."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def start(program: Program, stdio: Sequence[int], isolation: Isolation) -> int:
    """Start a program in this process's namespaces: a proxy, or all when nothing is isolated."""
    parent = os.getpid()
    confined = isolation is not Isolation.NONE
    return _fork(
        lambda report: _become(program, stdio, report, parent, confined=confined, own_user=False)
    )


def start_container(program: Program, stdio: Sequence[int], hidden: Sequence[str]) -> int:
    """Start an application in a container of its own; gives the pid of its process 1."""
    namespaces.unshare(namespaces.CLONE_NEWPID)
    try:
        return _fork(lambda report: _hold(program, stdio, hidden, report))
    finally:
        namespaces.join("/proc/self/ns/pid", namespaces.CLONE_NEWPID)


def start_inside(program: Program, stdio: Sequence[int], container: int) -> int:
    """Start one more program in a container, as `kubectl exec` does."""
    parent = os.getpid()
    return _fork(lambda report: _enter(program, stdio, container, report, parent))


def _fork(run: Callable[[int], NoReturn]) -> int:
    """Run something in a child until it executes; raises `Failure` with what the child reports."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _report_failure(writing, lambda: run(writing))
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as report:
        problem = report.read()
    if problem:
        os.waitpid(pid, 0)
        raise Failure(problem)
    return pid


def _report_failure(report: int, run: Callable[[], NoReturn]) -> NoReturn:
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - a forked child never returns into its parent's code
        os.write(report, namespaces.describe(error).encode(errors="replace"))
    os._exit(NOT_STARTED)


def _hold(program: Program, stdio: Sequence[int], hidden: Sequence[str], report: int) -> NoReturn:
    everything = signal.valid_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    namespaces.die_with_parent(signal.SIGKILL, 0)  # the parent is outside of our PID namespace: 0
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.keep_mounts_private()
    namespaces.mount_proc()
    for directory in hidden:
        namespaces.hide(directory)
    child = os.fork()
    if child == 0:
        _report_failure(
            report,
            lambda: _become(program, stdio, report, 1, confined=True, own_user=True),
        )
    _close_all_but()
    while True:
        received = signal.sigwait(everything)
        if received != signal.SIGCHLD:
            os.kill(child, received)
            continue
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == child:
                os._exit(exit_code(ended[1]))


def _enter(
    program: Program, stdio: Sequence[int], container: int, report: int, parent: int
) -> NoReturn:
    namespaces.die_with_parent(signal.SIGKILL, parent)
    namespaces.join(f"/proc/{container}/ns/pid", namespaces.CLONE_NEWPID)
    namespaces.join(f"/proc/{container}/ns/mnt", namespaces.CLONE_NEWNS)
    child = os.fork()
    if child == 0:
        _report_failure(
            report,
            lambda: _become(program, stdio, report, 0, confined=True, own_user=True),
        )
    os.close(report)
    os._exit(exit_code(os.waitpid(child, 0)[1]))


def _become(
    program: Program,
    stdio: Sequence[int],
    report: int,
    parent: int,
    *,
    confined: bool,
    own_user: bool,
) -> NoReturn:
    """Turn this process into the program."""
    os.setsid()
    for number, descriptor in enumerate(stdio):
        os.dup2(descriptor, number)
    _close_all_but(*range(len(stdio)), report)
    if own_user:
        _enter_user_namespace(program)
    if confined:
        namespaces.give_up_privileges()
    _restore_signals()
    namespaces.die_with_parent(signal.SIGKILL, parent)
    try:
        os.chdir(program.cwd)
    except OSError as error:
        raise Failure(f"working directory {program.cwd}: {error.strerror}") from error
    try:
        os.execvpe(program.argv[0], program.argv, program.env)  # noqa: S606
    except OSError as error:
        raise Failure(f"{program.argv[0]}: {error.strerror}") from error


def _enter_user_namespace(program: Program) -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
    except OSError:
        # Only root comes here without being allowed to make user namespaces.
        if (program.uid, program.gid) != (uid, gid):
            os.setgroups([])
            os.setresgid(program.gid, program.gid, program.gid)
            os.setresuid(program.uid, program.uid, program.uid)
        return
    namespaces.map_user(program.uid, uid, program.gid, gid)


def _restore_signals() -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):  # Python had changed these
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _close_all_but(*kept: int) -> None:
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - set(kept):
        try:
            os.close(descriptor)
        except OSError:  # the one that listed the directory
            continue
