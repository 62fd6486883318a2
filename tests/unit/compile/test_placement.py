"""What the local platform writes on pods is read, and what others make up is passed over."""

import pytest

from osm.core.compile.local_annotations import Placement, local_placement
from osm.core.model.workload import Explicit, Redirected

EXPLICIT = '{"ip": "127.0.0.5", "http_port": 15080, "tcp_ports": [["10.1.0.1:5432", 15432]]}'


def test_nothing_said_is_as_on_kubernetes() -> None:
    assert local_placement({}) == Placement("", "127.0.0.1", Redirected())


@pytest.mark.parametrize(
    "place", ["unix:/run/{port}.sock", "127.0.0.2:1{port}", "127.0.0.2:15003", "10.0.0.1:{port}"]
)
def test_an_inbound_address_is_a_unix_socket_or_an_address_with_a_port(place: str) -> None:
    assert local_placement({"local.openservicemesh.io/inbound-address": place}).inbound == place


def test_what_comes_from_outside_has_a_place_of_its_own() -> None:
    place = "unix:/run/ingress.{port}.sock"
    assert local_placement({"local.openservicemesh.io/ingress-address": place}).ingress == place


def test_explicit_capture_is_read_from_json() -> None:
    capture = local_placement({"local.openservicemesh.io/capture": EXPLICIT}).capture
    assert capture == Explicit("127.0.0.5", 15080, (("10.1.0.1:5432", 15432),))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("inbound-address", "somewhere"),
        ("inbound-address", "127.0.0.1:http"),
        ("inbound-address", "127.0.0.1:99999"),
        ("inbound-address", "127.0.0.1:" + "9" * 5000),
        ("inbound-address", "example.com:80"),
        ("ingress-address", "somewhere"),
        ("app-ip", "localhost"),
        ("app-ip", ""),
        ("capture", ""),
        ("capture", "{"),
        ("capture", "[]"),
        ("capture", '{"ip": "127.0.0.1", "http_port": "x"}'),
        ("capture", '{"ip": "127.0.0.1", "http_port": 0}'),
    ],
)
def test_what_cannot_be_read_counts_as_not_said(annotation: str, value: str) -> None:
    placement = local_placement({f"local.openservicemesh.io/{annotation}": value})
    assert placement == Placement("", "127.0.0.1", Redirected())
