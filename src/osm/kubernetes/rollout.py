"""Waiting until objects are ready, and what is known of pods that do not become so."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from osm.core.check.readiness import pod_restarts, unready, unready_pod
from osm.errors import PlatformError
from osm.kubernetes.api_server import Status, Unreachable
from osm.kubernetes.apply import Document, Objects
from osm.kubernetes.failure import explain
from osm.kubernetes.resources import Ref

Progress = Callable[[str, str, str], None]
"""Told of each step: its name, its state (`starting`, `ready` or `failed`), and a few words or nothing."""

EVERY_S = 1.0
ADMITTED_WITHIN_S = 10.0
ADMITTED_EVERY_S = 0.3
NOT_REACHED = "failed calling webhook"
"""What an API server says of a webhook that does not answer."""
_EVENTS = 10


class NotInTime(PlatformError):
    """Objects are not ready, and the time is over."""


class PodState(msgspec.Struct, frozen=True):
    """One pod: why it is not ready, or nothing when it is."""

    name: str
    why: str
    restarts: int


async def wait_ready(
    objects: Objects, refs: Sequence[Ref], *, limit_s: float, progress: Progress
) -> None:
    """Wait until all of them are ready. Raises `NotInTime`."""
    waiting = dict.fromkeys(refs, "it is not there yet")
    for ref in refs:
        progress(str(ref), "starting", "")
    try:
        async with asyncio.timeout(limit_s):
            await _look(objects, waiting, progress)
            while waiting:
                await asyncio.sleep(EVERY_S)
                await _look(objects, waiting, progress)
    except TimeoutError:
        for ref, why in waiting.items():
            progress(str(ref), "failed", why)
        raise NotInTime(_late(waiting, limit_s)) from None


async def wait_admitted(objects: Objects, ref: Ref) -> bool:
    """Wait until the API server reaches the webhook that judges an object, by changing nothing of it: a
    Service leads to its pods a moment after they are ready. False when that took longer than 10 s.
    """
    try:
        async with asyncio.timeout(ADMITTED_WITHIN_S):
            while await _goes_unjudged(objects, ref):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(ADMITTED_EVERY_S)
    except TimeoutError:
        return False
    return True


async def _goes_unjudged(objects: Objects, ref: Ref) -> bool:
    """Whoever refuses it for another reason has been reached, or will not let us ask."""
    try:
        await objects.merge(ref, {}, dry_run=True)
    except PlatformError as error:
        return NOT_REACHED in error.message
    except Unreachable:
        return True
    return False


async def wait_gone(objects: Objects, refs: Sequence[Ref], *, limit_s: float) -> None:
    """Wait until none of them exists. Raises `NotInTime`."""
    waiting = dict.fromkeys(refs, "it is still there")
    try:
        async with asyncio.timeout(limit_s):
            while waiting:
                for ref in tuple(waiting):
                    if await objects.get(ref) is None:
                        del waiting[ref]
                if waiting:
                    await asyncio.sleep(EVERY_S)
    except TimeoutError:
        raise NotInTime(_late(waiting, limit_s)) from None


async def pod_states(
    objects: Objects, namespace: str, selector: Mapping[str, str]
) -> tuple[PodState, ...]:
    """The pods with these labels, by name."""
    found = await objects.list("v1", "Pod", namespace, labelSelector=selector_text(selector))
    return tuple(
        PodState(pod["metadata"]["name"], unready_pod(pod), pod_restarts(pod))
        for pod in sorted(found, key=lambda pod: str(pod["metadata"]["name"]))
    )


async def warnings(objects: Objects, namespace: str) -> tuple[str, ...]:
    """The last warnings of a namespace, oldest first, a line each."""
    events = await objects.list("v1", "Event", namespace, fieldSelector="type=Warning")
    return tuple(dict.fromkeys(map(_event_line, sorted(events, key=_time)[-_EVENTS:])))


def selector_text(labels: Mapping[str, str]) -> str:
    """Labels as `labelSelector` writes them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


async def _look(objects: Objects, waiting: dict[Ref, str], progress: Progress) -> None:
    """Take out what is ready."""
    for ref, known in tuple(waiting.items()):
        why = await _why_not(objects, ref)
        if not why:
            del waiting[ref]
            progress(str(ref), "ready", "")
        elif why != known:
            waiting[ref] = why
            progress(str(ref), "starting", why)


async def _why_not(objects: Objects, ref: Ref) -> str:
    try:
        document = await objects.get(ref)
    except (PlatformError, Status, Unreachable) as error:
        # A control plane that is busy may answer the next time; the time limit bounds this.
        text = explain(error) if isinstance(error, Status | Unreachable) else error
        return text.message
    return "it is not there yet" if document is None else unready(document)


def _late(waiting: Mapping[Ref, str], limit_s: float) -> str:
    lines = "\n".join(f"  {ref}: {why}" for ref, why in waiting.items())
    return f"Not ready within {limit_s:g} s:\n{lines}"


def _time(event: Document) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or "")


def _event_line(event: Document) -> str:
    about = event.get("involvedObject") or {}
    count = int(event.get("count") or 1)
    times = f" ({count} times)" if count > 1 else ""
    text = " ".join(str(event.get("message") or "").split())
    return f"{about.get('kind')} {about.get('name')}: {event.get('reason')}: {text}{times}"
