"""A pod's namespaces as the supervisor sees them: start programs in there, connect to their ports.

The other end of `osm.local.agent`. A `Sandbox` that is closed, or whose agent dies, takes along
everything that ran in it.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

import osm
from osm.errors import PlatformError
from osm.local import wire
from osm.local.container import Isolation

PROXY_PORT = 15001
"""Where redirected connections arrive (OSM's outbound port, `reference/osm.md` §6.2)."""

MESH_NETWORK = ("240.0.0.0", 4)
"""Virtual addresses of services and pods: reserved, so that no real host is hidden by them."""

_LONGEST_END_S = 5.0

_START_AGENT = "import sys; sys.path.insert(0, {!r}); from osm.local.agent import main; main()"


class Setup(msgspec.Struct, frozen=True):
    """How to make a pod. `files` are bind mounts: path in the pod, path on the machine."""

    isolation: Isolation
    hostname: str = "pod"
    files: Mapping[str, str] = {}
    hidden: tuple[str, ...] = ()
    """Directories that applications must not see."""
    network: tuple[str, int] = MESH_NETWORK
    proxy_port: int = PROXY_PORT
    address: str = ""
    """The pod's own, at which its application may listen instead of at 127.0.0.1."""
    around: Mapping[str, tuple[int | str, ...]] = {}
    """What goes around the proxy, as `network.Around`; empty when nothing does."""


class Command(msgspec.Struct, frozen=True):
    """A program to run. `kind` is `proxy`, `app`, or `exec`: inside of `container`, a pid."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    kind: str
    cwd: str = "/"
    container: int = 0


class SandboxError(PlatformError):
    """A pod's namespaces cannot be made, or are gone."""


class StartError(PlatformError):
    """A program cannot be started."""


class Process:
    """A program that was started. `exited` is the future of its exit code (128 + signal number)."""

    def __init__(self, pid: int, exited: asyncio.Future[int]) -> None:
        self.pid = pid
        self.exited = exited


class Sandbox:
    """Use `await Sandbox.start(setup)`, and `close()` at the end."""

    def __init__(
        self, connection: socket.socket, agent: subprocess.Popen[bytes], address: str
    ) -> None:
        loop = asyncio.get_running_loop()
        self._connection = connection
        self._agent = agent
        self._address = address
        self._loop = loop
        self._answers: dict[int, asyncio.Future[tuple[wire.Message, list[int]]]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._last_request = 0
        self._ready: asyncio.Future[str] = loop.create_future()
        self._sockets: list[socket.socket] = []
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done when the sandbox is gone, for whatever reason."""
        connection.setblocking(False)
        loop.add_reader(connection, self._receive)

    @property
    def pid(self) -> int:
        """The agent's process outside of the namespaces."""
        return self._agent.pid

    def take_sockets(self) -> tuple[socket.socket | None, socket.socket | None]:
        """Those at which the pod asks for names, and where calls around its proxy arrive; now the
        caller's. None for what it does not have.
        """
        taken, self._sockets = self._sockets, []
        names, around, *_ = (*taken, None, None)
        return names, around

    @classmethod
    async def start(cls, setup: Setup, *, timeout: float = 20.0) -> Self:
        """Make the namespaces; raises `SandboxError` when the system refuses."""
        ours, theirs = wire.pair()
        source = str(Path(osm.__file__).parent.parent)
        with theirs:
            try:
                agent = subprocess.Popen(  # noqa: ASYNC220 - asyncio would add a thread for each
                    (
                        *(sys.executable, "-I", "-S", "-c", _START_AGENT.format(source)),
                        *(str(theirs.fileno()), str(os.getpid())),
                    ),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C at the terminal is for the supervisor alone
                    env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                    cwd="/",
                )
            except OSError as error:
                ours.close()
                raise SandboxError(
                    f"cannot start {sys.executable}: {error.strerror}",
                    hint="Whoever runs the mesh must be able to run the Python that it is installed with.",
                ) from error
        self = cls(ours, agent, setup.address)
        try:
            wire.send(ours, wire.encode(msgspec.to_builtins(setup)))
            # Not `wait_for`: before Python 3.12 it can swallow a cancellation.
            async with asyncio.timeout(timeout):
                problem = await self._ready
        except (TimeoutError, OSError) as error:
            await self.close()
            raise SandboxError("the pod's agent does not answer") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        if problem:
            await self.close()
            raise SandboxError(problem)
        return self

    async def spawn(self, command: Command, *, stdin: int, stdout: int, stderr: int) -> Process:
        """Start a program on descriptors, which remain the caller's. Raises `StartError`."""
        answer, _ = await self._ask(
            {
                "do": "spawn",
                "kind": command.kind,
                "argv": command.argv,
                "env": dict(command.env),
                "cwd": command.cwd,
                "uid": os.geteuid(),
                "gid": os.getegid(),
                "container": command.container,
            },
            (stdin, stdout, stderr),
        )
        if "error" in answer:
            raise StartError(f"cannot start {command.argv[0]}: {answer['error']}")
        pid: int = answer["pid"]
        exited = self._exits[pid]  # made when the answer came: the exit may have come since
        exited.add_done_callback(lambda _: self._exits.pop(pid, None))
        return Process(pid, exited)

    async def signal(self, process: Process, number: int) -> None:
        """Signal a program; one that ended does not matter."""
        if not process.exited.done():
            await self._ask({"do": "signal", "pid": process.pid, "number": int(number)})

    async def dial(
        self, port: int, host: str = "127.0.0.1", *, timeout: float = 5.0
    ) -> socket.socket:
        """Connect to a port in the pod, from inside of it. Raises `ConnectionError`.

        A program may listen at the pod's address and not at 127.0.0.1 (`localProxyMode: PodIP`).
        """
        asked = {"do": "dial", "host": host, "port": port, "timeout": timeout}
        answer, descriptors = await self._ask(asked)
        if "error" in answer and host == "127.0.0.1" and self._address:
            asked |= {"host": self._address, "from_proxy": True}
            answer, descriptors = await self._ask(asked)
        if "error" in answer:
            raise ConnectionRefusedError(f"{host}:{port}: {answer['error']}")
        connection = socket.socket(fileno=descriptors[0])
        connection.setblocking(False)
        return connection

    async def close(self) -> None:
        """End everything in the pod, and wait until it is gone."""
        self._lose()
        for each in self.take_sockets():
            if each is not None:
                each.close()
        end = self._loop.time() + _LONGEST_END_S
        while self._agent.poll() is None:
            if self._loop.time() > end:
                self._agent.kill()
            await asyncio.sleep(0.01)

    async def _ask(
        self, request: wire.Message, descriptors: Sequence[int] = ()
    ) -> tuple[wire.Message, list[int]]:
        if self.closed.done():
            raise SandboxError("the pod's namespaces are gone")
        self._last_request += 1
        number = self._last_request
        try:
            data = wire.encode({"id": number, **request})
        except wire.TooLarge as error:
            raise StartError(str(error)) from error
        answer = self._answers[number] = self._loop.create_future()
        try:
            await self._send(data, descriptors)
            message, received = await answer
            return message, received
        finally:
            # A descriptor that comes for someone who no longer waits is closed by `_receive`.
            self._answers.pop(number, None)

    async def _send(self, data: bytes, descriptors: Sequence[int]) -> None:
        while True:
            try:
                wire.send(self._connection, data, descriptors)
                return
            except BlockingIOError:
                await asyncio.sleep(0.005)  # its buffer holds a hundred requests: rare
            except OSError as error:
                self._lose()
                raise SandboxError("the pod's namespaces are gone") from error

    def _receive(self) -> None:
        while not self.closed.done():
            try:
                received = wire.receive(self._connection)
            except BlockingIOError:
                return
            except OSError:
                received = None
            if received is None:
                self._lose()
                return
            self._handle(*received)

    def _handle(self, message: wire.Message, descriptors: list[int]) -> None:
        match message:
            case {"id": number}:
                if "pid" in message:
                    self._exits[message["pid"]] = self._loop.create_future()
                answer = self._answers.pop(number, None)
                if answer is not None and not answer.done():
                    answer.set_result((message, descriptors))
                    descriptors = []
            case {"event": "ready"}:
                self._sockets = [socket.socket(fileno=number) for number in descriptors]
                descriptors = []
                self._finish_start("")
            case {"event": "failed", "error": problem}:
                self._finish_start(str(problem))
            case {"event": "exit", "pid": pid, "code": code}:
                exited = self._exits[pid]
                if not exited.done():
                    exited.set_result(code)
        for descriptor in descriptors:
            os.close(descriptor)

    def _finish_start(self, problem: str) -> None:
        if not self._ready.done():
            self._ready.set_result(problem)

    def _lose(self) -> None:
        """The agent is gone, or shall go: nothing runs in the pod any longer."""
        if self.closed.done():
            return
        self.closed.set_result(None)
        self._loop.remove_reader(self._connection)
        self._connection.close()
        self._finish_start("the pod's agent ended unexpectedly")
        for exited in self._exits.values():
            if not exited.done():
                exited.set_result(137)
        self._exits.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(SandboxError("the pod's namespaces are gone"))
        self._answers.clear()
