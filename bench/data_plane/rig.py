"""What is measured: pairs of Envoys between one load generator and one application."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.data_plane.mesh import our_pair
from bench.data_plane.minimal import Json, Plan, Sides
from bench.data_plane.processes import Processes, output_of
from bench.kernel import cpu_ns
from osm.local.proxy import ask_admin, envoy_binary
from osm.runtime.proxy_files import envoy_arguments

AUTHORITY = "shop.shop"
APPLICATION = ("127.92.254.1", 8000)
START_LIMIT_S = 60.0


class Driven(msgspec.Struct, frozen=True):
    """What the load generator saw."""

    requests: int
    failed: int
    seconds: float
    p50_us: float
    p99_us: float


class Cost(msgspec.Struct, frozen=True):
    """What a run cost: microseconds of CPU for each request, of each proxy and of both."""

    client_us: float
    server_us: float
    driven: Driven

    @property
    def pair_us(self) -> float:
        return self.client_us + self.server_us


class Pair(msgspec.Struct, frozen=True):
    """Two running proxies: where the first listens, both processes, and where admin sockets are."""

    name: str
    listen: tuple[str, int]
    pids: tuple[int, int]
    admin: tuple[Path, ...] = ()


class Rig:
    """The application and the load generator; starts pairs and drives them.

    `prefix` goes before the command of each Envoy.
    """

    def __init__(
        self, directory: Path, processes: Processes, *, prefix: Sequence[str] = ()
    ) -> None:
        self.directory = directory
        self._processes = processes
        self._prefix = tuple(prefix)
        self._pairs = 0
        self._load = str(directory / "load")

    async def open(self) -> None:
        """Build the load generator, and start the application."""
        source = Path(__file__).parent / "load"
        await output_of(["go", "build", "-C", str(source), "-o", self._load, "."])
        ip, port = APPLICATION
        await self._processes.start("application", [self._load, "serve", "-listen", f"{ip}:{port}"])

    def plan(self, name: str) -> Plan:
        """Where the next pair has its place."""
        self._pairs += 1
        directory = self.directory / name
        directory.mkdir()
        return Plan(directory, (f"127.92.{self._pairs}.1", 15001), APPLICATION, AUTHORITY)

    async def start_static(self, plan: Plan, sides: Sides) -> Pair:
        """Start a pair from bootstraps that say everything. Raises `RuntimeError`."""
        commands = []
        for side, bootstrap in (("client", sides.client), ("server", sides.server)):
            file = plan.directory / f"{side}.json"
            file.write_text(json.dumps(bootstrap))
            commands.append(("-c", str(file), *envoy_arguments("error")))
        return await self._start(plan, commands, ())

    async def start_ours(self, plan: Plan) -> Pair:
        """Start a controller and its two proxies. Raises `RuntimeError`."""
        commands = await our_pair(plan, self._processes)
        return await self._start(
            plan, commands, (plan.directory / "buyer", plan.directory / "shop")
        )

    async def _start(
        self, plan: Plan, commands: Sequence[Sequence[str]], admin: tuple[Path, ...]
    ) -> Pair:
        name = plan.directory.name
        client, server = [
            await self._processes.start(
                f"{name}.{side}", [*self._prefix, str(envoy_binary()), *arguments]
            )
            for side, arguments in zip(("client", "server"), commands, strict=True)
        ]
        pair = Pair(name, plan.listen, (client.pid, server.pid), admin)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while (await self.drive(pair, connections=1, requests=1)).failed:
                    if client.returncode is not None or server.returncode is not None:
                        raise RuntimeError(
                            f"an Envoy of {name} ended: {self._processes.said(name)}"
                        )
                    await asyncio.sleep(0.1)
        except TimeoutError:
            said = self._processes.said(name)
            raise RuntimeError(f"{name} does not answer after {START_LIMIT_S} s: {said}") from None
        return pair

    async def stop(self, pair: Pair) -> None:
        """End a pair's proxies."""
        await asyncio.gather(*(self._processes.end(pid) for pid in pair.pids))

    async def drive(self, pair: Pair, *, connections: int, requests: int) -> Driven:
        """Send requests through a pair, each connection with one at a time under way."""
        ip, port = pair.listen
        printed = await output_of(
            [
                *(self._load, "drive", "-to", f"{ip}:{port}", "-host", AUTHORITY),
                *("-connections", str(connections), "-requests", str(requests)),
            ]
        )
        return msgspec.json.decode(printed, type=Driven)

    async def load(self, pair: Pair, *, connections: int, requests: int) -> Driven:
        """Drive a pair of which every request must be answered. Raises `RuntimeError`."""
        driven = await self.drive(pair, connections=connections, requests=requests)
        if driven.failed:
            raise RuntimeError(f"{driven.failed} requests through {pair.name} failed")
        return driven

    async def cost(self, pair: Pair, *, connections: int, requests: int) -> Cost:
        """Drive a pair, and ask the kernel what it cost."""
        before = [cpu_ns(pid) for pid in pair.pids]
        driven = await self.load(pair, connections=connections, requests=requests)
        client, server = (
            (cpu_ns(pid) - earlier) / 1000 / driven.requests
            for pid, earlier in zip(pair.pids, before, strict=True)
        )
        return Cost(client, server, driven)


async def configurations(pair: Pair) -> tuple[Json, Json]:
    """What both proxies run with, from their admin interfaces."""
    client, server = [await _configuration(directory) for directory in pair.admin]
    return client, server


async def _configuration(directory: Path) -> Json:
    status, body = await ask_admin(directory, "/config_dump?include_eds", timeout=20)
    if status != 200:
        raise RuntimeError(f"the admin interface answers {status}")
    return msgspec.json.decode(body, type=Json)


def kernel_share(pids: Sequence[int]) -> float:
    """How much of these processes' CPU time so far was spent in the kernel."""
    user, system = 0.0, 0.0
    for pid in pids:
        # The command, in parentheses, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        user, system = user + int(fields[11]) / tick, system + int(fields[12]) / tick
    return system / (user + system)
