"""Whatever changes in whatever order: the result is, byte for byte, that of a build from nothing."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.incremental.histories import (
    ACCOUNT,
    EGRESS,
    GROUP,
    KINDS,
    LIMITS,
    POD,
    RETRY,
    SERVICE,
    SETTINGS,
    STREAM,
    TARGET,
    TELLING,
    VARIANTS,
    Step,
)
from tests.unit.incremental.mesh import Mesh, live

from osm.core.derive.reads import Read, Recorder

steps = st.tuples(st.integers(0, KINDS - 1), st.integers(0, 11), st.integers(0, VARIANTS - 1))
HISTORIES = 2000
PARTS = 16
"""The histories are lived in parts, so that several processes can share them."""


@pytest.mark.parametrize("part", range(PARTS))
def test_any_history_leads_to_what_is_built_from_nothing(part: int) -> None:
    @settings(max_examples=HISTORIES // PARTS, derandomize=False)
    @given(history=st.lists(st.lists(steps, min_size=1, max_size=3), min_size=1, max_size=6))
    def histories(history: Sequence[Sequence[Step]]) -> None:
        live(history)

    histories()


def random_history(seed: int, about: Sequence[int] = ()) -> list[list[Step]]:
    """Of all kinds of change; or of a few, so that what depends on each other meets."""
    random = Random(seed)
    kinds = [POD, POD + 1, SERVICE, SERVICE + 1, *about, *about] if about else range(KINDS)
    return [
        [
            (random.choice(kinds), random.randrange(12), random.randrange(VARIANTS))
            for _ in range(random.randint(1, 3))
        ]
        for _ in range(8)
    ]


RARE: Mapping[str, Sequence[int]] = {
    "service_accounts": (ACCOUNT, TARGET),
    "egresses_naming": (EGRESS, GROUP, LIMITS),
    "egress_of": (EGRESS, GROUP),
    "egresses_of": (EGRESS, LIMITS),
    "egress_limits": (EGRESS, LIMITS),
    "upstreams_of": (LIMITS,),
    "retries_of": (RETRY, SETTINGS),
    "http_ports": (EGRESS, SETTINGS, STREAM),
    "tcp_ports": (EGRESS, SETTINGS),
    "telemetry_reach": (TELLING, SETTINGS),
    "authorizers": (TELLING, SETTINGS, LIMITS),
}
"""Tables that are looked at in few histories, and the kinds of change that they are about."""


class Leaky(set[Read]):
    """Reads, all but those of one table."""

    def __init__(self, dropped: str) -> None:
        super().__init__()
        self._dropped = dropped

    def add(self, read: Read) -> None:
        if read[0] != self._dropped:
            super().add(read)


READ = (
    "namespaces",
    "pods",
    "service_accounts",
    "accounts_in",
    "workloads_of",
    "selected_by",
    "ports_for",
    "targets_naming",
    "splits_naming",
    "egresses_naming",
    "ingresses_naming",
    "egress_of",
    "mesh_configs",
    "route_groups",
    "tcp_routes",
    "splits",
    "service_objects",
    "service_shapes",
    "services_by_label",
    "members",
    "workloads",
    "compiled_services",
    "services",
    "ports_of",
    "aliases_read",
    "aliases",
    "port_owners",
    "splits_of",
    "target_rules",
    "tcp_services",
    "http_ports",
    "routes",
    "endpoints",
    "services_of",
    "access",
    "retry_objects",
    "retries_of",
    "retries",
    "upstream_settings",
    "upstreams_of",
    "upstreams",
    "roots_of",
    "egresses_of",
    "ingress_read",
    "ingress_claims",
    "ingress",
    "egress_read",
    "egress",
    "egress_clusters",
    "egress_limits",
    "by_address",
    "by_cluster",
    "tcp_ports",
    "telemetry_objects",
    "telemetry_reach",
    "telemetries_at",
    "telemetry_logs",
    "telemetry_choices",
    "telemetry_users",
    "extension_services",
    "access_logs",
    "settings",
    "destinations",
    "certificates",
    "guarded",
    "asked",
    "authorizers",
    "limiters",
)


@pytest.mark.parametrize("table", READ)
def test_a_dependency_that_is_dropped_is_noticed(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh(recorder: Recorder) -> set[Read]:
        recorder.reads = Leaky(table)
        return recorder.reads

    monkeypatch.setattr(Recorder, "fresh", fresh)
    for seed in range(300):
        try:
            live(random_history(seed, RARE.get(table, ())))
        except (AssertionError, KeyError):
            return
    pytest.fail(f"nobody noticed that reads of {table} were forgotten")


def test_the_tables_whose_reads_are_dropped_are_all_that_are_read() -> None:
    read: set[str] = set()
    for seed in range(20):
        mesh = live(random_history(seed))
        read |= {table for each in mesh.dependencies() for table in each.tables()}
    assert read - {"options"} == set(READ)  # the options never change


def test_a_change_that_means_nothing_changes_nothing() -> None:
    mesh = Mesh()
    mesh.take([(0, 0, 0), (2, 0, 0)])
    before: Any = mesh.compiler.model
    pod = next(m for m in mesh.objects.values() if m.key.kind == "Pod")
    annotated = pod.object.metadata.__class__(
        name=pod.key.name,
        namespace=pod.key.namespace,
        labels=pod.object.metadata.labels,
        annotations={"somebody": "was here"},
    )
    changed = type(pod)(
        pod.key, pod.object.__class__(annotated, pod.object.spec, pod.object.status), pod.raw
    )
    compiled = mesh.compiler.update([changed])
    assert compiled.model is before and set(compiled.changed) == {"pods"}
