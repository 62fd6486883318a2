"""A whole cluster of one node: a control plane, and a machine of its own namespaces that runs pods.

It needs root, Debian's packages of `PACKAGES`, and cgroups of version 1. The control plane's programs run in
the node's network, so that they reach pods and Services; a relay leads there from loopback here, so
that `ControlPlane`, its kubeconfig and `fault_proxy` are used as those of a control plane alone.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from .arguments import Place
from .certificates import Authority, write_kubeconfig
from .control_plane import PROGRAMS, ControlPlane
from .first_process import ADDRESS, NAME
from .images import build_all, build_pause
from .keeper import enter_network
from .node_files import node_objects, write_node_files

Answer = TypeVar("Answer")

ROOT = Path(__file__).parent.parent.parent
START_LIMIT_S = 180.0
STOP_LIMIT_S = 120.0
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""By a program of each."""


class Node(ControlPlane):
    """A control plane with a node. `begin` and `end` of the node's programs make faults, too."""

    def __init__(self, directory: Path) -> None:
        inside = ("nsenter", f"--net={directory / 'network'}", "--")
        place = Place(("setpriv", "--pdeathsig", "KILL", *inside), ADDRESS)
        super().__init__(directory, place)
        self._keeper: asyncio.subprocess.Process | None = None
        self._said: set[str] = set()
        self._listening: asyncio.Task[None] | None = None

    async def bring_up(self) -> None:
        """Start everything, and wait until pods can be made and names are resolved."""
        authority = await self.prepare()
        self._prepare_node(authority)
        await self._keep()
        self.begin("containerd", "containerd", "--config", str(self.directory / "containerd.toml"))
        await self._until(self._has_containerd, "containerd")
        first = asyncio.create_task(self._import(build_pause))
        others = asyncio.create_task(self._import(build_all))
        try:
            for program in PROGRAMS:
                await self.start(program)
            coredns = (self.programs / "coredns").resolve()
            await self.kubectl("apply", "-f", "-", text=node_objects(coredns))
            await first
            self._begin_kubelet()
            await self._until(self._is_ready, "the node")
            await others
        finally:
            first.cancel()
            others.cancel()
            await asyncio.gather(first, others, return_exceptions=True)
        await self._until(self._resolves, "CoreDNS")

    async def take_down(self) -> None:
        """End everything; nothing of it is left."""
        await self.stop_all()
        if self._keeper is not None:
            assert self._keeper.stdin is not None  # it is a pipe, see `_keep`
            self._keeper.stdin.close()
            await asyncio.wait_for(self._keeper.wait(), STOP_LIMIT_S)
        if self._listening is not None:
            await self._listening

    async def import_image(self, archive: Path) -> None:
        """Give the node an image; pods then use it by its name."""
        await self.run_inside(
            *("ctr", "--namespace", "k8s.io", "images", "import", str(archive)), limit_s=120
        )

    def begin(self, name: str, *arguments: str) -> None:
        """Start a program in all of the node's namespaces."""
        self._tell({"start": name, "arguments": arguments})

    def end(self, name: str) -> None:
        """End such a program at once."""
        self._tell({"kill": name})

    async def run_inside(self, *command: str, limit_s: float = 60.0) -> str:
        """Run a command in all of the node's namespaces, such as `ctr` or `nft list ruleset`."""
        pid = (self.directory / "pid").read_text()
        spaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup")
        return await _run("nsenter", "--target", pid, *spaces, "--", *command, limit_s=limit_s)

    async def run_in_network(self, *command: str, limit_s: float = 60.0) -> str:
        """Run a command of here in the node's network, where pods and Services have addresses."""
        network = f"--net={self.directory / 'network'}"
        return await _run("nsenter", network, "--", *command, limit_s=limit_s)

    async def call_in_network(self, function: Callable[[], Answer]) -> Answer:
        """Call a function in a thread that is in the node's network: `lambda: httpx2.get(url)`."""

        def call() -> Answer:
            enter_network(self.directory / "network")
            return function()

        return await _in_own_thread(call)

    async def listen(self) -> socket.socket:
        """A socket that pods reach at the node's address; whoever serves on it stays here."""
        return await self.call_in_network(lambda: socket.create_server((ADDRESS, 0)))

    # --- bringing it up

    def _prepare_node(self, authority: Authority) -> None:
        hosts = (NAME, "localhost", "127.0.0.1", ADDRESS)
        authority.issue("kubelet-server", f"system:node:{NAME}", hosts=hosts)
        authority.issue("kubelet-client", "api-server", groups=["system:masters"])
        authority.issue("kubelet", f"system:node:{NAME}", groups=["system:nodes"])
        authority.issue("proxy", "system:kube-proxy")
        for file in ("kubelet", "proxy"):
            write_kubeconfig(self.secrets, file, self.url, authority)
        write_node_files(self.directory, self.secrets)

    async def _keep(self) -> None:
        """Start the keeper, and wait until the namespaces and the way there exist."""
        ports = self.ports
        led = (ports.etcd, ports.api, ports.manager, ports.scheduler)
        with (self.directory / "node.log").open("ab") as log:
            self._keeper = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.kubernetes.keeper",
                str(self.directory),
                *map(str, led),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._listening = asyncio.create_task(self._listen(self._keeper))
        await self._until(self._is_kept, "the node's namespaces")

    async def _listen(self, keeper: asyncio.subprocess.Process) -> None:
        assert keeper.stdout is not None  # it is a pipe
        while line := await keeper.stdout.readline():
            self._said.add(line.decode().strip())

    async def _is_kept(self) -> bool:
        return {"ready", "relay"} <= self._said

    async def _is_ready(self) -> bool:
        asked = ("get", "node", NAME, "--ignore-not-found", "-o", "json")
        text = await self.kubectl(*asked)
        conditions = json.loads(text)["status"]["conditions"] if text else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    async def _resolves(self) -> bool:
        path = "jsonpath={.status.readyReplicas}"
        asked = ("get", "deployment", "coredns", "-o", path)
        return await self.kubectl("--namespace", "kube-system", *asked) == "1"

    async def _import(self, build: Callable[[], Path]) -> None:
        await self.import_image(await asyncio.to_thread(build))

    async def _has_containerd(self) -> bool:
        try:
            await self.run_inside("ctr", "version")
        except RuntimeError:
            return False
        return True

    def _begin_kubelet(self) -> None:
        self.begin(
            "kubelet",
            str(self.programs / "kubelet"),
            f"--config={self.directory / 'kubelet.yaml'}",
            f"--kubeconfig={self.secrets / 'kubelet.kubeconfig'}",
            f"--root-dir={self.directory / 'kubelet'}",
            f"--cert-dir={self.directory / 'kubelet' / 'pki'}",
            f"--hostname-override={NAME}",
            f"--node-ip={ADDRESS}",
        )
        settings = self.directory / "kube-proxy.yaml"
        self.begin("kube-proxy", str(self.programs / "kube-proxy"), f"--config={settings}")

    async def _until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while not await holds():
                    if ended := sorted(each for each in self._said if each.startswith("ended")):
                        raise RuntimeError(f"{ended[0]}: {self.last_lines(ended[0].split()[1])}")
                    if self._keeper is None or self._keeper.returncode is not None:
                        raise RuntimeError(f"there is no node: {self.last_lines('node')}")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise RuntimeError(f"{what} took too long: {self.last_lines('kubelet')}") from None

    def _tell(self, order: object) -> None:
        assert self._keeper is not None and self._keeper.stdin is not None  # see `_keep`
        self._keeper.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def running_node(directory: Path) -> AsyncIterator[Node]:
    """A cluster with its files in a directory; at the end nothing of it is left but its logs."""
    require_packages()
    node = Node(directory)
    try:
        await node.bring_up()
        yield node
    finally:
        await node.take_down()


def missing_packages() -> Sequence[str]:
    """Debian's packages that a node needs, and that are not here."""
    return sorted({package for name, package in PACKAGES.items() if shutil.which(name) is None})


def require_packages() -> None:
    """Raise `RuntimeError` where no node can run."""
    if os.geteuid():
        raise RuntimeError("a node needs root: run its tests as root")
    if missing := missing_packages():
        raise RuntimeError(
            f"a node needs {', '.join(missing)}: `python -m tests.kubernetes packages` installs that"
        )


def install_packages() -> None:
    """Install what a node needs, if it is missing; raises `RuntimeError` if that is not possible."""
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        raise RuntimeError(
            f"a node needs {', '.join(missing)} (Debian's names), and only root can install that"
        )
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update",), ("install", "-y", "--no-install-recommends", *missing)):
        subprocess.run(["apt-get", "-qq", *command], check=True, env=quiet, timeout=600)


async def _run(*command: str, limit_s: float) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), limit_s)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {error.decode()}")
    return out.decode()


async def _in_own_thread(function: Callable[[], Answer]) -> Answer:
    """Not in a pool's: the thread is in another network for the rest of its life."""
    with ThreadPoolExecutor(1) as alone:
        return await asyncio.get_running_loop().run_in_executor(alone, function)
