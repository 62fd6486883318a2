"""C6: splits that lead in circles, to nowhere, to too many, or by weights that no Envoy can add."""

from pathlib import Path

import pytest
from tests.unit.envoy.asking import catalog_of, value_of
from tests.unit.envoy.static import StaticEnvoy

from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm.core.api.decode import decode
from osm.core.envoy.render import build
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    PERMISSIVE,
    Document,
    Part,
    manifests,
    model,
    pod,
    port_name,
    proxy,
    service,
    split,
)

CLIENT = pod("client", ip="10.9.0.1")


def shops(*names: str, namespace: str = "default") -> list[Document]:
    return [
        part
        for number, name in enumerate(names, 1)
        for part in (
            pod(name, ip=f"10.0.{number >> 8}.{number & 255}", namespace=namespace),
            service(name, 80, ip=f"10.1.{number >> 8}.{number & 255}", namespace=namespace),
        )
    ]


def backends(found: Model, root: str) -> list[tuple[str, int]]:
    rule = found.routes[port_name(f"{root}:80")].rules[0]
    return [(backend.port.service.name, backend.weight) for backend in rule.backends]


def told_of_splits(found: Model) -> list[str]:
    """What has no effect. That a split leads to another one is told, too, and does no harm."""
    return [f.code for f in found.findings if f.code in ("OSM311", "OSM312", "OSM313")]


# what; the splits; where root a leads; codes of findings
TAKEN: list[tuple[str, list[Document], list[tuple[str, int]], list[str]]] = [
    ("a to itself", [split("s", "a", {"a": 1})], [("a", 1)], []),
    ("a to itself and b", [split("s", "a", {"a": 9, "b": 1})], [("a", 9), ("b", 1)], []),
    ("a to b to a", [split("s", "a", {"b": 1}), split("t", "b", {"a": 1})], [("b", 1)], []),
    ("a to b to c to a",
     [split("s", "a", {"b": 1}), split("t", "b", {"c": 1}), split("u", "c", {"a": 1})],
     [("b", 1)], []),
    ("a to b, which is split", [split("s", "a", {"b": 1}), split("t", "b", {"c": 1})],
     [("b", 1)], []),
    ("all weights 0", [split("s", "a", {"a": 0, "b": 0})], [("a", 0), ("b", 0)], []),
    ("one backend with 0", [split("s", "a", {"b": 0})], [("b", 0)], []),
    ("2^31 of one", [split("s", "a", {"b": 2**31})], [("b", 2**31)], []),
    ("as much as can be", [split("s", "a", {"b": 2**32 - 2, "c": 1})],
     [("b", 2**32 - 2), ("c", 1)], []),
    ("10^400 of one, which is all", [split("s", "a", {"b": 10**400})], [("b", 1)], []),
    ("2^63 each of two, which is half", [split("s", "a", {"b": 2**63, "c": 2**63})],
     [("b", 1), ("c", 1)], []),
    ("a missing backend", [split("s", "a", {"b": 1, "gone": 1})], [("b", 1)], ["OSM313"]),
    ("missing backends alone", [split("s", "a", {"gone": 1})], [], ["OSM313"]),
    ("a backend of another namespace", [split("s", "a", {"d.other": 1, "b": 1})],
     [("b", 1)], ["OSM313"]),
    ("the same, by its whole name", [split("s", "a", {"d.other.svc.cluster.local": 1})],
     [], ["OSM313"]),
    ("two backends that are one", [split("s", "a", {"b": 1, "b.default": 2})], [("b", 3)], []),
    ("a backend without pods", [split("s", "a", {"empty": 1})], [("empty", 1)], []),
    ("two splits of a", [split("s", "a", {"b": 1}), split("t", "a", {"c": 1})],
     [("b", 1)], ["OSM312"]),
    ("a root of another namespace", [split("s", "d.other", {"b": 1})], [("a", 1)], ["OSM311"]),
]  # fmt: skip
REFUSED: list[tuple[str, Document, str]] = [
    ("a negative weight", split("s", "a", {"b": -1}), "OSM133"),
    ("2^32 together", split("s", "a", {"b": 2**32 - 1, "c": 1}), "OSM133"),
    ("2^63 and 1", split("s", "a", {"b": 2**63, "c": 1}), "OSM133"),
    ("10^400 and 1", split("s", "a", {"b": 10**400, "c": 1}), "OSM133"),
    ("too much, as a quantity", split("s", "a", {"b": "5G", "c": 1}), "OSM133"),
    ("a weight that is no number", split("s", "a", {"b": "NaN"}), "OSM133"),
    ("no backend", split("s", "a", {}), "OSM117"),
]
MESH = [CLIENT, *shops("a", "b", "c"), *shops("d", namespace="other"), service("empty", 80)]


@pytest.mark.parametrize(
    ("parts", "leads", "codes"), [r[1:] for r in TAKEN], ids=[r[0] for r in TAKEN]
)
def test_a_split_means_its_leaves_and_no_more(
    parts: list[Document], leads: list[tuple[str, int]], codes: list[str]
) -> None:
    found = model(*MESH, *parts)
    assert backends(found, "a") == leads
    assert told_of_splits(found) == codes


@pytest.mark.parametrize(("part", "code"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_weights_that_cannot_be_added_are_refused(part: Document, code: str) -> None:
    decoded = decode(part)
    assert decoded.manifest is None
    assert code in {finding.code for finding in decoded.findings}


def test_envoy_takes_what_they_mean(tmp_path: Path) -> None:
    envoy = StaticEnvoy(tmp_path)
    for _, parts, *_ in TAKEN:
        found = model(*MESH, *parts)
        envoy.add_proxy(found, catalog_of(found), proxy(found, "client"))
    assert envoy.validate() == ""


@pytest.mark.parametrize(
    "weights", [{"a": 0, "b": 0}, {"gone": 1}], ids=["all weights 0", "missing backends alone"]
)
def test_what_leads_nowhere_is_answered_with_503(weights: dict[str, object]) -> None:
    found = model(*MESH, split("s", "a", weights))
    (route,) = virtual_host_of(found, "a").routes
    assert route.direct_response.status == 503


def virtual_host_of(found: Model, root: str) -> route_components_pb2.VirtualHost:
    value = value_of(
        catalog_of(found), proxy(found, "client"), types.VIRTUAL_HOST, f"rds-outbound.80/{root}"
    )
    assert value is not None
    host = build(value)
    assert isinstance(host, route_components_pb2.VirtualHost)
    return host


def chain(length: int, *, circle: bool) -> list[Part]:
    """Splits, each of whose one leaf is the next one's root."""
    last = length - 1
    parts: list[Part] = [PERMISSIVE, CLIENT, *shops(*(f"s{n}" for n in range(length)))]
    parts += [split(f"x{n}", f"s{n}", {f"s{n + 1}": 1}) for n in range(last)]
    return [*parts, split("last", f"s{last}", {"s0": 1})] if circle else parts


@pytest.mark.parametrize("circle", [False, True], ids=["a chain", "a circle"])
def test_a_thousand_splits_one_behind_the_other_are_followed_once(circle: bool) -> None:  # noqa: FBT001
    found = model(*chain(1000, circle=circle))
    assert told_of_splits(found) == []
    assert backends(found, "s0") == [("s1", 1)]
    assert backends(found, "s999") == ([("s0", 1)] if circle else [("s999", 1)])
    assert len(virtual_host_of(found, "s0").routes) == 1
    told = explain(found, Question("client", "s0:80", "GET", "/"))
    assert told.allowed


def test_a_thousand_backends_share_as_written(tmp_path: Path) -> None:
    names = [f"s{n}" for n in range(1000)]
    weights = {name: number % 7 for number, name in enumerate(names)}
    decoded = manifests(split("s", "s0", weights))
    found = model(CLIENT, *shops(*names), *decoded)
    assert dict(backends(found, "s0")) == weights
    envoy = StaticEnvoy(tmp_path)
    few = model(CLIENT, *shops("s0", "s1"), *decoded)
    envoy.add_proxy(few, catalog_of(few), proxy(few, "client"))
    assert envoy.validate() == ""
    host = virtual_host_of(found, "s0")
    clusters = host.routes[0].route.weighted_clusters.clusters
    assert {c.name: c.weight.value for c in clusters} == {
        f"default/{name}|80": weight for name, weight in weights.items() if weight
    }
