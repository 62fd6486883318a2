"""What the kernel says of another process: its CPU time and its memory."""

import os
import platform
import time
from pathlib import Path

import msgspec

_CPUCLOCK_SCHED = 2
MEBIBYTE = 1024 * 1024


class Memory(msgspec.Struct, frozen=True):
    """In bytes. `private` is what nobody else shares: what goes when the process goes."""

    resident: int
    private: int


def cpu_ns(pid: int) -> int:
    """User and system time of all threads of a process so far, in ns (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)


def memory(pid: int) -> Memory:
    """Read a process's memory from its mappings."""
    kilobytes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return Memory(kilobytes["Rss"] * 1024, private * 1024)


def machine() -> str:
    """The machine in a line, without names."""
    system = os.uname()
    cores = len(os.sched_getaffinity(0))
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    kernel = system.release.partition("-")[0]
    return (
        f"{cores} cores (shared), {gibibytes:.0f} GiB, {system.sysname} {kernel}, "
        f"{system.machine}, Python {platform.python_version()}"
    )
