"""One proxy's stream: subscriptions, acknowledgements, refusals, reconnections."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.xds.world import Client, Content, render, resource

from osm.core.xds import types
from osm.core.xds.blame import find_blamed
from osm.core.xds.delta import DeltaStream
from osm.core.xds.resource import EMPTY_VERSION, Resource
from osm.core.xds.stream_state import Response

CDS, LDS, EDS, RDS, VHDS = (
    types.CLUSTER,
    types.LISTENER,
    types.ENDPOINT,
    types.ROUTE,
    types.VIRTUAL_HOST,
)


class Stream:
    """A stream with the resources behind it."""

    def __init__(
        self, own: Mapping[tuple[str, str], Resource] | None = None, **limits: int
    ) -> None:
        self.delta = DeltaStream(**limits)
        self.present: dict[tuple[str, str], Resource] = {}
        self.own = dict(own or {})
        self.client = Client()

    def ask(
        self,
        type_url: str,
        *names: str,
        drop: tuple[str, ...] = (),
        nonce: str = "",
        error: str | None = None,
        held: Mapping[str, str] | None = None,
    ) -> list[Response]:
        """One request, and the responses that follow at once."""
        received = self.delta.receive(
            type_url,
            subscribe=names,
            unsubscribe=drop,
            nonce=nonce,
            error=error,
            initial_versions=held,
        )
        return self.respond({type_url: received.asked})

    def respond(self, asked: Mapping[str, frozenset[str]] | None = None) -> list[Response]:
        """What must be said now. Looks at everything that is held."""
        everything = {
            kind: state.names | state.versions.keys() | self.own_names(kind)
            for kind, state in self.delta.types.items()
        }
        responses = self.delta.respond(
            self.lookup, self.own_names, asked=asked or {}, changed=everything
        )
        for response in responses:
            self.client.apply(response.wire)
        return responses

    def acknowledge(self, responses: list[Response]) -> None:
        for response in responses:
            assert self.ask(response.type_url, nonce=response.nonce) == []

    def lookup(self, type_url: str, name: str) -> Resource | None:
        return self.own.get((type_url, name)) or self.present.get((type_url, name))

    def own_names(self, type_url: str) -> frozenset[str]:
        return frozenset(name for kind, name in self.own if kind == type_url)

    def put(self, type_url: str, name: str, text: str = "1") -> Resource:
        made = self.present[type_url, name] = resource(name, text, type_url)
        return made

    def in_sync(self) -> bool:
        return self.delta.in_sync

    def held(self, type_url: str) -> list[str]:
        return sorted(self.client.held.get(type_url, {}))


def test_what_is_asked_for_is_sent_once() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    (response,) = stream.ask(EDS, "a")
    assert response.names == ("a",) and response.removed == ()
    stream.acknowledge([response])
    assert stream.respond() == []
    assert stream.in_sync()


def test_a_change_is_sent_to_who_holds_the_resource_and_other_names_are_not() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.ask(EDS, "a")
    stream.put(EDS, "b")
    assert stream.respond() == []
    changed = stream.put(EDS, "a", "2")
    (response,) = stream.respond()
    assert response.names == ("a",)
    assert stream.client.held[EDS] == {"a": changed.version}


def test_only_names_that_are_said_to_have_changed_are_looked_at() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.put(EDS, "b")
    stream.ask(EDS, "a", "b")
    stream.put(EDS, "a", "2")
    stream.put(EDS, "b", "2")
    (response,) = stream.delta.respond(
        stream.lookup, stream.own_names, asked={}, changed={EDS: {"b", "c"}}
    )
    assert response.names == ("b",)


def test_a_resource_that_is_not_there_yet_is_said_to_be_gone_and_comes_later() -> None:
    stream = Stream()
    (response,) = stream.ask(EDS, "later")
    assert response.removed == ("later",)
    assert stream.respond() == []
    stream.put(EDS, "later")
    (response,) = stream.respond()
    assert response.names == ("later",)


def test_a_virtual_host_that_does_not_exist_is_answered_with_an_empty_resource() -> None:
    stream = Stream()
    (response,) = stream.ask(VHDS, "r/gone")
    assert response.names == ("r/gone",) and response.removed == ()
    assert stream.client.absent == {(VHDS, "r/gone")}
    assert stream.respond() == []
    stream.put(VHDS, "r/gone")
    stream.respond()
    assert stream.held(VHDS) == ["r/gone"] and stream.client.absent == set()


def test_a_virtual_host_that_goes_is_removed_and_asking_again_is_answered() -> None:
    stream = Stream()
    stream.put(VHDS, "r/a")
    stream.ask(VHDS, "r/a")
    del stream.present[VHDS, "r/a"]
    (response,) = stream.respond()
    assert response.removed == ("r/a",)
    (response,) = stream.ask(VHDS, "r/a")
    assert response.names == ("r/a",) and stream.held(VHDS) == []


def test_a_virtual_host_that_goes_while_it_is_asked_for_again_is_removed_and_answered() -> None:
    stream = Stream()
    stream.put(VHDS, "r/a")
    stream.ask(VHDS, "r/a")
    del stream.present[VHDS, "r/a"]
    removal, answer = stream.ask(VHDS, "r/a")
    assert answer.names == ("r/a",) and removal.removed == ("r/a",)
    assert stream.held(VHDS) == [] and stream.client.absent == {(VHDS, "r/a")}


def test_asking_again_for_what_is_held_is_answered() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.ask(EDS, "a")
    (response,) = stream.ask(EDS, "a")
    assert response.names == ("a",)


def test_a_refused_version_is_not_sent_again_and_the_next_one_is() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    (response,) = stream.ask(EDS, "a")
    received = stream.delta.receive(EDS, nonce=response.nonce, error="bad")
    assert received.refusal is not None
    assert received.refusal.resources == ("a",) and received.refusal.message == "bad"
    assert not stream.in_sync()
    assert [stream.respond() for _ in range(3)] == [[], [], []]
    stream.put(EDS, "a", "2")
    (response,) = stream.respond()
    assert not stream.in_sync()
    stream.acknowledge([response])
    assert stream.in_sync()
    state = stream.delta.types[EDS]
    assert (state.sent, state.acknowledged, state.refused, state.last_error) == (2, 1, 1, "")


def test_a_refusal_stays_until_something_of_it_is_accepted() -> None:
    stream = Stream()
    for name in "abc":
        stream.put(EDS, name)
    (first,) = stream.ask(EDS, "a", "b")
    others, alone = stream.ask(EDS, nonce=first.nonce, error="bad a")
    stream.acknowledge([others])
    assert stream.ask(EDS, nonce=alone.nonce, error="bad a") == []
    (second,) = stream.ask(EDS, "c")
    stream.ask(EDS, nonce=second.nonce, error="bad c")
    stream.put(EDS, "c", "2")
    stream.acknowledge(stream.respond())
    assert not stream.in_sync() and stream.delta.types[EDS].last_error == "bad c"
    stream.put(EDS, "a", "2")
    stream.acknowledge(stream.respond())
    assert stream.in_sync() and stream.delta.types[EDS].last_error == ""


def test_a_refusal_is_forgotten_when_nobody_wants_its_resources_any_more() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    (response,) = stream.ask(EDS, "a")
    stream.ask(EDS, nonce=response.nonce, error="bad")
    stream.ask(EDS, drop=("a",))
    assert stream.in_sync()


def test_what_is_dropped_is_not_sent_any_more() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.ask(EDS, "a")
    received = stream.delta.receive(EDS, unsubscribe=["a"])
    assert received.dropped == {"a"}
    stream.put(EDS, "a", "2")
    assert stream.respond() == []


def test_what_is_asked_for_and_dropped_in_one_request_is_not_held() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    assert stream.ask(EDS, "a", drop=("a",)) == []
    stream.put(EDS, "a", "2")
    assert stream.respond() == []


def test_what_was_dropped_before_the_answer_went_out_is_not_sent() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    asked = stream.delta.receive(EDS, subscribe=["a"]).asked
    stream.delta.receive(EDS, unsubscribe=["a"])
    assert stream.respond({EDS: asked}) == []
    stream.put(EDS, "a", "2")
    assert stream.respond() == []


OWN = {(CDS, "mine"): resource("mine"), (LDS, "in"): resource("in", type_url=LDS)}


@pytest.mark.parametrize("names", [(), ("*",)], ids=["legacy", "star"])
@pytest.mark.parametrize("type_url", [CDS, LDS])
def test_a_wildcard_gets_everything_of_the_proxys_own(
    type_url: str, names: tuple[str, ...]
) -> None:
    stream = Stream(OWN)
    (response,) = stream.ask(type_url, *names)
    assert response.names == ({CDS: "mine", LDS: "in"}[type_url],)


def test_a_wildcard_without_anything_is_answered_once_with_nothing() -> None:
    stream = Stream()
    (response,) = stream.ask(CDS)
    assert response.names == () and response.removed == ()
    stream.acknowledge([response])
    assert stream.in_sync()


def test_a_wildcard_gets_what_is_new_and_loses_what_goes() -> None:
    stream = Stream()
    stream.ask(LDS)
    stream.own[LDS, "new"] = resource("new", type_url=LDS)
    (response,) = stream.respond()
    assert response.names == ("new",)
    del stream.own[LDS, "new"]
    (response,) = stream.respond()
    assert response.removed == ("new",)
    assert stream.respond() == [] and stream.held(LDS) == []


@pytest.mark.parametrize("type_url", [EDS, RDS, types.SECRET, types.EXTENSION])
def test_other_types_have_no_wildcard(type_url: str) -> None:
    stream = Stream({(type_url, "own"): resource("own", type_url=type_url)})
    assert stream.ask(type_url) == []
    assert stream.ask(type_url, "*") == []
    assert not stream.delta.types[type_url].wildcard


def test_a_request_that_names_nothing_is_no_wildcard_later() -> None:
    stream = Stream(OWN)
    stream.put(CDS, "other")
    stream.ask(CDS, "other")
    assert stream.ask(CDS) == []
    assert stream.held(CDS) == ["other"]


def test_names_beside_a_wildcard_are_kept_apart() -> None:
    stream = Stream(OWN)
    stream.put(CDS, "other")
    stream.ask(CDS, "*", "other")
    assert stream.held(CDS) == ["mine", "other"]
    received = stream.delta.receive(CDS, unsubscribe=["*"])
    assert received.dropped == {"mine"}
    stream.own[CDS, "mine"] = resource("mine", "2")
    stream.put(CDS, "other", "2")
    (response,) = stream.respond()
    assert response.names == ("other",)


def test_a_wildcard_that_comes_back_is_answered_in_full() -> None:
    stream = Stream(OWN)
    stream.ask(CDS)
    stream.ask(CDS, drop=("*",))
    received = stream.delta.receive(CDS, subscribe=["*"])
    assert received.everything
    (response,) = stream.respond()
    assert response.names == ("mine",)


def test_dropping_a_name_that_is_also_the_proxys_own_is_answered_with_it() -> None:
    stream = Stream(OWN)
    stream.ask(CDS, "*", "mine")
    (response,) = stream.ask(CDS, drop=("mine",))
    assert response.names == ("mine",)
    stream.own[CDS, "mine"] = resource("mine", "2")
    (response,) = stream.respond()
    assert response.names == ("mine",)


def test_dropping_another_name_beside_a_wildcard_is_answered_with_its_removal() -> None:
    stream = Stream(OWN)
    stream.put(CDS, "other")
    stream.ask(CDS, "*", "other")
    (response,) = stream.ask(CDS, drop=("other",))
    assert response.removed == ("other",) and stream.held(CDS) == ["mine"]


def test_a_reconnection_gets_only_what_differs() -> None:
    stream = Stream(OWN)
    same = stream.put(EDS, "same")
    stream.put(EDS, "changed", "2")
    stream.put(EDS, "new")
    held = {"same": same.version, "changed": "old", "gone": "old"}
    addition, removal = stream.ask(EDS, "same", "changed", "gone", "new", held=held)
    assert addition.names == ("changed", "new")
    assert removal.removed == ("gone",)


def test_a_reconnection_with_everything_unchanged_gets_nothing_but_the_awaited_answer() -> None:
    stream = Stream(OWN)
    same = stream.put(EDS, "same")
    (response,) = stream.ask(CDS, "*", held={"mine": OWN[CDS, "mine"].version})
    assert response.names == () and response.removed == ()
    assert stream.ask(EDS, "same", held={"same": same.version}) == []
    stream.put(EDS, "same", "2")
    (response,) = stream.respond()
    assert response.names == ("same",)


def test_a_reconnection_with_a_wildcard_is_told_what_has_gone() -> None:
    stream = Stream(OWN)
    (response,) = stream.ask(LDS, held={"in": OWN[LDS, "in"].version, "out": "old"})[-1:]
    assert response.removed == ("out",)


def test_a_reconnection_that_knows_of_an_absent_virtual_host_is_told_nothing() -> None:
    stream = Stream()
    assert stream.ask(VHDS, "r/a", held={"r/a": f"{EMPTY_VERSION}7"}) == []
    stream.put(VHDS, "r/a")
    (response,) = stream.respond()
    assert response.names == ("r/a",)


def test_versions_count_in_the_first_request_of_a_type_only() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.ask(EDS)
    (response,) = stream.ask(EDS, "a", held={"a": "claimed"})
    assert response.names == ("a",)


def test_additions_come_in_order_and_removals_in_the_opposite_one() -> None:
    stream = Stream(OWN)
    for type_url in (EDS, RDS, VHDS):
        stream.put(type_url, "a")
    asked = {}
    for type_url in (VHDS, RDS, LDS, EDS, CDS):
        names = ["a"] if (type_url, "a") in stream.present else ["*"]
        asked[type_url] = stream.delta.receive(type_url, subscribe=names).asked
    assert [r.type_url for r in stream.respond(asked)] == [CDS, EDS, LDS, RDS, VHDS]
    stream.present.clear()
    stream.own.clear()
    assert [r.type_url for r in stream.respond()] == [VHDS, RDS, LDS, EDS, CDS]


def test_a_cluster_that_changes_takes_its_endpoints_along_and_one_that_does_not_no() -> None:
    stream = Stream()
    for text in ("1", "2"):
        cluster = resource("c", text)
        stream.present[CDS, "c"] = msgspec.structs.replace(cluster, endpoints="c")
        stream.put(EDS, "c")
        stream.put(EDS, "d")
        if text == "1":
            stream.ask(CDS, "c")
            stream.ask(EDS, "c", "d")
    clusters, endpoints = stream.respond()
    assert (clusters.type_url, clusters.names) == (CDS, ("c",))
    assert (endpoints.type_url, endpoints.names) == (EDS, ("c",))
    stream.put(EDS, "d", "2")
    (response,) = stream.respond()
    assert response.names == ("d",)


def test_all_types_have_a_place_in_the_order_and_a_short_name() -> None:
    assert set(types.ORDER) == set(types.SHORT_NAMES)
    assert set(types.ORDER) >= types.WILDCARD_TYPES


def test_a_hundred_thousand_names_are_cut_at_the_limit() -> None:
    stream = Stream()
    for start in range(0, 100_000, 20_000):
        received = stream.delta.receive(
            EDS, subscribe=[f"n{i}" for i in range(start, start + 20_000)]
        )
        assert len(received.asked) <= 10_000
    assert len(stream.delta.types[EDS].names) == 10_000
    stream.delta.receive(EDS, unsubscribe=list(stream.delta.types[EDS].names))
    assert stream.delta.receive(EDS, subscribe=["late"]).asked == {"late"}


def test_claimed_versions_are_cut_at_the_limit() -> None:
    stream = Stream(claim_limit=100)
    stream.delta.receive(EDS, initial_versions={f"n{i}": "1" for i in range(100_000)})
    assert len(stream.delta.types[EDS].versions) == 100


def test_a_proxy_that_acknowledges_nothing_takes_no_more_and_more_memory() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.ask(EDS, "a")
    for number in range(1500):
        stream.put(EDS, "a", str(number))
        stream.respond()
    assert len(stream.delta.types[EDS].pending) == 1000
    assert not stream.in_sync()


def aliased(name: str, *aliases: str, text: str = "1") -> Resource:
    return render(Content(name, text, VHDS, (name, *aliases)))


def test_several_names_of_one_virtual_host_are_answered_with_it_once() -> None:
    stream = Stream()
    stream.present = {(VHDS, name): aliased("r/a.long", "r/a") for name in ("r/a", "r/a.long")}
    (response,) = stream.ask(VHDS, "r/a", "r/a.long")
    assert response.names == ("r/a.long",)
    stream.present = {}
    (response,) = stream.respond()
    assert response.removed == ("r/a.long",) and stream.held(VHDS) == []


def test_a_virtual_host_stays_while_one_of_its_names_stands_for_it() -> None:
    stream = Stream()
    stream.present = {(VHDS, name): aliased("r/a.long", "r/a") for name in ("r/a", "r/a.long")}
    stream.ask(VHDS, "r/a", "r/a.long")
    stream.present = {
        (VHDS, "r/a.long"): aliased("r/a.long"),
        (VHDS, "r/a"): aliased("r/b", "r/a"),
    }
    (response,) = stream.respond()
    assert response.names == ("r/b", "r/a.long") and response.removed == ()


def test_a_proxy_that_comes_back_with_a_virtual_host_is_not_sent_it_for_its_other_name() -> None:
    stream = Stream()
    host = stream.present[VHDS, "r/a"] = aliased("r/a.long", "r/a")
    assert stream.ask(VHDS, "r/a", held={"r/a.long": host.version}) == []
    stream.present[VHDS, "r/a"] = aliased("r/a.long", "r/a", text="2")
    (response,) = stream.respond()
    assert response.names == ("r/a.long",)


def test_a_virtual_host_that_a_proxy_held_for_a_name_that_means_another_now_goes() -> None:
    stream = Stream()
    stream.present[VHDS, "r/a"] = aliased("r/b", "r/a")
    (response,) = stream.ask(VHDS, "r/a", held={"r/a.long": "1"})
    assert response.names == ("r/b",) and response.removed == ("r/a.long",)


def test_virtual_hosts_that_are_a_proxys_own_come_unasked() -> None:
    stream = Stream({(VHDS, "r/*"): resource("r/*", type_url=VHDS)})
    (response,) = stream.ask(VHDS, "r/a")
    assert sorted(response.names) == ["r/*", "r/a"]


def test_names_with_nothing_behind_them_are_counted_while_they_are_asked_for() -> None:
    stream = Stream()
    stream.ask(VHDS, "r/a", "r/b")
    stream.ask(CDS, "*")
    stream.put(CDS, "known")
    stream.present[CDS, "1.2.3.4:5"] = msgspec.structs.replace(
        resource("1.2.3.4:5"), placeholder=True
    )
    stream.ask(CDS, "1.2.3.4:5", "known")
    assert stream.delta.unknown == 3
    stream.put(VHDS, "r/a")
    stream.respond()
    stream.ask(CDS, drop=("1.2.3.4:5",))
    assert stream.delta.unknown == 1


PAIR = ("default/shop|80", "default/shop|8080")


@pytest.mark.parametrize(
    ("names", "message", "blamed"),
    [
        (("only",), "something else", ("only",)),
        ((), "nothing was in it", ()),
        (PAIR, "something without a name", PAIR),
        (PAIR, "Error adding/updating cluster(s) default/shop|80: bad", PAIR[:1]),
        (PAIR, "Error adding/updating cluster(s) default/shop|8080: bad", PAIR[1:]),
        (PAIR, "cluster(s) default/shop|80: bad, default/shop|8080: bad", PAIR),
        (("a", "b"), "listener(s) a: refers to b", ("a",)),
        (("a", "b"), 'Unexpected EDS cluster "b"', ("b",)),
        (("in", "out"), "failed in a way that is not known", ("in",)),
        (("shop", "shop-2"), "listener(s) shop-2: bad", ("shop-2",)),
        (("r/a.b", "r/a"), "r/a.b: bad", ("r/a.b",)),
        (("a.b", "x"), "axb: bad", ("a.b", "x")),
    ],
)
def test_a_refusal_blames_the_resources_that_its_words_name(
    names: tuple[str, ...], message: str, blamed: tuple[str, ...]
) -> None:
    assert find_blamed(names, message) == blamed


def test_only_the_resource_that_is_named_has_to_be_mended() -> None:
    stream = Stream()
    for name in "ab":
        stream.put(CDS, name)
    (response,) = stream.ask(CDS, "a", "b")
    received = stream.delta.receive(CDS, nonce=response.nonce, error="cluster(s) b: bad")
    assert received.refusal is not None and received.refusal.resources == ("b",)
    assert stream.delta.refuses(CDS, "b") and not stream.delta.refuses(CDS, "a")
    stream.put(CDS, "a", "2")
    changed, alone = stream.respond()
    assert (changed.names, alone.names) == (("a",), ("b",))
    stream.acknowledge([changed])
    assert stream.ask(CDS, nonce=alone.nonce, error="bad") == []
    assert not stream.in_sync()
    stream.put(CDS, "b", "2")
    stream.acknowledge(stream.respond())
    assert stream.in_sync()


def test_the_time_from_sending_to_the_answer_is_told_once() -> None:
    stream = Stream()
    stream.put(EDS, "a")
    stream.delta.receive(EDS, subscribe=["a"], now=5.0)
    (response,) = stream.delta.respond(
        stream.lookup, stream.own_names, asked={}, changed={EDS: {"a"}}, now=6.0
    )
    for expected in (2.5, None):
        received = stream.delta.receive(EDS, nonce=response.nonce, now=8.5)
        assert received.took_s == expected
    state = stream.delta.types[EDS]
    assert (state.last_sent, state.last_acknowledged) == (6.0, 8.5)


class Refusing(Stream):
    """A proxy that refuses each response with something bad in it, as a whole or in part."""

    def __init__(self, bad: AbstractSet[str], *, whole: bool, words: bool) -> None:
        super().__init__()
        self.bad = bad
        self.whole = whole
        self.words = words
        self.sent: list[tuple[str, ...]] = []

    def settle(self, type_url: str) -> None:
        """Until nothing more is said."""
        names = frozenset(name for kind, name in self.present if kind == type_url)
        changed = {type_url: names}
        for _ in range(1000):
            responses = self.delta.respond(self.lookup, self.own_names, asked={}, changed=changed)
            changed = {}
            if not responses:
                return
            for response in responses:
                self.take(response)
        raise AssertionError("it goes on and on")

    def take(self, response: Response) -> None:
        self.sent.append(response.names)
        refused = sorted(self.bad & set(response.names))
        held = self.client.held.setdefault(response.type_url, {})
        for name in response.names if not (refused and self.whole) else ():
            if name not in refused:
                held[name] = self.present[response.type_url, name].version
        words = "".join(f"{name}: bad, " for name in refused) if self.words else "bad"
        self.delta.receive(
            response.type_url, nonce=response.nonce, error=words if refused else None
        )


NAMES = [f"n{number}" for number in range(12)]


@given(
    names=st.sets(st.sampled_from(NAMES), min_size=1),
    bad=st.sets(st.sampled_from(NAMES), max_size=4),
    whole=st.booleans(),
    words=st.booleans(),
)
def test_bad_resources_do_not_keep_good_ones_from_a_proxy_and_are_found(
    names: set[str],
    bad: set[str],
    whole: bool,  # noqa: FBT001 - drawn
    words: bool,  # noqa: FBT001
) -> None:
    stream = Refusing(bad, whole=whole, words=words)
    for name in names:
        stream.put(EDS, name)
    stream.delta.receive(EDS, subscribe=sorted(names))
    stream.settle(EDS)
    assert stream.held(EDS) == sorted(names - bad)
    refused = {name for name in names if stream.delta.refuses(EDS, name)}
    assert refused == names & bad
    assert all(stream.sent.count((name,)) <= 1 for name in bad), (
        "a bad one was sent again and again"
    )
    count = len(stream.sent)
    stream.bad = set()
    for name in names & bad:
        stream.put(EDS, name, "mended")
    stream.settle(EDS)
    assert stream.held(EDS) == sorted(names) and stream.in_sync()
    assert len(stream.sent) <= count + 1
