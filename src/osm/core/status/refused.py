"""What proxies refuse, by the object at fault: told from replica to leader, and as findings.

Each replica of a control plane hears of its own proxies only. What it tells the others is a text of
bounded size, and the findings are made of what all of them say together.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from osm.core.model.origin import Finding, Origin, Severity

REFUSED = "OSM902"
TOLD_OBJECTS = 100
"""So many a replica tells of, at most, in so many bytes:"""
TOLD_BYTES = 32 * 1024
TOLD_MESSAGE = 300
"""In characters: of a proxy's words."""
_OTHERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Numbers of other proxies that are told apart, so that a finding does not change with each of them."""


class RefusedObject(msgspec.Struct, frozen=True, order=True, gc=False):
    """An object, or a field of one, that proxies refuse: one of them, its words, and how many they are."""

    origin: Origin
    proxy: str
    message: str
    proxies: int = 1


class Told(msgspec.Struct, frozen=True, gc=False):
    """What a replica tells. `left_out`: so many objects more had no room."""

    refused: tuple[RefusedObject, ...] = ()
    left_out: int = 0
    renewed: str = ""
    """When, for people: RFC 3339. It differs each time, which is how others see that somebody is there."""


def refused_objects(
    refusals: Iterable[tuple[str, str, Sequence[Origin]]],
) -> tuple[RefusedObject, ...]:
    """From proxies, their words and the origins at fault; sorted. The same in whatever order they come."""
    words: dict[Origin, dict[str, str]] = {}
    for proxy, message, origins in refusals:
        for origin in origins:
            known = words.setdefault(origin, {})
            known[proxy] = min(message, known.get(proxy, message))
    return tuple(
        RefusedObject(origin, *min(each.items()), len(each))
        for origin, each in sorted(words.items())
    )


def merged(parts: Iterable[Iterable[RefusedObject]]) -> tuple[RefusedObject, ...]:
    """What several replicas say, together: a proxy is connected to one of them."""
    found: dict[Origin, RefusedObject] = {}
    for part in parts:
        for each in part:
            known = found.get(each.origin)
            found[each.origin] = each if known is None else _both(known, each)
    return tuple(found[origin] for origin in sorted(found))


def _both(one: RefusedObject, other: RefusedObject) -> RefusedObject:
    return msgspec.structs.replace(min(one, other), proxies=one.proxies + other.proxies)


def encoded(refused: Iterable[RefusedObject], renewed: str) -> str:
    """Write what to tell, as JSON: what finds room, and how many do not."""
    objects = list(refused)
    told: list[RefusedObject] = []
    room = TOLD_BYTES - len(_json(Told((), len(objects), renewed)))
    for each in objects:
        short = msgspec.structs.replace(each, message=_cut(each.message))
        size = len(_json(short)) + 1
        if size <= room and len(told) < TOLD_OBJECTS:
            told.append(short)
            room -= size
    return _json(Told(tuple(told), len(objects) - len(told), renewed)).decode()


def decoded(text: str) -> Told:
    """Read that. What cannot be read, since another version wrote it, is something left out."""
    try:
        return msgspec.json.decode(text, type=Told)
    except msgspec.MsgspecError:
        return Told(left_out=1)


def refused_findings(refused: Iterable[RefusedObject]) -> tuple[Finding, ...]:
    """Write a finding for each object."""
    return tuple(
        Finding(
            REFUSED,
            Severity.ERROR,
            each.origin,
            f"proxy {each.proxy}{_and_others(each.proxies)} refused what this says: {each.message}",
            "The proxy keeps the last good configuration.",
        )
        for each in refused
    )


def findings_of_all(
    findings: Iterable[Finding], own: Iterable[RefusedObject], others: Mapping[str, Told]
) -> tuple[Finding, ...]:
    """Put what all replicas' proxies refuse in the place of what one's own do. `others`: by replica."""
    together = merged([own, *(told.refused for told in others.values())])
    return (
        *(each for each in findings if each.code != REFUSED),
        *refused_findings(together),
        *(_left_out(replica) for replica, told in sorted(others.items()) if told.left_out),
    )


def _left_out(replica: str) -> Finding:
    return Finding(
        REFUSED,
        Severity.ERROR,
        None,
        f"proxies of the replica {replica} refuse more objects than it can tell the one that writes",
        "Conditions of those may say that they are programmed: `osm analyze` shows all.",
    )


def _and_others(proxies: int) -> str:
    if proxies < 2:
        return ""
    others = _OTHERS[bisect_right(_OTHERS, proxies - 1) - 1]
    return " and another" if others == 1 else f" and at least {others} others"


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _cut(message: str) -> str:
    return message if len(message) <= TOLD_MESSAGE else message[: TOLD_MESSAGE - 1] + "…"
