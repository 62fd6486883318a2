"""What tests of the command line speak of: calls of `osm`, and the mesh that they are about."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

from osm.core.explain.view import MeshView
from osm.ports import LogLine
from osm.testing.mesh_api import FakeMeshApi


class Result(NamedTuple):
    """What a call of `osm` came to."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


def mesh_after(
    seconds: float, change: Callable[[MeshView], MeshView] = lambda view: view
) -> FakeMeshApi:
    """Make a mesh that stands still this long after its start."""
    times = iter((0.0,))
    return FakeMeshApi(clock=lambda: next(times, seconds), change=change)


class TalkingMesh(FakeMeshApi):
    """A mesh whose workloads and their proxies go on printing lines, each with its number."""

    def __init__(self) -> None:
        super().__init__()
        self.printed = [self._line(number) for number in range(1, 7)]

    async def logs(
        self,
        workload: str,  # noqa: ARG002 - every workload says the same
        *,
        tail: int,
        follow: bool,
    ) -> AsyncIterator[LogLine]:
        for line in self.printed[-tail:] if tail else ():
            yield line
        while follow:
            await asyncio.sleep(0.02)
            self.printed.append(self._line(len(self.printed) + 1))
            yield self.printed[-1]

    def _line(self, number: int) -> LogLine:
        container = "bookbuyer" if number % 2 else "envoy"
        return LogLine("", "bookbuyer", "bookbuyer", container, f"line {number}", error=number == 6)


class Mesh(NamedTuple):
    """A running mesh: what it is made of, and its name."""

    api: FakeMeshApi
    name: str
    root: Path
