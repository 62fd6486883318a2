"""Keeps a node: makes its namespaces and cgroups, leads to its ports, and tidies up behind it.

`python -m tests.kubernetes.keeper DIRECTORY PORT…`. It and the node live as long as its standard
input is open, so that nothing outlives whoever asked for the node, however that ends. Each port of
loopback here leads to the same port of loopback there. What it needs: root, and cgroups of version 1.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "osm-node-"
_NEW_NETWORK = 0x40000000
_UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"),
    *("--fork", "--kill-child=KILL"),
)


def main() -> None:
    directory, ports = Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]
    sweep()
    listening = [socket.create_server(("127.0.0.1", port)) for port in ports]
    groups = _make_cgroups()
    try:
        command = [*_UNSHARE, sys.executable, "-m", "tests.kubernetes.first_process"]
        node = subprocess.Popen(
            [*command, str(directory)],
            preexec_fn=lambda: _enter(groups),  # noqa: PLW1509 there are no threads yet
        )
        inside = _child_of(node)
        (directory / "pid").write_text(str(inside))
        (directory / "network").symlink_to(f"/proc/{inside}/ns/net")
        enter_network(directory / "network")
        asyncio.run(_relay(node, listening))
    finally:
        _remove(groups)
        for state in ("containerd", "kubelet", "etcd"):
            shutil.rmtree(directory / state, ignore_errors=True)


def enter_network(namespace: Path) -> None:
    """Move the calling thread into a network namespace. Sockets that it has stay where they are."""
    with namespace.open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"cannot enter the network {namespace}")


async def _relay(node: subprocess.Popen[bytes], listening: Sequence[socket.socket]) -> None:
    servers = [await asyncio.start_server(_lead, sock=each) for each in listening]
    sys.stdout.write("relay\n")
    sys.stdout.flush()
    await asyncio.to_thread(node.wait)
    for server in servers:
        server.close()


async def _lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    port = writer.get_extra_info("sockname")[1]
    try:
        there = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.transport.abort()
        return
    try:
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
    except OSError:
        pass
    finally:
        there[1].transport.abort()
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(2**16):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


# --- cgroups: a child of our own in each hierarchy, so that kubelet and runc see only that


def _make_cgroups() -> Sequence[Path]:
    groups = []
    for parent in _own_cgroups():
        group = parent / f"{PREFIX}{os.getpid()}"
        group.mkdir()
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (parent / setting).exists():
                (group / setting).write_text((parent / setting).read_text())
                (group / "cgroup.clone_children").write_text("1")
        groups.append(group)
    if not groups:
        raise SystemExit("a node needs cgroups of version 1, and this machine has none")
    return groups


def _own_cgroups() -> Iterator[Path]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers:
            yield CGROUPS / controllers.removeprefix("name=") / path.removeprefix("/")


def _enter(groups: Sequence[Path]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def _remove(groups: Sequence[Path]) -> None:
    """Remove empty cgroups. Processes that were killed may take a moment to leave theirs."""
    deadline = time.monotonic() + 20
    while left := [group for group in groups if group.exists()]:
        for group in left:
            with contextlib.suppress(OSError):  # not empty yet
                for here, _, _ in os.walk(group, topdown=False):
                    Path(here).rmdir()
        if time.monotonic() > deadline:
            sys.stderr.write(f"cgroups are left: {', '.join(map(str, left))}\n")
            return
        time.sleep(0.05)


def sweep() -> None:
    """Remove what a keeper left that was itself killed."""
    for group in [*CGROUPS.rglob(f"{PREFIX}*")]:
        if not Path(f"/proc/{group.name.removeprefix(PREFIX)}").exists():
            _remove([group])


def _child_of(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if pids := children.read_text().split():
            return int(pids[0])
        time.sleep(0.01)
    raise SystemExit("the node's namespaces cannot be made: are we root?")


if __name__ == "__main__":
    main()
