"""However a cluster ends, nothing of it is left on the machine. A second one runs beside the first."""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.kubernetes.keeper import CGROUPS, PREFIX, sweep

from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parent.parent.parent
UP_WITHIN_S = 180.0
END_LIMIT_S = 60.0
PROGRAMS = {"etcd", "kube-apiserver", "kubelet", "containerd", "coredns"}


@asynccontextmanager
async def cluster() -> AsyncIterator[tuple[asyncio.subprocess.Process, Path, int]]:
    """The process that holds a cluster, the cluster's directory, and its keeper."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kubernetes", "up"),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), UP_WITHIN_S)
        found = re.search(r"KUBECONFIG=(\S+)/certificates/", line.decode())
        assert found, line
        directory = Path(found[1])
        (keeper,) = [pid for pid, command in commands() if f"keeper {directory}" in command]
        assert left_of(directory, keeper) >= PROGRAMS
        yield process, directory, keeper
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    shutil.rmtree(directory, ignore_errors=True)


async def test_a_cluster_ends_with_the_process_that_wanted_it() -> None:
    links = network_links()
    async with cluster() as (process, directory, keeper):
        process.kill()
        await eventually(lambda: not left_of(directory, keeper), "all programs end", within=60)
        assert not [*cgroups(keeper)]
        assert str(directory) not in Path("/proc/self/mounts").read_text()
        assert not (directory / "containerd").exists()
    assert network_links() == links


async def test_it_ends_with_its_keeper_and_the_next_one_tidies_up() -> None:
    async with cluster() as (process, directory, keeper):
        assert [*cgroups(keeper)]
        os.kill(keeper, signal.SIGKILL)
        inside = {"kubelet", "containerd", "coredns"}
        await eventually(lambda: not inside & left_of(directory, keeper), "the node ends")
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), END_LIMIT_S)
        assert not left_of(directory, keeper)
        sweep()
        assert not [*cgroups(keeper)]


def network_links() -> set[str]:
    return {link.name for link in Path("/sys/class/net").iterdir()}


def left_of(directory: Path, keeper: int) -> set[str]:
    """A cluster's programs: those that its directory is named to, and those of its cgroups."""
    group = f"{PREFIX}{keeper}"
    return {
        Path(command.split(" ")[0]).name
        for pid, command in commands()
        if str(directory) in command or group in cgroups_of(pid)
    }


def commands() -> Iterator[tuple[int, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(process.name), command.replace("\0", " ").strip()


def cgroups_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cgroups(keeper: int) -> Iterator[Path]:
    return CGROUPS.rglob(f"{PREFIX}{keeper}")
