"""With 1,000 services and 1,000 proxies a change costs those that hold what changed, and nobody else.

Counted, not timed: resources that were looked at and built, streams that were told, bytes that were made.
"""

from collections.abc import Iterable, Sequence

import pytest

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.control_plane import ControlPlane, Published
from osm.ads.session import Session
from osm.core.api.manifest import Key
from osm.core.compile.build import Compiler
from osm.core.xds import types
from osm.testing.builders import (
    LOCAL,
    Document,
    http_group,
    manifests,
    pod,
    proxy,
    service,
    split,
    target,
)

SERVICES = 1000
CALLED = 10
"""Each proxy calls the ten services after its own, so that ten proxies call each service."""


def parts_of(
    number: int, *, ready: bool = True, path: str = "/.*", note: str = ""
) -> list[Document]:
    name = f"s{number}"
    high, low = number >> 8, number & 255
    return [
        service(name, {"port": 80, "name": "http", "targetPort": 8080}, ip=f"10.1.{high}.{low}"),
        pod(f"{name}-0", app=name, ip=f"10.2.{high}.{low}", annotations={"note": note}),
        pod(f"{name}-1", app=name, ip=f"10.3.{high}.{low}", ready=ready),
        http_group(name, {"name": "m", "pathRegex": path}),
        target(
            name,
            name,
            [f"s{(number + i) % SERVICES}" for i in range(1, 11)],
            f"HTTPRouteGroup/{name}",
        ),
    ]


class Fleet:
    """A control plane with a proxy for the first pod of each service."""

    def __init__(self) -> None:
        objects = [part for number in range(SERVICES) for part in parts_of(number)]
        self.compiler = Compiler(LOCAL, manifests(*objects))
        self.plane = ControlPlane(self.compiler.model, b"roots")
        self.sessions: dict[int, Session] = {}
        for number in range(SERVICES):
            self.sessions[number] = self.connect(number)

    def connect(self, number: int) -> Session:
        session = self.plane.connect(proxy(self.compiler.model, f"s{number}-0"))
        called = [f"s{(number + i) % SERVICES}" for i in range(1, CALLED + 1)]
        clusters = [f"default/{name}|8080" for name in called]
        for kind, names in (
            (types.CLUSTER, ["*", *clusters]),
            (types.LISTENER, []),
            (types.ENDPOINT, clusters),
            (types.ROUTE, ["rds-outbound.80", "rds-inbound.8080"]),
            (types.VIRTUAL_HOST, [f"rds-outbound.80/{name}" for name in called]),
            (types.SECRET, ["root-cert"]),
            (types.RUNTIME, ["access"]),
        ):
            session.take_request(
                discovery_pb2.DeltaDiscoveryRequest(type_url=kind, resource_names_subscribe=names)
            )
        session.take_responses()
        return session

    def apply(self, *parts: Document, deleted: Sequence[Key] = ()) -> Published:
        return self.plane.publish(self.compiler.update(manifests(*parts), deleted), trigger="test")

    def told(self) -> dict[int, list[str]]:
        """What each proxy is sent now, of those that are sent anything."""
        batches = {n: session.take_responses() for n, session in self.sessions.items()}
        return {
            n: [
                f"{types.SHORT_NAMES[r.type_url]} {name}"
                for r in batch.responses
                for name in r.names
            ]
            for n, batch in batches.items()
            if batch.responses
        }


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet()


def callers(number: int) -> Iterable[int]:
    return sorted((number - i) % SERVICES for i in range(1, CALLED + 1))


def test_an_endpoint_that_goes_is_one_resource_for_its_ten_callers(fleet: Fleet) -> None:
    published = fleet.apply(*parts_of(500, ready=False))
    assert (published.compared, published.built, published.streams) == (1, 1, 10)
    told = fleet.told()
    assert sorted(told) == callers(500)
    assert {tuple(names) for names in told.values()} == {("EDS default/s500|8080",)}


def test_a_policy_is_one_resource_for_the_proxy_that_enforces_it(fleet: Fleet) -> None:
    published = fleet.apply(*parts_of(600, path="/only/this"))
    assert (published.built, published.streams) == (1, 1)
    assert published.compared == 1
    assert fleet.told() == {600: ["RDS rds-inbound.8080"]}


def test_a_split_is_one_resource_for_the_callers_of_its_root(fleet: Fleet) -> None:
    published = fleet.apply(split("half", "s700", {"s700": 1, "s701": 1}))
    # Looked at for each of ten callers, whose retries may differ, and for the second backend's own
    # routes and the servers that these may ask; still one resource.
    assert (published.compared, published.built, published.streams) == (12, 1, 10)
    told = fleet.told()
    assert sorted(told) == callers(700)
    assert {tuple(names) for names in told.values()} == {("VHDS rds-outbound.80/default|s700",)}


def test_an_annotation_is_nothing_for_anybody(fleet: Fleet) -> None:
    published = fleet.apply(*parts_of(800, note="somebody was here"))
    assert (published.compared, published.built, published.streams) == (0, 0, 0)
    assert fleet.told() == {}


def test_a_service_that_nobody_calls_yet_is_nothing_for_anybody(fleet: Fleet) -> None:
    published = fleet.apply(
        service("new", {"port": 80, "name": "http", "targetPort": 8080}, ip="10.9.0.1"),
        pod("new-0", app="new", ip="10.9.0.2"),
    )
    assert (published.built, published.streams) == (0, 0)
    assert fleet.told() == {}


def test_a_service_that_goes_is_taken_from_its_callers_and_the_proxy_before_it(
    fleet: Fleet,
) -> None:
    published = fleet.apply(deleted=[Key("", "Service", "default", "s900")])
    assert published.streams == 11
    batches = {n: session.take_responses() for n, session in fleet.sessions.items()}
    removed = {
        n: sorted(name for response in batch.responses for name in response.removed)
        for n, batch in batches.items()
        if batch.responses
    }
    assert sorted(removed) == sorted([*callers(900), 900])
    assert {tuple(removed[n]) for n in callers(900)} == {
        ("default/s900|8080", "default/s900|8080", "rds-outbound.80/default|s900")
    }


def test_what_all_hold_is_built_once_and_told_to_all(fleet: Fleet) -> None:
    published = fleet.apply(service("other-port", 81, app="s1", ip="10.9.0.3"))
    told = fleet.told()
    assert published.streams == SERVICES == len(told)
    assert {name for names in told.values() for name in names} >= {"LDS outbound-listener"}
