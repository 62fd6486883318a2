"""`osm controller` as a process of its own, and what it and the kernel say of it."""

import abc
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.kernel import Memory, cpu_ns, memory
from bench.unix_http import get_over_unix
from osm.local.namespaces import die_with_parent
from osm.local.runtime_directory import mesh_directory, runtime_base
from osm.runtime.settings import CONTROL_SOCKET

START_LIMIT_S = 600.0
_NUMBERS = itertools.count()


class ControllerProcess(abc.ABC):
    """One controller process after the other, on the same objects and port."""

    poll_s = 0.005
    """How often a process that starts is asked whether it serves."""

    def __init__(self, directory: Path, ads: str) -> None:
        self.ads = ads
        self._log = directory / "controller.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0

    @abc.abstractmethod
    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """The arguments of `osm`, and the environment."""

    @abc.abstractmethod
    def serves(self) -> bool:
        """Whether proxies may come."""

    @abc.abstractmethod
    def get(self, path: str) -> bytes:
        """Ask its API, as the `osm` command does."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> int:
        """Start it, and wait until it serves; returns when that was, in ns."""
        arguments, environment = self.command()
        with self._log.open("ab") as output:
            self.started_at = time.monotonic_ns()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "osm", *arguments],
                env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                # Whatever becomes of us, it must not be there when the next one wants its ports.
                preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),  # noqa: PLW1509
            )  # fmt: skip
        while time.monotonic_ns() < self.started_at + START_LIMIT_S * 1e9:
            if self._process.poll() is not None:
                raise RuntimeError(f"the controller ended:\n{self.log_text()}")
            if self.serves():
                return time.monotonic_ns()
            time.sleep(self.poll_s)
        raise RuntimeError(f"the controller does not serve:\n{self.log_text()}")

    def kill(self) -> None:
        """End it as a crash would, and wait for that."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End it in order, or else kill it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def cpu_ns(self) -> int:
        return cpu_ns(self.pid)

    def memory(self) -> Memory:
        return memory(self.pid)

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def view(self) -> dict[str, Any]:
        """What `osm status` knows. Costly: not while something is measured."""
        view = msgspec.json.decode(self.get("/api/v1/view"))
        assert isinstance(view, dict)
        return view

    def longest_pause_ms(self) -> float:
        """How long its event loop was blocked at most since this was last asked."""
        return self.metric("osm_event_loop_lag_max_seconds") * 1000

    def metric(self, name: str) -> float:
        """One of its metrics, one without labels. Costly, as `view`."""
        for line in self.get("/metrics").decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise RuntimeError(f"the controller has no metric {name}")


class Controller(ControllerProcess):
    """It reads a directory of files."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        super().__init__(directory, f"127.0.0.1:{self.port}")
        self.mesh = f"bench-{os.getpid()}-{next(_NUMBERS)}"
        self.objects = directory / "objects"
        state, run = directory / "state", directory / "r"
        for each in (state, run):
            each.mkdir(mode=0o700)
        self._environment = {
            **os.environ, "XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(run),
        }  # fmt: skip
        self.state = state / "osm" / self.mesh
        self._socket = mesh_directory(self.mesh, runtime_base(self._environment)) / CONTROL_SOCKET

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        return (
            ("controller", str(self.objects), "--ads", self.ads, "--mesh", self.mesh),
            self._environment,
        )

    def serves(self) -> bool:
        return accepts(self.port)

    def get(self, path: str) -> bytes:
        return get_over_unix(self._socket, path)


def accepts(port: int) -> bool:
    """Whether somebody takes connections to a port of loopback."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert isinstance(port, int)
        return port


@contextmanager
def controller(directory: Path) -> Iterator[Controller]:
    """A controller that is not started yet, and does not outlive this context."""
    made = Controller(directory)
    try:
        yield made
    finally:
        made.stop()
