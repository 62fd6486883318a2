"""How the words of the mesh are written, in names and in messages."""

import pytest

from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.service import PortName, Protocol, ServiceName
from osm.core.model.workload import PipeAddress, SocketAddress, Workload
from osm.testing.builders import identity


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("Service", "red", "shop"), "Service red/shop"),
        (Origin("Namespace", "", "red"), "Namespace red"),
        (Origin("Service", "red", "shop", "spec.ports[0]"), "Service red/shop spec.ports[0]"),
    ],
)
def test_an_origin_names_object_and_field(origin: Origin, text: str) -> None:
    assert str(origin) == text


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (
            Finding("OSM1", Severity.ERROR, Origin("Pod", "a", "b"), "is bad", "Mend it.", "f:3"),
            "f:3: Pod a/b: is bad [OSM1]\n  Mend it.",
        ),
        (Finding("OSM1", Severity.ERROR, None, "is bad"), "is bad [OSM1]"),
        (Finding("OSM1", Severity.INFO, None, "is so", where="f:3"), "f:3: is so [OSM1]"),
    ],
)
def test_a_finding_says_where_what_and_what_to_do(finding: Finding, text: str) -> None:
    assert str(finding) == text


def test_a_service_has_a_fixed_domain_and_a_pod_of_it_a_name() -> None:
    assert ServiceName("red", "db").fqdn == "db.red.svc.cluster.local"
    assert ServiceName("red", "db", "db-0").fqdn == "db-0.db.red.svc.cluster.local"
    assert str(PortName(ServiceName("red", "db", "db-0"), 80)) == "red/db-0.db:80"


def test_http_protocols_are_three() -> None:
    assert {p for p in Protocol if p.is_http} == {Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC}


@pytest.mark.parametrize(
    ("inbound", "address"),
    [
        ("", SocketAddress("10.0.0.1", 80)),
        ("unix:/run/{port}.sock", PipeAddress("/run/80.sock")),
        ("127.0.0.2:150{port}", SocketAddress("127.0.0.2", 15080)),
    ],
)
def test_a_workloads_proxy_is_reached_where_its_platform_put_it(
    inbound: str, address: SocketAddress | PipeAddress
) -> None:
    workload = Workload("default", "shop-1", identity("shop"), "10.0.0.1", inbound=inbound)
    assert workload.inbound_address(80) == address
    assert workload.proxy.name == "default/shop-1"
