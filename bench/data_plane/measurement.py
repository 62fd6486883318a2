"""The whole measurement: CPU in rounds, instructions, and the two configurations side by side."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from bench.data_plane import instructions
from bench.data_plane.features import FEATURES, Feature, left_over, with_features
from bench.data_plane.instructions import Count
from bench.data_plane.minimal import Certificates, Plan, Sides, make_certificates, minimal_pair
from bench.data_plane.parts import Running, running
from bench.data_plane.processes import processes
from bench.data_plane.rig import APPLICATION, Pair, Rig, configurations, kernel_share
from bench.data_plane.rounds import Round, rounds

MINIMAL, CONTROL, DUTIES, OURS = "minimal", "control", "duties", "ours"
DUTY = tuple(feature for feature in FEATURES if feature.duty)

TOGETHER = "together"

Ours = tuple[Running, Running]
Start = Callable[[], Awaitable[Pair]]


class Size(msgspec.Struct, frozen=True):
    """How much to do."""

    rounds: int
    requests: int
    alone_rounds: int
    alone_requests: int
    counted: int
    features: bool


FULL = Size(16, 6000, 6, 1200, 160, features=True)
QUICK = Size(3, 2000, 2, 300, 96, features=False)


class Counts(msgspec.Struct, frozen=True):
    """Instructions of the pairs, and of the minimal pair with each feature alone and with all."""

    pairs: dict[str, Count]
    features: dict[str, Count]
    together: Count | None


class Measured(msgspec.Struct, frozen=True):
    """All that was seen."""

    loaded: list[Round]
    alone: list[Round]
    kernel_share: float
    left_over: list[str]
    counts: Counts | None


def measure(size: Size) -> Measured:
    """Measure; the directory and every process are gone afterwards. Raises `RuntimeError`."""
    return asyncio.run(_measure(size))


async def _measure(size: Size) -> Measured:
    with tempfile.TemporaryDirectory(prefix="osm-dp-") as path:
        directory = Path(path)
        certificates = await make_certificates(directory)
        timed, counted = directory / "timed", directory / "counted"
        timed.mkdir()
        counted.mkdir()
        async with processes(timed) as started:
            rig = Rig(timed, started)
            await rig.open()
            ours = await rig.start_ours(rig.plan(OURS))
            parts = await parts_of(ours)
            pairs = [
                *[await _minimal(rig, name, certificates) for name in (MINIMAL, CONTROL)],
                await _minimal(rig, DUTIES, certificates, DUTY, parts),
                ours,
            ]
            for pair in pairs:
                await rig.load(pair, connections=16, requests=size.requests)
            loaded = await rounds(
                rig, pairs, number=size.rounds, connections=16, requests=size.requests
            )
            alone = await rounds(
                rig, pairs, number=size.alone_rounds, connections=1, requests=size.alone_requests
            )
            share = kernel_share(pairs[0].pids)
        everything = with_features(_sides(counted, certificates), FEATURES, parts)
        counts = None
        if instructions.is_available():
            counts = await _count(counted, certificates, parts, size)
        return Measured(loaded, alone, share, left_over(everything, parts), counts)


async def _count(directory: Path, certificates: Certificates, parts: Ours, size: Size) -> Counts:
    async with processes(directory) as started:
        rig = Rig(directory, started, prefix=instructions.callgrind(directory))
        await rig.open()
        starts: dict[str, Start] = {
            name: partial(_minimal, rig, name, certificates, features, parts)
            for name, features in ((MINIMAL, ()), (CONTROL, ()), (DUTIES, DUTY))
        }
        starts[OURS] = lambda: rig.start_ours(rig.plan(OURS))
        pairs = await _count_each(rig, starts, size.counted)
        if not size.features:
            return Counts(pairs, {}, None)
        sets = {feature.name: (feature,) for feature in FEATURES} | {TOGETHER: FEATURES}
        starts = {
            name: partial(_minimal, rig, f"features{number}", certificates, features, parts)
            for number, (name, features) in enumerate(sets.items())
        }
        features = await _count_each(rig, starts, size.counted)
        return Counts(pairs, features, features.pop(TOGETHER))


async def _count_each(rig: Rig, starts: Mapping[str, Start], requests: int) -> dict[str, Count]:
    """Count one pair after the other; the next one starts meanwhile, which takes as long."""
    found: dict[str, Count] = {}
    waiting = list(starts.items())
    name, start = waiting.pop(0)
    pair = await start()
    while waiting:
        upcoming, start = waiting.pop(0)
        found[name], following = await asyncio.gather(
            instructions.count(rig, pair, requests=requests), start()
        )
        name, pair = upcoming, following
    found[name] = await instructions.count(rig, pair, requests=requests)
    return found


async def parts_of(pair: Pair) -> Ours:
    """The parts of our two running proxies."""
    client, server = await configurations(pair)
    port = APPLICATION[1]
    cluster = f"shop/shop|{port}"
    return (
        running(client, listener="outbound", routes="rds-outbound", cluster=cluster),
        running(server, listener="inbound", routes="rds-inbound", cluster=f"{cluster}|local"),
    )


async def _minimal(
    rig: Rig,
    name: str,
    certificates: Certificates,
    features: Iterable[Feature] = (),
    parts: Ours | None = None,
) -> Pair:
    plan = rig.plan(name)
    sides = minimal_pair(plan, certificates)
    return await rig.start_static(plan, with_features(sides, features, parts) if parts else sides)


def _sides(directory: Path, certificates: Certificates) -> Sides:
    return minimal_pair(Plan(directory, ("127.0.0.1", 1), APPLICATION, "any"), certificates)
