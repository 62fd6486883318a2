"""Envoy itself takes everything that we generate: `envoy --mode validate`."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import BoolValue
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.compile.meshes import meshes
from tests.unit.envoy.static import HTTP_MANAGER, Manager, StaticEnvoy
from tests.unit.envoy.test_golden import CASES, DIRECTORY

from osm._envoy.envoy.config.route.v3 import route_pb2
from osm.core.envoy.access import HttpAccess
from osm.core.envoy.inbound_routes import InboundRoutes, build_inbound_routes
from osm.core.envoy.route import OutboundHost, OutboundRule, build_outbound_host
from osm.core.model.access import AccessRule
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.route import HeaderFilter, HttpMatch, PathMatch, ValueMatch
from osm.testing.builders import Document, identity, model, pod, service, split

FILTERS = (
    ("envoy.filters.http.rbac", "filters.http.rbac.v3.RBAC"),
    ("envoy.filters.http.router", "filters.http.router.v3.Router"),
)
ORIGIN = Origin("HTTPRoute", "default", "r", "spec.rules[0]")


def test_envoy_takes_all_golden_meshes(tmp_path: Path) -> None:
    envoy = StaticEnvoy(tmp_path)
    for case in CASES:
        envoy.add_model(model((DIRECTORY / case / "in.yaml").read_text()))
    assert envoy.validate() == ""


def test_envoy_refuses_what_is_wrong_so_that_these_tests_can_fail(tmp_path: Path) -> None:
    envoy = StaticEnvoy(tmp_path)
    envoy.add_model(model((DIRECTORY / "split" / "in.yaml").read_text()))
    for listener in envoy.bootstrap.static_resources.listeners:
        for chain in listener.filter_chains:
            chain.filter_chain_match.Clear()
            chain.filter_chain_match.destination_port.value = 1
    assert "same matching rules" in envoy.validate() or "multiple filter chains" in envoy.validate()


# Without shrinking: a mesh that Envoy refuses says itself what is wrong.
@settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(found=st.lists(meshes(), min_size=6, max_size=6))
def test_envoy_takes_random_meshes(found: Sequence[Sequence[Document]], tmp_path: Path) -> None:
    envoy = StaticEnvoy(tmp_path)
    for objects in found:
        envoy.add_model(model(*objects))
    assert envoy.validate() == ""


def _stateful(*parts: Document) -> Model:
    """A split headless TCP service whose pods have names, on a port that is HTTP elsewhere."""
    return model(
        pod("client"),
        pod("db-0", app="db", ip="10.0.0.2", subdomain="db"),
        pod("db-1", app="db", ip="10.0.0.3", subdomain="db"),
        service("db", {"port": 80, "name": "tcp-db"}, ip="None"),
        service("web", 80, app="client"),
        *parts,
    )


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([split("s", "db", {"db": 1, "web": 3})], id="one split"),
        pytest.param(
            [
                service("copy", {"port": 80, "name": "tcp-db"}, app="db", ip="None"),
                split("s", "db", {"db": 2}),
                split("t", "copy", {"copy": 2}),
            ],
            id="two splits of the same addresses",
        ),
    ],
)
def test_an_address_with_a_split_has_one_chain_only(
    parts: Sequence[Document], tmp_path: Path
) -> None:
    envoy = StaticEnvoy(tmp_path)
    envoy.add_model(_stateful(*parts))
    assert envoy.validate() == ""


MATCHES = (
    HttpMatch(PathMatch("exact", "/a")),
    HttpMatch(PathMatch("prefix", "/a/b.c/")),
    HttpMatch(PathMatch("prefix", "/")),
    HttpMatch(PathMatch("regex", "/(a|b)[0-9]{2,3}")),
    HttpMatch(methods=("GET", "POST")),
    HttpMatch(headers=(ValueMatch("x-a", "exact", "1"), ValueMatch(":authority", "regex", "a.*"))),
    HttpMatch(query=(ValueMatch("q", "exact", "1"), ValueMatch("r", "regex", "a|b"))),
    HttpMatch(),
)


def test_envoy_takes_all_that_the_model_can_say_of_requests(tmp_path: Path) -> None:
    """Also what no front end says yet: prefixes, query parameters, filters, timeouts."""
    envoy = StaticEnvoy(tmp_path)
    filters = (
        HeaderFilter(set=(("x-set", "100%"),), add=(("x-add", "%PATH%"),), remove=("x-gone",)),
        HeaderFilter(add=(("x-answer", "1"),), remove=("server",), response=True),
    )
    rules = (
        OutboundRule((("one", 1), ("two", 0), ("three", 2)), ORIGIN, MATCHES, filters, 1500),
        OutboundRule((("one", 3),), ORIGIN, filters=filters),
        OutboundRule((("one", 0),), ORIGIN),
        OutboundRule((), ORIGIN),
    )
    host = build_outbound_host(OutboundHost("rds-outbound/web", ("web",), (), rules))
    access = HttpAccess(
        permissive=False,
        rules=tuple(
            AccessRule(identity("shop"), (identity("a"), identity("b")), ORIGIN, match)
            for match in MATCHES[:-1]  # the last one would make the others needless
        ),
    )
    inbound = build_inbound_routes(InboundRoutes("rds-inbound.80", "local", "", access))
    outbound = route_pb2.RouteConfiguration(
        virtual_hosts=[host], validate_clusters=BoolValue(value=False)
    )
    for number, routes in enumerate((inbound, outbound)):
        manager = Manager(stat_prefix="m", route_config=routes)
        for name, filter_type in FILTERS:
            each = manager.http_filters.add(name=name)
            each.typed_config.type_url = f"type.googleapis.com/envoy.extensions.{filter_type}"
        listener = envoy.bootstrap.static_resources.listeners.add(name=f"l{number}")
        listener.address.pipe.path = str(tmp_path / f"{number}.sock")
        listener.filter_chains.add().filters.add(name=HTTP_MANAGER).typed_config.Pack(manager)
    assert envoy.validate() == ""
