"""A real Kubernetes control plane on loopback: etcd, API server, controller manager, scheduler.

It needs no privileges and no node. What it is for: objects, watches, admission, tokens, leases.
"""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from .arguments import (
    LOOPBACK,
    SERVICES,
    Place,
    Ports,
    api_arguments,
    etcd_arguments,
    manager_arguments,
    scheduler_arguments,
)
from .certificates import Authority, write_kubeconfig, write_signing_key
from .programs import link_programs

START_LIMIT_S = 120.0
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ALONE = Place()


class ControlPlane:
    """A running one. `stop` and `start` of single programs make the faults of tests."""

    def __init__(self, directory: Path, place: Place = ALONE) -> None:
        self.directory = directory
        self.programs = directory / "bin"
        self.secrets = directory / "certificates"
        self.ports = Ports(*free_ports(5))
        self.port = self.ports.api
        self.url = f"https://{LOOPBACK}:{self.port}"
        self._place = place
        self._running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def kubeconfig(self) -> Path:
        """Of an administrator."""
        return self.secrets / "admin.kubeconfig"

    @property
    def authority(self) -> Path:
        """The certificate that signed the API server's, PEM."""
        return self.secrets / "ca.crt"

    def client_context(self) -> ssl.SSLContext:
        """TLS as an administrator."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.check_hostname = False
        context.load_cert_chain(self.secrets / "admin.crt", self.secrets / "admin.key")
        return context

    def server_context(self) -> ssl.SSLContext:
        """TLS as the API server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.secrets / "api.crt", self.secrets / "api.key")
        return context

    async def prepare(self) -> Authority:
        """Make programs and certificates; returns who signed these."""
        await asyncio.to_thread(link_programs, self.programs)
        self.secrets.mkdir(mode=0o700)
        authority = Authority(self.secrets, "ca")
        front = Authority(self.secrets, "front-proxy-ca")
        write_signing_key(self.secrets, "accounts")
        service = "kubernetes.default.svc"
        authority.issue(
            "api",
            "kube-apiserver",
            hosts=(
                *("localhost", LOOPBACK, "kubernetes", service, f"{service}.cluster.local"),
                *self._hosts(),
            ),
        )
        front.issue("front-proxy", "front-proxy")
        authority.issue("admin", "admin", groups=["system:masters"])
        authority.issue("manager", "system:kube-controller-manager")
        authority.issue("scheduler", "system:kube-scheduler")
        for file in ("admin", "manager", "scheduler"):
            write_kubeconfig(self.secrets, file, self.url, authority)
        return authority

    async def start(self, program: str) -> None:
        """Start a program, and wait until it says that it is ready."""
        arguments, port, path = self._told(program)
        log = (self.directory / f"{program}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            *self._place.prefix,
            str(self.programs / program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )
        log.close()
        self._running[program] = process
        await self._wait_ready(program, process, port, path)

    async def stop(self, program: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a program, by default at once."""
        process = self._running.pop(program)
        if process.returncode is None:
            process.send_signal(number)
        await process.wait()

    async def stop_all(self) -> None:
        for program in reversed(list(self._running)):
            await self.stop(program)

    async def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl as an administrator; raises `RuntimeError` with what it says when it fails."""
        process = await asyncio.create_subprocess_exec(
            str(self.programs / "kubectl"),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "KUBECONFIG": str(self.kubeconfig),
            },
        )
        out, error = await asyncio.wait_for(process.communicate(text.encode()), 60)
        if process.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {error.decode()}")
        return out.decode()

    async def make_namespace(self, name: str) -> None:
        """A namespace in which pods can be made."""
        await self.kubectl("create", "namespace", name)
        await self.until_pods_can_be_made(name)

    async def until_pods_can_be_made(self, namespace: str) -> None:
        """Its first account comes a moment later than the namespace."""
        account = ("serviceaccount/default", "--for=create", "--timeout=30s")
        await self.kubectl("--namespace", namespace, "wait", *account)

    def _told(self, program: str) -> tuple[Sequence[str], int, str]:
        """A program's arguments, and the port and path where it says that it is ready."""
        ports, secrets = self.ports, self.secrets
        match program:
            case "etcd":
                return etcd_arguments(ports, self.directory / "etcd"), ports.etcd, "/readyz"
            case "kube-apiserver":
                return api_arguments(ports, secrets, self._place), ports.api, "/readyz"
            case "kube-controller-manager":
                return manager_arguments(ports, secrets), ports.manager, "/healthz"
            case "kube-scheduler":
                return scheduler_arguments(ports, secrets), ports.scheduler, "/healthz"
        raise ValueError(f"{program} is no program of a control plane")

    def _hosts(self) -> Sequence[str]:
        """How pods and kubelets call the API server: the Service's address is the range's first."""
        address = self._place.address
        return (address, str(next(ip_network(SERVICES).hosts()))) if address else ()

    async def _wait_ready(
        self, program: str, process: asyncio.subprocess.Process, port: int, path: str
    ) -> None:
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while not await self._answers(port, path, tls=program != "etcd"):
                    if process.returncode is not None:
                        raise RuntimeError(f"{program} ended: {self.last_lines(program)}")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise RuntimeError(f"{program} is not ready: {self.last_lines(program)}") from None

    async def _answers(self, port: int, path: str, *, tls: bool) -> bool:
        context = None
        if tls:
            # Whether it is ready, not who it is: the controller manager signs its own certificate.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                try:
                    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                    line = await reader.readline()
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError):
            return False
        return b" 200 " in line

    def last_lines(self, program: str) -> str:
        text = (self.directory / f"{program}.log").read_text(errors="replace")
        return "\n".join(line[:300] for line in text.splitlines()[-10:])


@asynccontextmanager
async def control_plane(directory: Path) -> AsyncIterator[ControlPlane]:
    """Run a control plane with its files in a directory; at the end nothing of it runs any more."""
    cluster = ControlPlane(directory)
    await cluster.prepare()
    try:
        for program in PROGRAMS:
            await cluster.start(program)
        yield cluster
    finally:
        await cluster.stop_all()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
