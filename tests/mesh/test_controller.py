"""The control plane alone, as a process; the proxies are started by the test and outlive it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from osm.local.proxy import envoy_binary

from .harness import http_access, service

RATE = 200
AWAY_S = 30.0


def pod(name: str, inbound: str, capture: str, app_ip: str) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: {name}-0
  namespace: {name}
  labels: {{app: {name}}}
  annotations:
    local.openservicemesh.io/inbound-address: "{inbound}"
    local.openservicemesh.io/capture: '{capture}'
    local.openservicemesh.io/app-ip: {app_ip}
spec:
  serviceAccountName: {name}
  containers: [{{name: app}}]
status:
  phase: Running
  podIP: {app_ip}
  conditions: [{{type: Ready, status: "True"}}]
"""


class Rig:
    """A controller and two proxies, each a process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.objects = directory / "objects"
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(directory / "state"),
            "XDG_RUNTIME_DIR": str(directory / "run"),
        }
        (directory / "run").mkdir(mode=0o700)
        self.objects.mkdir()
        self.ads = f"unix:{directory}/ads.sock"
        self.controller: asyncio.subprocess.Process | None = None

    async def start_controller(self) -> None:
        with (self.directory / "controller.out").open("wb") as output:
            self.controller = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "osm", "controller", str(self.objects), "--ads", self.ads,
                "--mesh", "rig", env=self.environment,
                stdout=output, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip

    async def kill_controller(self) -> None:
        assert self.controller is not None
        self.controller.send_signal(signal.SIGKILL)
        await self.controller.wait()

    async def start_proxy(self, name: str) -> asyncio.subprocess.Process:
        bootstrap = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "osm", "proxy", "bootstrap", f"{name}/{name}-0",
            "--service-account", name, "--ads", self.ads, "--directory",
            str(self.directory / name), "--mesh", "rig",
            env=self.environment, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await bootstrap.communicate()
        assert bootstrap.returncode == 0
        with (self.directory / f"{name}.out").open("wb") as output:
            return await asyncio.create_subprocess_exec(
                str(envoy_binary()), *out.decode().split(),
                stdout=output, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip


@asynccontextmanager
async def running_rig(directory: Path) -> AsyncIterator[Rig]:
    rig = Rig(directory)
    inbound = f"unix:{directory}/shop/in.{{port}}.sock"
    explicit = '{"ip": "127.91.0.1", "http_port": 15001}'
    parts = (
        pod("buyer", f"unix:{directory}/buyer/in.{{port}}.sock", explicit, "127.91.0.1"),
        pod("shop", inbound, '{"ip": "127.91.0.2", "http_port": 15001}', "127.91.0.2"),
        service("shop"),
        http_access("buyers", "shop/shop", ("buyer/buyer",)),
    )
    (rig.objects / "all.yaml").write_text("---".join(parts))
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "osm.testing.puppet", "8000",
        env={**os.environ, "BIND_ADDRESS": "127.91.0.2"}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await rig.start_controller()
    processes = [app, *[await rig.start_proxy(name) for name in ("buyer", "shop")]]
    try:
        yield rig
    finally:
        for process in (*processes, rig.controller):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()


async def request(path: str = "/") -> int:
    """One request through the buyer's proxy; 0 without an answer in two seconds."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.91.0.1", 15001)
            try:
                head = f"GET http://shop.shop{path} HTTP/1.1\r\nHost: shop.shop\r\n"
                writer.write(head.encode() + b"Connection: close\r\n\r\n")
                line = await reader.readline()
                return int(line.split()[1]) if line else 0
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return 0


async def wait_until_served(within: float) -> float:
    started = time.monotonic()
    while await request() != 200:
        assert time.monotonic() - started < within
        await asyncio.sleep(0.1)
    return time.monotonic() - started


async def load(seconds: float, answers: list[int]) -> None:
    """An open loop: a request every 1/RATE s, whether or not the last was answered."""
    pending: set[asyncio.Task[None]] = set()

    async def one() -> None:
        answers.append(await request())

    started = time.monotonic()
    count = 0
    while count < RATE * seconds:
        count += 1
        task = asyncio.create_task(one())
        pending.add(task)
        task.add_done_callback(pending.discard)
        await asyncio.sleep(max(0.0, started + count / RATE - time.monotonic()))
    await asyncio.gather(*pending)


async def test_no_request_fails_while_the_controller_is_killed_for_half_a_minute(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with running_rig(tmp_path_factory.mktemp("c")) as rig:
        await wait_until_served(within=20)
        answers: list[int] = []
        work = asyncio.create_task(load(AWAY_S + 10, answers))
        await asyncio.sleep(3)
        await rig.kill_controller()
        await asyncio.sleep(AWAY_S)
        await rig.start_controller()
        await work
        assert len(answers) == RATE * (AWAY_S + 10)
        assert answers.count(200) == len(answers), {a: answers.count(a) for a in set(answers)}

        # It is back in charge: a rule that goes takes effect.
        (rig.objects / "all.yaml").write_text(
            (rig.objects / "all.yaml").read_text().rpartition("---")[0]
        )
        started = time.monotonic()
        while (status := await request()) != 403:
            assert time.monotonic() - started < 15, status
            await asyncio.sleep(0.1)
