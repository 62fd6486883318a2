"""What a mesh means does not depend on the order in which its objects came, nor does its bytes."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.compile.meshes import meshes
from tests.unit.envoy.asking import rendered

from osm.core.compile.build import compile_model
from osm.core.compile.snapshot import Snapshot
from osm.testing.builders import LOCAL, Document, manifests, model


@settings(max_examples=25)
@given(objects=meshes(), seed=st.integers(0, 2**16))
def test_shuffled_objects_mean_the_same_and_render_to_the_same_bytes(
    objects: Sequence[Document], seed: int
) -> None:
    shuffled = list(objects)
    Random(seed).shuffle(shuffled)
    first, second = model(*objects), model(*shuffled)
    assert second == first
    assert rendered(second) == rendered(first)


@settings(max_examples=25)
@given(objects=meshes(), seed=st.integers(0, 2**16))
def test_objects_that_come_one_by_one_and_detours_change_nothing(
    objects: Sequence[Document], seed: int
) -> None:
    found = manifests(*objects)
    shuffled = list(found)
    Random(seed).shuffle(shuffled)
    snapshot = Snapshot()
    for manifest in shuffled:
        snapshot = snapshot.with_changes(applied=[manifest])
    gone = shuffled[: len(shuffled) // 2]
    snapshot = snapshot.with_changes(deleted=[manifest.key for manifest in gone])
    snapshot = snapshot.with_changes(applied=gone)
    assert compile_model(snapshot, LOCAL) == model(*objects)


@settings(max_examples=25)
@given(objects=meshes())
def test_whatever_is_written_every_part_refers_to_a_part_that_is_there(
    objects: Sequence[Document],
) -> None:
    found = model(*objects)
    for name, route in found.routes.items():
        assert route.rules, name
        assert {b.port for rule in route.rules for b in rule.backends} <= set(found.services)
    for port, members in found.endpoints.items():
        for member in members:
            workload = found.workloads[member.namespace, member.workload]
            assert workload.identity in found.services[port].identities
    for destination, rules in found.access.items():
        assert rules and all(r.destination == destination and r.sources for r in rules)
    for key, names in found.services_of.items():
        assert key in found.workloads and set(names) <= set(found.services)
