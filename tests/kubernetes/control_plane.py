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
from pathlib import Path

from .certificates import Authority, write_kubeconfig, write_signing_key
from .programs import link_programs

START_LIMIT_S = 120.0
SERVICES = "10.96.0.0/16"
PODS = "10.88.0.0/16"
ISSUER = "https://kubernetes.default.svc.cluster.local"
GATES = ",".join(
    f"{gate}=true"
    for gate in (
        "ClusterTrustBundle",
        "ClusterTrustBundleProjection",
        "PodCertificateRequest",
        "MutatingAdmissionPolicy",
    )
)
APIS = ",".join(
    f"{api}=true"
    for api in (
        "certificates.k8s.io/v1beta1/clustertrustbundles",
        "certificates.k8s.io/v1beta1/podcertificaterequests",
        "admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies",
        "admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings",
    )
)


class ControlPlane:
    """A running one. `stop` and `start` of single programs make the faults of tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "bin"
        self._secrets = directory / "certificates"
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._etcd, self._peer, self.port, self._manager, self._scheduler = free_ports(5)
        self.url = f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """Of an administrator."""
        return self._secrets / "admin.kubeconfig"

    @property
    def authority(self) -> Path:
        """The certificate that signed the API server's, PEM."""
        return self._secrets / "ca.crt"

    def client_context(self) -> ssl.SSLContext:
        """TLS as an administrator."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.check_hostname = False
        context.load_cert_chain(self._secrets / "admin.crt", self._secrets / "admin.key")
        return context

    def server_context(self) -> ssl.SSLContext:
        """TLS as the API server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._secrets / "api.crt", self._secrets / "api.key")
        return context

    async def prepare(self) -> None:
        """Make programs and certificates."""
        await asyncio.to_thread(link_programs, self.programs)
        self._secrets.mkdir(mode=0o700)
        authority = Authority(self._secrets, "ca")
        front = Authority(self._secrets, "front-proxy-ca")
        write_signing_key(self._secrets, "accounts")
        service = "kubernetes.default.svc"
        authority.issue(
            "api",
            "kube-apiserver",
            hosts=("localhost", "127.0.0.1", "kubernetes", service, f"{service}.cluster.local"),
        )
        front.issue("front-proxy", "front-proxy")
        authority.issue("admin", "admin", groups=["system:masters"])
        authority.issue("manager", "system:kube-controller-manager")
        authority.issue("scheduler", "system:kube-scheduler")
        for file in ("admin", "manager", "scheduler"):
            write_kubeconfig(self._secrets, file, self.url, authority)

    async def start(self, program: str) -> None:
        """Start a program, and wait until it says that it is ready."""
        arguments, port, path = {
            "etcd": (self._etcd_arguments, self._etcd, "/readyz"),
            "kube-apiserver": (self._api_arguments, self.port, "/readyz"),
            "kube-controller-manager": (self._manager_arguments, self._manager, "/healthz"),
            "kube-scheduler": (self._scheduler_arguments, self._scheduler, "/healthz"),
        }[program]
        log = (self.directory / f"{program}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            str(self.programs / program),
            *arguments(),
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

    async def _wait_ready(
        self, program: str, process: asyncio.subprocess.Process, port: int, path: str
    ) -> None:
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while not await self._answers(port, path, tls=program != "etcd"):
                    if process.returncode is not None:
                        raise RuntimeError(f"{program} ended: {self._last_lines(program)}")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise RuntimeError(f"{program} is not ready: {self._last_lines(program)}") from None

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

    def _last_lines(self, program: str) -> str:
        text = (self.directory / f"{program}.log").read_text(errors="replace")
        return "\n".join(line[:300] for line in text.splitlines()[-10:])

    # --- how each program is told

    def _etcd_arguments(self) -> Sequence[str]:
        own, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        return (
            "--name=test",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={own}",
            f"--advertise-client-urls={own}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def _api_arguments(self) -> Sequence[str]:
        secrets = self._secrets
        return (
            f"--etcd-servers=http://127.0.0.1:{self._etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--allow-privileged=true",
            f"--client-ca-file={secrets / 'ca.crt'}",
            f"--tls-cert-file={secrets / 'api.crt'}",
            f"--tls-private-key-file={secrets / 'api.key'}",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={secrets / 'accounts.pub'}",
            f"--service-account-signing-key-file={secrets / 'accounts.key'}",
            f"--requestheader-client-ca-file={secrets / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={secrets / 'front-proxy.crt'}",
            f"--proxy-client-key-file={secrets / 'front-proxy.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={SERVICES}",
            f"--feature-gates={GATES}",
            f"--runtime-config={APIS}",
            # An address on loopback is no valid endpoint of the Service `kubernetes`.
            "--endpoint-reconciler-type=none",
            "--shutdown-delay-duration=0s",
            "--profiling=false",
        )

    def _manager_arguments(self) -> Sequence[str]:
        secrets = self._secrets
        return (
            *self._client_arguments("manager", self._manager),
            f"--root-ca-file={secrets / 'ca.crt'}",
            f"--service-account-private-key-file={secrets / 'accounts.key'}",
            "--use-service-account-credentials=true",
            f"--cluster-signing-cert-file={secrets / 'ca.crt'}",
            f"--cluster-signing-key-file={secrets / 'ca.key'}",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={PODS}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--feature-gates={GATES}",
        )

    def _scheduler_arguments(self) -> Sequence[str]:
        return self._client_arguments("scheduler", self._scheduler)

    def _client_arguments(self, file: str, port: int) -> Sequence[str]:
        config = self._secrets / f"{file}.kubeconfig"
        return (
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--leader-elect=false",
            # Without it the many controllers wait five seconds for each other at every start.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--profiling=false",
        )


@asynccontextmanager
async def control_plane(directory: Path) -> AsyncIterator[ControlPlane]:
    """Run a control plane with its files in a directory; at the end nothing of it runs any more."""
    cluster = ControlPlane(directory)
    await cluster.prepare()
    try:
        for program in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
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
