"""Who is told of what: streams that hold it, once for each value, and no other."""

import pytest
from tests.unit.xds.world import Content, Seen, World, difference, render

from osm.core.derive.reads import Recorder
from osm.core.xds import types
from osm.core.xds.distribution import Distribution, Outcome
from osm.core.xds.resource import Resource

CDS, EDS = types.CLUSTER, types.ENDPOINT
ONE = World(shared={(EDS, "a"): "1", (EDS, "b"): "1"}, own={"p": {}, "q": {}})


class Rendering:
    """Renders, and counts; breaks for the text `broken`."""

    def __init__(self) -> None:
        self.seen: list[Content] = []

    def __call__(self, content: Content) -> Resource:
        if content.text == "broken":
            raise ValueError("cannot be said")
        self.seen.append(content)
        return render(content)


class Made(Distribution[str, Content]):
    """A distribution of a world, with the means to change that."""

    def __init__(self, world: World, rendering: Rendering) -> None:
        self.world = world
        self.recorder = Recorder()
        super().__init__(Seen(world, self.recorder), rendering, self.recorder)

    def become(self, world: World) -> Outcome:
        before, self.world = self.world, world
        return self.update(Seen(world, self.recorder), difference(before, world))


def distribution(world: World, *proxies: str) -> tuple[Made, Rendering]:
    rendering = Rendering()
    made = Made(world, rendering)
    for stream, proxy in enumerate(proxies):
        made.attach(stream, proxy)
    return made, rendering


def changes(outcome: Outcome) -> dict[int, dict[str, set[str]]]:
    return {stream: dict(found) for stream, found in outcome.changes.items()}


def test_what_many_hold_is_rendered_once() -> None:
    made, rendering = distribution(ONE, *["p", "q"] * 50)
    found = {made.lookup(stream, EDS, "a") for stream in range(100)}
    assert len(found) == 1 and len(rendering.seen) == 1
    outcome = made.become(World({(EDS, "a"): "2"}, ONE.own))
    assert len(rendering.seen) == 2
    assert (outcome.built, outcome.compared, len(outcome.changes)) == (1, 1, 100)


def test_equal_values_of_several_scopes_are_kept_once() -> None:
    proxies = ("p", "q", "r")
    made, rendering = distribution(World(own={p: {(CDS, "own-x"): "1"} for p in proxies}), *proxies)
    for stream in range(3):
        made.lookup(stream, CDS, "own-x")
    values = [held.value for held in made._held.values()]
    assert len(values) == 3 and len({id(value) for value in values}) == 1
    outcome = made.become(
        World(own={p: {(CDS, "own-x"): "2" if p == "r" else "1"} for p in proxies})
    )
    assert changes(outcome) == {2: {CDS: {"own-x"}}}
    assert [content.text for content in rendering.seen] == ["1", "2"]


def test_only_who_holds_what_changed_is_told() -> None:
    made, _ = distribution(ONE, "p", "q", "p")
    made.lookup(0, EDS, "a")
    made.lookup(1, EDS, "b")
    outcome = made.become(World({(EDS, "a"): "2", (EDS, "b"): "1", (EDS, "c"): "1"}, ONE.own))
    assert changes(outcome) == {0: {EDS: {"a"}}}


def test_an_equal_catalog_changes_and_builds_nothing() -> None:
    made, rendering = distribution(ONE, "p", "q")
    made.lookup(0, EDS, "a")
    made.own_names(1, CDS)
    outcome = made.become(World(dict(ONE.shared), dict(ONE.own)))
    assert (changes(outcome), outcome.compared, outcome.built) == ({}, 0, 0)
    assert len(rendering.seen) == 1


def test_what_appears_after_it_was_asked_for_is_told() -> None:
    made, _ = distribution(ONE, "p")
    assert made.lookup(0, EDS, "late") is None
    outcome = made.become(World({(EDS, "late"): "1"}, ONE.own))
    assert changes(outcome) == {0: {EDS: {"late"}}}
    found = made.lookup(0, EDS, "late")
    assert found is not None and found.name == "late"


def test_what_goes_is_told_and_is_not_there_any_more() -> None:
    made, _ = distribution(ONE, "p")
    made.lookup(0, EDS, "a")
    assert changes(made.become(World({}, ONE.own))) == {0: {EDS: {"a"}}}
    assert made.lookup(0, EDS, "a") is None


def test_who_released_or_left_is_not_told() -> None:
    made, _ = distribution(ONE, "p", "q")
    for stream in (0, 1):
        made.lookup(stream, EDS, "a")
    made.release(0, EDS, ["a", "never held"])
    made.detach(1)
    outcome = made.become(World({(EDS, "a"): "2"}, ONE.own))
    assert (changes(outcome), outcome.compared) == ({}, 0)


def test_own_resources_that_come_and_go_are_told() -> None:
    made, _ = distribution(World(own={"p": {(CDS, "own-x"): "1"}}), "p")
    assert made.own_names(0, CDS) == {"own-x"}
    outcome = made.become(World(own={"p": {(CDS, "own-y"): "1"}}))
    assert changes(outcome) == {0: {CDS: {"own-x", "own-y"}}}
    made.release_own(0, CDS)
    assert changes(made.become(World(own={"p": {}}))) == {}


def test_what_depends_on_the_proxy_is_each_proxys_own() -> None:
    own = {"p": {(CDS, "own-x"): "p"}, "q": {(CDS, "own-x"): "q"}}
    made, _ = distribution(World(own=own), "p", "q")
    first, second = made.lookup(0, CDS, "own-x"), made.lookup(1, CDS, "own-x")
    assert first is not None and second is not None and first.version != second.version
    outcome = made.become(World(own=own | {"q": {(CDS, "own-x"): "r"}}))
    assert changes(outcome) == {1: {CDS: {"own-x"}}}


def test_a_proxy_that_is_not_known_sees_nothing_and_spoils_nothing_for_others() -> None:
    made, _ = distribution(World(ONE.shared, {"q": {}}), "p", "q")
    assert made.lookup(0, EDS, "a") is None
    assert made.lookup(1, EDS, "a") is not None


def test_a_holder_that_is_not_known_any_more_spoils_nothing_for_others() -> None:
    made, _ = distribution(ONE, "p", "q")
    for stream in (0, 1):
        made.lookup(stream, EDS, "a")
    outcome = made.become(World({(EDS, "a"): "1"}, {"q": {}}))
    assert 1 not in outcome.changes
    assert made.lookup(0, EDS, "a") is None and made.lookup(1, EDS, "a") is not None


def test_what_changes_elsewhere_is_not_even_looked_at() -> None:
    made, _ = distribution(ONE, "p", "q")
    made.lookup(0, EDS, "a")
    made.own_names(1, CDS)
    outcome = made.become(World(dict(ONE.shared) | {(EDS, "b"): "2"}, ONE.own))
    assert (changes(outcome), outcome.compared, outcome.built) == ({}, 0, 0)


def test_what_cannot_be_built_leaves_the_last_one_and_disturbs_no_other() -> None:
    made, _ = distribution(ONE, "p")
    before = made.lookup(0, EDS, "a")
    made.lookup(0, EDS, "b")
    outcome = made.become(World({(EDS, "a"): "broken", (EDS, "b"): "2"}, ONE.own))
    assert changes(outcome) == {0: {EDS: {"b"}}}
    assert made.lookup(0, EDS, "a") == before
    assert made.failures == {(EDS, "a", None): "ValueError: cannot be said"}
    outcome = made.become(World({(EDS, "a"): "3", (EDS, "b"): "2"}, ONE.own))
    assert changes(outcome) == {0: {EDS: {"a"}}} and made.failures == {}


def test_what_cannot_be_built_at_first_is_not_there_until_it_can() -> None:
    made, _ = distribution(World({(EDS, "a"): "broken"}, ONE.own), "p")
    assert made.lookup(0, EDS, "a") is None
    assert made.failures
    made.release(0, EDS, ["a"])
    assert made.failures == {}


@pytest.mark.parametrize("count", [1, 10])
def test_nothing_is_kept_for_streams_that_left(count: int) -> None:
    made, _ = distribution(ONE, *["p"] * count)
    for stream in range(count):
        made.lookup(stream, EDS, "a")
        made.own_names(stream, CDS)
        made.detach(stream)
    outcome = made.become(ONE)
    assert outcome.compared == 0 and not made._held and not made._own and not made._rendered
