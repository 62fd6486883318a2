"""Probes of a container: HTTP, TCP or a command, by Kubernetes' rules and defaults."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping

from osm.core.api.kubernetes import Container, ExecAction, HttpGetAction, Probe
from osm.errors import PlatformError
from osm.local.sandbox import Command, Process, Sandbox


class Target:
    """A running container, as probes reach it."""

    def __init__(
        self,
        sandbox: Sandbox,
        container: Container,
        process: Process,
        *,
        address: str,
        environment: Mapping[str, str],
        directory: str,
    ) -> None:
        self._sandbox = sandbox
        self._container = container
        self._process = process
        self._address = address
        self._environment = environment
        self._directory = directory

    async def check(self, probe: Probe) -> str:
        """Probe once; gives what is wrong, and nothing when all is well."""
        try:
            async with asyncio.timeout(probe.timeout_seconds):
                if probe.http_get is not None:
                    return await self._http(probe.http_get)
                if probe.tcp_socket is not None:
                    with await self._dial(probe.tcp_socket.port, probe.tcp_socket.host):
                        return ""
                if probe.grpc is not None:
                    # Whether it listens; gRPC's health protocol itself is not spoken here.
                    with await self._dial(probe.grpc.port, ""):
                        return ""
                if probe.exec is not None:
                    return await self._execute(probe.exec)
        except TimeoutError:
            return f"no answer within {probe.timeout_seconds} s"
        except (OSError, PlatformError) as error:
            return str(error)
        return ""

    async def _dial(self, port: int | str, host: str) -> socket.socket:
        number = _port_number(self._container, port)
        if number is None:
            raise ConnectionError(f"the container has no port {port}")
        return await self._sandbox.dial(number, host or self._address)

    async def _http(self, action: HttpGetAction) -> str:
        connection = await self._dial(action.port, action.host)
        secure = _unverified() if action.scheme == "HTTPS" else None
        reader, writer = await asyncio.open_connection(
            sock=connection, ssl=secure, server_hostname="" if secure else None
        )
        try:
            headers = {"Host": f"{self._address}:{action.port}", "User-Agent": "kube-probe/osm"}
            headers.update({header.name: header.value for header in action.http_headers})
            lines = [
                f"GET {action.path or '/'} HTTP/1.1",
                *(f"{n}: {v}" for n, v in headers.items()),
            ]
            writer.write("\r\n".join([*lines, "Accept: */*", "Connection: close", "", ""]).encode())
            status = (await reader.readline()).split(b" ", 2)
        finally:
            writer.close()
        if len(status) < 2 or not status[1].isdigit():
            return "no HTTP answer"
        code = int(status[1])
        return "" if 200 <= code < 400 else f"HTTP status {code}"

    async def _execute(self, action: ExecAction) -> str:
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            command = Command(
                action.command,
                self._environment,
                "exec",
                self._directory,
                container=self._process.pid,
            )
            process = await self._sandbox.spawn(
                command, stdin=nothing, stdout=nothing, stderr=nothing
            )
        finally:
            os.close(nothing)
        try:
            code = await asyncio.shield(process.exited)
        except asyncio.CancelledError:
            await self._sandbox.signal(process, signal.SIGKILL)
            raise
        return "" if code == 0 else f"exit code {code}"


Check = Callable[[Probe], Awaitable[str]]


async def repeat(
    probe: Probe, check: Check, report: Callable[[str], None], *, hasty: bool = True
) -> None:
    """Probe for ever, and report each change of the verdict, or of what is wrong."""
    await asyncio.sleep(probe.initial_delay_seconds)
    verdicts = Verdicts(probe, hasty=hasty)
    reported = ""
    while True:
        problem = await check(probe)
        if verdicts.add(not problem) or (verdicts.bad and problem not in ("", reported)):
            reported = problem
            report(problem)
        await asyncio.sleep(verdicts.pause)


async def wait_started(probe: Probe, check: Check) -> bool:
    """Probe until it succeeds once; False when that takes longer than the probe allows."""
    await asyncio.sleep(probe.initial_delay_seconds)
    verdicts = Verdicts(probe)
    try:
        async with asyncio.timeout(probe.failure_threshold * probe.period_seconds):
            while await check(probe):
                verdicts.add(False)
                await asyncio.sleep(verdicts.pause)
    except TimeoutError:
        return False
    return True


class Verdicts:
    """Counts results until they are a verdict.

    While the verdict is not good, it is probed more often than Kubernetes would: a mesh on one
    machine starts in a second, and nobody shall wait for a period of 10 s. Not so for liveness
    (`hasty=False`), where bad verdicts kill.
    """

    def __init__(self, probe: Probe, *, hasty: bool = True) -> None:
        self._probe = probe
        self._hasty = hasty
        self._haste = 0.05
        self._verdict: bool | None = None
        self._last: bool | None = None
        self._same = 0

    def add(self, good: bool) -> bool:  # noqa: FBT001 - it is the value
        """Count a result; gives whether it changes the verdict."""
        self._same = self._same + 1 if good == self._last else 1
        self._last = good
        needed = self._probe.success_threshold if good else self._probe.failure_threshold
        if self._same < needed or self._verdict == good:
            return False
        self._verdict = good
        return True

    @property
    def bad(self) -> bool:
        """Whether the verdict is bad."""
        return self._verdict is False

    @property
    def pause(self) -> float:
        """Seconds until the next probe."""
        if self._verdict or not self._hasty:
            return self._probe.period_seconds
        self._haste = min(self._haste * 1.5, 1.0)
        return min(self._probe.period_seconds, self._haste)


def _port_number(container: Container, port: int | str) -> int | None:
    if isinstance(port, int):
        return port
    return next((each.container_port for each in container.ports if each.name == port), None)


def _unverified() -> ssl.SSLContext:
    """Probes do not verify certificates, as Kubernetes says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
