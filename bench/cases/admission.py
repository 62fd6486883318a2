"""What callers who send nonsense to the injector cost those who ask it about pods (row W5)."""

import asyncio
import json
from collections.abc import Sequence

from tests.unit.admission.reviews import review
from tests.unit.admission.serving import request

from bench.admission import Where, abused, nonsense, reviews, send, webhook
from bench.cases.case import Size
from bench.figures import Figure, Result, percentile
from bench.kernel import cpu_ns

PER_S = 20
"""Of either: as often as row W4 creates pods."""
WORSE = 2.0
"""What p99 may become (row W5)."""
GOOD = json.dumps(review()).encode()


def admission(size: Size) -> Result:
    """Seconds without them and seconds with them, in turn."""
    seconds = size.pick(10, 2)
    quiet: list[list[float]] = []
    busy: list[list[float]] = []
    sent = 0
    with webhook() as where:
        _measure(where, 2)  # until everything is loaded
        for _ in range(size.pick(10, 2)):
            quiet.append(_measure(where, seconds))
            with abused(where, PER_S) as counts:
                busy.append(_measure(where, seconds))
            sent += sum(counts)
        costs = asyncio.run(_costs(where, size.pick(20, 2)))
    calls = sum(map(len, busy))
    return Result(
        "admission",
        "calls of an API server while others send what is no review",
        f"{PER_S} good calls a second, {calls:,} with as many malformed ones ({sent:,} of "
        f"{len(nonsense())} kinds, up to 10 MB, each on its own connection), as many without",
        (*_latencies(quiet, busy), *costs),
    )


def _latencies(quiet: list[list[float]], busy: list[list[float]]) -> Sequence[Figure]:
    figures = [
        Figure(
            f"admission: a good call {when}, p{percent}",
            percentile(_half(rounds, 0), percent),
            "ms",
            percentile(_half(rounds, 1), percent),
        )
        for percent in (50, 99)
        for when, rounds in (("alone", quiet), ("with malformed ones", busy))
    ]
    one, two = (percentile(_half(busy, n), 99) / percentile(_half(quiet, n), 99) for n in (0, 1))
    what = "admission: p99 with malformed calls, of that without"
    return [*figures, Figure(what, one, "×", two, WORSE)]


def _measure(where: Where, seconds: float) -> list[float]:
    return asyncio.run(reviews(where, GOOD, PER_S, seconds))


def _half(rounds: list[list[float]], which: int) -> list[float]:
    """The times of every other round."""
    return [each for times in rounds[which::2] for each in times]


async def _costs(where: Where, times: int) -> Sequence[Figure]:
    """What a call costs the webhook that comes on a connection of its own; CPU, which no neighbour on
    this machine changes much.
    """
    good = [await _cost_ms(where, request(GOOD), times) for _ in range(2)]
    kinds = {kind: await _cost_ms(where, each, times) for kind, each in nonsense().items()}
    dearest = max(kinds, key=lambda kind: kinds[kind])
    again = await _cost_ms(where, nonsense()[dearest], times)
    middle = percentile(list(kinds.values()), 50)
    return (
        Figure("admission: CPU for a good call, with its handshake", good[0], "ms", good[1]),
        Figure("admission: CPU for a malformed one, median of the kinds", middle, "ms"),
        Figure("admission: CPU for the dearest kind", kinds[dearest], "ms", again, note=dearest),
    )


async def _cost_ms(where: Where, sent: bytes, times: int) -> float:
    context = where.context()
    await send(where.port, context, sent)
    before = cpu_ns(where.pid)
    for _ in range(times):
        await send(where.port, context, sent)
    await asyncio.sleep(0.05)  # until it has closed the last one
    return (cpu_ns(where.pid) - before) / times / 1e6
