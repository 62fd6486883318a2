"""The simulated proxies: the compiled client in `client/`, a process that is told what to do."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

HERE = Path(__file__).parent
BINARY = HERE.parent / "build" / "bench" / "client"


class Subscription(msgspec.Struct, frozen=True):
    """Names of one type; none is everything that is the proxy's own."""

    type: str
    names: tuple[str, ...] = ()


class Proxy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One proxy. `stages` are asked for one after the other, as their answers come."""

    node: str
    cluster: str
    stages: tuple[tuple[Subscription, ...], ...]
    certificate: str = ""
    private_key: str = ""
    token: str = ""
    """Shown in place of a certificate."""
    mute: bool = False
    """Asks for everything at once, and never reads."""
    refuse: str = ""
    """A type whose responses it refuses."""


class Tally(msgspec.Struct, frozen=True):
    """What arrived. `duplicates` are resources in the version that the proxy held already."""

    responses: int = 0
    resources: int = 0
    removed: int = 0
    duplicates: int = 0
    bytes: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.responses + other.responses,
            self.resources + other.resources,
            self.removed + other.removed,
            self.duplicates + other.duplicates,
            self.bytes + other.bytes,
        )


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """A watched resource came in a new version, or went. Times are of the monotonic clock, in ns."""

    stream: int
    name: int
    arrived: int
    acknowledged: int


class Arrivals(msgspec.Struct, frozen=True):
    """What `wait` saw since the mark."""

    complete: bool
    events: tuple[Arrival, ...]


class Counts(msgspec.Struct, frozen=True):
    """Since the mark, by the number of the stream and by type."""

    streams: dict[int, Tally]
    types: dict[str, Tally]
    ended: int
    """Streams that ended so far, whenever the mark was."""
    synced: int

    def total(self, streams: Sequence[int] | None = None) -> Tally:
        """Add up some streams, or all."""
        chosen = self.streams.values() if streams is None else map(self.of, streams)
        return sum(chosen, Tally())

    def of(self, stream: int) -> Tally:
        return self.streams.get(stream, Tally())


class Synced(msgspec.Struct, frozen=True):
    """By stream: when its connection began, and when it had all that it asked for, in ns."""

    complete: bool
    synced: dict[int, tuple[int, int]]
    last_error: str


class Fleet:
    """The client process. Its end is the end of its input, so it cannot outlive us."""

    def __init__(self, log: Path) -> None:
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True,  # Ctrl-C is ours to handle
            )  # fmt: skip
        self.proxies: tuple[Proxy, ...] = ()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, op: str, **arguments: Any) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode({"op": op, **arguments}) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if answer.startswith(b'{"error"') or not answer:
            message = json.loads(answer)["error"] if answer else "it ended"
            raise RuntimeError(f"the client failed at {op}: {message}")
        return answer

    def play(
        self, address: str, server_name: str, roots: str, probe: str, proxies: Sequence[Proxy]
    ) -> None:
        """Say whom to play. `probe` is a name whose answer is the last after a reconnection."""
        self.proxies = tuple(proxies)
        self._ask(
            "fleet", address=address, server_name=server_name, roots=roots, probe=probe,
            proxies=self.proxies,
        )  # fmt: skip

    def connect(self, first: int, count: int) -> int:
        """Start so many proxies; returns when, on the monotonic clock in ns."""
        return _at(self._ask("connect", first=first, count=count))

    def disconnect(self) -> None:
        """End all connections. What the proxies hold they take along."""
        self._ask("disconnect")

    def sync(self, count: int, limit_s: float) -> Synced:
        """Wait until so many streams have all that they asked for."""
        answer = self._ask("sync", count=count, limit_ms=int(limit_s * 1000))
        return msgspec.json.decode(answer, type=Synced, strict=False)

    def subscribe(self, streams: Sequence[int], type_url: str, names: Sequence[str]) -> None:
        """Let proxies ask for more."""
        self._ask("subscribe", streams=list(streams), type=type_url, names=list(names))

    def mark(self, type_url: str = "", names: Sequence[str] = ()) -> int:
        """Count anew, and watch resources; returns when."""
        return _at(self._ask("mark", type=type_url, names=list(names)))

    def wait(self, count: int, limit_s: float) -> Arrivals:
        """Wait for so many arrivals of watched resources since the mark."""
        answer = self._ask("wait", count=count, limit_ms=int(limit_s * 1000))
        return msgspec.json.decode(answer, type=Arrivals)

    def counts(self) -> Counts:
        """What arrived since the mark."""
        return msgspec.json.decode(self._ask("counts"), type=Counts, strict=False)


def _at(answer: bytes) -> int:
    at = json.loads(answer)["at"]
    assert isinstance(at, int)
    return at


def build_client() -> None:
    """Compile the client; instant when nothing changed. Needs Go."""
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(BINARY), "."], cwd=HERE / "client", check=True)
