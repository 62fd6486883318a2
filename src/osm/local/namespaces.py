"""The system calls that make a pod: namespaces, mounts, capabilities, death signals (Linux).

By ctypes, because `os.unshare` and `os.setns` came with Python 3.12. Standard library only: this is
imported inside of pods. Constants are those of the kernel's uapi headers.
"""

# ruff: noqa: PTH123

import ctypes
import errno
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

POD = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
"""What a pod has of its own, beside a user namespace where that is how we came to be allowed."""

_NAMES = {
    CLONE_NEWUSER: "user",
    CLONE_NEWNET: "network",
    CLONE_NEWNS: "mount",
    CLONE_NEWPID: "process",
    CLONE_NEWIPC: "IPC",
    CLONE_NEWUTS: "UTS",
}

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 1 << 19

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_POSSIBLE_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    """Raise what went wrong; the error's `filename` says at what."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def describe(error: BaseException) -> str:
    """Say at which step something failed, and why."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        if error.errno == errno.ENOSPC:  # user_namespaces(7): what the kernel says of its limits
            text += " (a limit such as user.max_user_namespaces is reached)"
        return text
    return str(error) or type(error).__name__


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. A new PID namespace begins with the next child."""
    names = [name for flag, name in _NAMES.items() if flags & flag]
    _check(_libc.unshare(flags), f"new {'+'.join(names)} namespace")


def join(path: str, kind: int) -> None:
    """Enter the namespace that a file of `/proc/<pid>/ns` stands for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, kind), f"enter {path}")
    finally:
        os.close(descriptor)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Make a file system or directory appear at another place (mount(2))."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            data.encode() or None,
        ),
        f"mount {target}",
    )


def keep_mounts_private() -> None:
    """Let no later mount of ours reach the namespace that we came from."""
    mount("none", "/", flags=MS_REC | MS_SLAVE)


def mount_proc() -> None:
    """Show the present PID namespace at /proc."""
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def hide(directory: str) -> None:
    """Cover a directory with an empty one."""
    mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555")


def map_user(inside_uid: int, outside_uid: int, inside_gid: int, outside_gid: int) -> None:
    """Name the one user and group of the new user namespace (user_namespaces(7))."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside_uid} {outside_uid} 1"),
        ("gid_map", f"{inside_gid} {outside_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def die_with_parent(signal_number: int, parent: int) -> None:
    """Get a signal when the parent ends; end at once when it already has.

    The setting is lost by fork, and by changes of credentials: set it last.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "parent-death signal")
    if os.getppid() != parent:
        os._exit(1)


def set_host_name(name: str) -> None:
    """Give this UTS namespace a host name; what is too long is cut, as Kubernetes does."""
    data = name.encode()[:63]
    _check(_libc.sethostname(data, len(data)), "host name")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "child subreaper")


def give_up_privileges() -> None:
    """Drop every capability, for ever and for all children.

    Neither set-uid files nor uid 0 bring one back.
    """
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(_LAST_POSSIBLE_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            number = ctypes.get_errno()
            if number == errno.EINVAL:  # past the kernel's last capability
                break
            if number != errno.EPERM:  # EPERM: nothing to drop for someone who has nothing
                raise OSError(number, os.strerror(number), "drop capabilities")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "drop capabilities")
