"""Whatever a proxy sends, the stream neither raises nor sends what was not asked for."""

from collections.abc import Callable

import pytest
from tests.unit.xds.world import Client, resource

from osm.core.xds import types
from osm.core.xds.delta import DeltaStream
from osm.core.xds.resource import Resource

CDS, EDS, VHDS = types.CLUSTER, types.ENDPOINT, types.VIRTUAL_HOST
Send = Callable[[DeltaStream], object]

LONG = "x" * 100_000

CASES: dict[str, Send] = {
    "an acknowledgement before anything was sent": lambda s: s.receive(EDS, nonce="1"),
    "a refusal before anything was sent": lambda s: s.receive(EDS, nonce="1", error="no"),
    "an unknown nonce": lambda s: s.receive(EDS, nonce="999"),
    "a refusal of an unknown nonce": lambda s: s.receive(EDS, nonce="999", error="no"),
    "a nonce that is no number": lambda s: s.receive(EDS, nonce="../../etc/passwd"),
    "an empty nonce with an error": lambda s: s.receive(EDS, error="no"),
    "an empty error": lambda s: s.receive(EDS, nonce="1", error=""),
    "a very long nonce": lambda s: s.receive(EDS, nonce=LONG),
    "a very long error": lambda s: s.receive(EDS, nonce="1", error=LONG),
    "an unknown type": lambda s: s.receive("type.googleapis.com/x", subscribe=["a"]),
    "an empty type": lambda s: s.receive("", subscribe=["a"]),
    "a type without its prefix": lambda s: s.receive("envoy.config.cluster.v3.Cluster"),
    "a very long type": lambda s: s.receive(LONG, subscribe=["a"]),
    "no names at all": lambda s: s.receive(EDS),
    "an empty name": lambda s: s.receive(EDS, subscribe=[""]),
    "a name twice": lambda s: s.receive(EDS, subscribe=["known", "known"]),
    "a name again": lambda s: [s.receive(EDS, subscribe=["known"]) for _ in range(3)],
    "a star among others": lambda s: s.receive(EDS, subscribe=["*", "known", "*"]),
    "a name that looks like a star": lambda s: s.receive(CDS, subscribe=["known", "**"]),
    "a very long name": lambda s: s.receive(EDS, subscribe=[LONG]),
    "a name with every character": lambda s: s.receive(
        EDS, subscribe=["".join(map(chr, range(1, 0x300)))]
    ),
    "dropping what was never asked for": lambda s: s.receive(EDS, unsubscribe=["nothing"]),
    "dropping a name twice": lambda s: s.receive(EDS, unsubscribe=["known", "known"]),
    "dropping everything without a wildcard": lambda s: s.receive(EDS, unsubscribe=["*"]),
    "dropping everything twice": lambda s: [s.receive(CDS, unsubscribe=["*"]) for _ in "ab"],
    "dropping an empty name": lambda s: s.receive(EDS, unsubscribe=[""]),
    "asking and dropping at once": lambda s: s.receive(
        EDS, subscribe=["known"], unsubscribe=["known"]
    ),
    "a wildcard on and off at once": lambda s: s.receive(CDS, subscribe=["*"], unsubscribe=["*"]),
    "versions of nothing": lambda s: s.receive(EDS, initial_versions={}),
    "versions of an empty name": lambda s: s.receive(EDS, initial_versions={"": ""}),
    "empty versions": lambda s: s.receive(EDS, subscribe=["a"], initial_versions={"a": ""}),
    "versions that lie": lambda s: s.receive(EDS, initial_versions={"known": "mine"}),
    "versions of what others have": lambda s: s.receive(CDS, initial_versions={"theirs": "1"}),
    "versions of what is dropped at once": lambda s: s.receive(
        EDS, unsubscribe=["known"], initial_versions={"known": "1"}
    ),
    "an acknowledgement that asks for more": lambda s: s.receive(
        EDS, nonce="7", subscribe=["known"]
    ),
    "a refusal that asks for more": lambda s: s.receive(
        EDS, nonce="7", error="no", subscribe=["known"]
    ),
    "many types": lambda s: [s.receive(f"t{i}", subscribe=["a"]) for i in range(1000)],
}

PRESENT: dict[tuple[str, str], Resource] = {
    (EDS, "known"): resource("known", type_url=EDS),
    (VHDS, "known"): resource("known", type_url=VHDS),
}


def lookup(type_url: str, name: str) -> Resource | None:
    return PRESENT.get((type_url, name))


def nothing(_type_url: str) -> frozenset[str]:
    return frozenset()


@pytest.mark.parametrize("case", CASES)
def test_garbage_does_no_harm(case: str) -> None:
    stream, client = DeltaStream(), Client()
    CASES[case](stream)
    for response in stream.respond(lookup, nothing, asked={}, changed={}):
        client.apply(response.wire)
    assert set(client.held) <= set(types.ORDER)
    assert set(stream.types) <= set(types.ORDER)
    for type_url, held in client.held.items():
        state = stream.types[type_url]
        assert set(held) <= state.names | state.versions.keys()
    # And the stream still serves.
    asked = stream.receive(VHDS, subscribe=["known"]).asked
    (response,) = stream.respond(lookup, nothing, asked={VHDS: asked}, changed={VHDS: {"known"}})
    assert client.apply(response.wire).resources[0].name == "known"
    assert stream.receive(VHDS, nonce=response.nonce).refusal is None


def test_there_are_many_kinds_of_garbage() -> None:
    assert len(CASES) >= 30


def test_a_stale_nonce_settles_nothing_twice() -> None:
    stream = DeltaStream()
    asked = stream.receive(EDS, subscribe=["known"]).asked
    (response,) = stream.respond(lookup, nothing, asked={EDS: asked}, changed={EDS: {"known"}})
    stream.receive(EDS, nonce=response.nonce)
    late = stream.receive(EDS, nonce=response.nonce, error="too late")
    assert late.refusal is None
    assert stream.in_sync
    state = stream.types[EDS]
    assert (state.acknowledged, state.refused) == (1, 0)


def test_a_nonce_of_another_type_settles_nothing() -> None:
    stream = DeltaStream()
    asked = stream.receive(EDS, subscribe=["known"]).asked
    (response,) = stream.respond(lookup, nothing, asked={EDS: asked}, changed={EDS: {"known"}})
    stream.receive(VHDS, nonce=response.nonce)
    assert not stream.in_sync
