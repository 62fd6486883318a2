"""Instructions that proxies execute for a request, counted by callgrind: the same in each run to
some tenths of a percent, where CPU time on a shared machine differs by several.

Only user space is counted; what the kernel does for a request does not depend on filters.
"""

import asyncio
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.data_plane.processes import output_of
from bench.data_plane.rig import Pair, Rig

CONNECTIONS = 16
_WARM_UP = 160
_IDLE_S = 1.0


class Count(msgspec.Struct, frozen=True):
    """Instructions for each request, in the client's proxy and in the server's."""

    client: float
    server: float

    @property
    def pair(self) -> float:
        return self.client + self.server


def callgrind(directory: Path) -> Sequence[str]:
    """What goes before Envoy's command. Counting is off until `count` turns it on."""
    return (
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={directory}/callgrind.%p",
    )


def is_available() -> bool:
    """Whether valgrind is there."""
    return bool(shutil.which("valgrind") and shutil.which("callgrind_control"))


async def count(rig: Rig, pair: Pair, *, requests: int) -> Count:
    """Count twice, keep the lower of each, and stop the pair.

    What both do without requests is taken off: callgrind makes requests take a hundred times as
    long, and timers do not wait for it.
    """
    await rig.load(pair, connections=CONNECTIONS, requests=_WARM_UP)
    for pid in pair.pids:
        await output_of(["callgrind_control", "-i", "on", str(pid)])
    await rig.load(pair, connections=CONNECTIONS, requests=_WARM_UP)
    await _totals(rig, pair)
    begun = time.monotonic()
    await asyncio.sleep(_IDLE_S)
    idle = await _totals(rig, pair)
    rested = time.monotonic() - begun
    counts: list[list[float]] = []
    for _ in range(2):
        begun = time.monotonic()
        driven = await rig.load(pair, connections=CONNECTIONS, requests=requests)
        busy = await _totals(rig, pair)
        share = (time.monotonic() - begun) / rested
        counts.append([(b - i * share) / driven.requests for b, i in zip(busy, idle, strict=True)])
    await rig.stop(pair)
    client, server = (min(side) for side in zip(*counts, strict=True))
    return Count(client, server)


async def _totals(rig: Rig, pair: Pair) -> list[int]:
    """Instructions of both since the last time that this was asked."""
    return [await _total(pid, rig.directory) for pid in pair.pids]


async def _total(pid: int, directory: Path) -> int:
    await output_of(["callgrind_control", "-d", str(pid)])
    dump = max(directory.glob(f"callgrind.{pid}.*"), key=lambda path: int(path.suffix[1:]))
    found = re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)
    dump.unlink()
    if found is None:
        raise RuntimeError(f"callgrind gave no total for process {pid}")
    return int(found[1])
