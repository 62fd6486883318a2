"""C8: ways to places where no request of the mesh has anything to look for.

The caller's own machine, above all: what a proxy connects to there is its own pod's, its
administration included. What `tests/unit/api/test_policies.py` says of Egress in words is here a table
of addresses.
"""

import pytest

from osm.core.api.decode import decode
from osm.core.compile.options import CompileOptions
from osm.core.model.service import Endpoint
from osm.core.model.workload import PipeAddress, SocketAddress
from osm.testing.builders import (
    LOCAL,
    Document,
    egress,
    ingress_backend,
    model,
    namespace,
    pod,
    port_name,
    service,
    upstream,
)

KUBERNETES = CompileOptions()
OWN_MACHINE = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "0.0.0.0",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "2130706433",
    "0x7f000001",
    "0X7F.0.0.1",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "[::1]",
    "::1",
    "::ffff:127.0.0.1",
    "①②⑦.0.0.1",
    "127.0.0.1:15000",
]
RANGES = ["127.0.0.0/8", "127.0.0.1/32", "127.128.0.0/9", "0.0.0.0/32", "::1/128", "::/0",
          "::ffff:127.0.0.1/128"]  # fmt: skip


@pytest.mark.parametrize("protocol", ["http", "https"])
@pytest.mark.parametrize("host", OWN_MACHINE)
def test_no_egress_leads_to_the_callers_own_machine(host: str, protocol: str) -> None:
    decoded = decode(egress("e", ["buyer"], [f"{protocol}:80"], host))
    assert decoded.manifest is None
    assert {finding.code for finding in decoded.findings} <= {"OSM138", "OSM151"}


@pytest.mark.parametrize("addresses", RANGES)
def test_no_range_is_the_callers_own_machine(addresses: str) -> None:
    decoded = decode(egress("e", ["buyer"], ["tcp:15000"], ranges=[addresses]))
    assert decoded.manifest is None
    assert {finding.code for finding in decoded.findings} <= {"OSM135", "OSM151"}


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "10.96.0.1", "metadata.internal"])
def test_other_places_must_be_named_and_then_are_one_identitys(host: str) -> None:
    """Metadata services, the API server: an Egress that names them is meant so."""
    parts = [pod("buyer"), pod("thief", ip="10.0.0.2"), service("shop", 80, app="buyer")]
    assert model(*parts).egress == {}
    found = model(*parts, egress("e", ["buyer"], ["http:8080"], host))
    assert [who.service_account for who in found.egress] == ["buyer"]


@pytest.mark.parametrize("number", [15000, 15001, 15003, 15010, 15901])
def test_no_ingress_leads_to_a_port_of_the_proxy(number: int) -> None:
    backend = {"name": "shop", "port": {"number": number, "protocol": "http"}}
    decoded = decode(ingress_backend("i", [backend], [{"kind": "IPRange", "name": "10.0.0.0/8"}]))
    assert decoded.manifest is None
    assert [finding.code for finding in decoded.findings] == ["OSM130"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f.0x1"])
def test_no_setting_names_a_host_without_namespace(host: str) -> None:
    decoded = decode(upstream("u", host, {"connectionSettings": {"tcp": {"maxConnections": 1}}}))
    found = model(
        pod("shop"), service("shop", 80), *([decoded.manifest] if decoded.manifest else [])
    )
    assert found.upstreams == {}


GOOD = SocketAddress("10.0.0.1", 80)


def endpoints(part: Document, options: CompileOptions = KUBERNETES) -> tuple[Endpoint, ...]:
    """Where callers are sent to for a service with this pod beside a good one."""
    monitored = namespace("default", monitored_by="osm")
    good = pod("good", app="shop", ip="10.0.0.1")
    found = model(monitored, good, part, service("shop", 80), options=options)
    return found.endpoints[port_name("shop:80")]


def test_a_local_platform_has_no_addresses_that_are_none_either() -> None:
    bad = pod("bad", app="shop", ip="x; reboot")
    assert [each.address for each in endpoints(bad, LOCAL)] == [GOOD]


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "127.8.9.10", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"),
        *("999.1.1.1", "10.0.0", "localhost", "example.org", "10.0.0.2\n", "10.0.0.2; reboot", " "),
        *("10.0.0.0/8", "$(id)", "10.0.0.2:15000", "unix:/run/admin.sock", "0x0a000002", "\x00"),
    ],
)
def test_a_pod_whose_address_is_none_is_not_called_and_disturbs_nobody(ip: str) -> None:
    """Envoy would refuse all endpoints of the service for one address that is none."""
    assert [each.address for each in endpoints(pod("bad", app="shop", ip=ip))] == [GOOD]


@pytest.mark.parametrize("name", ["inbound-address", "app-ip", "capture", "ingress-address"])
@pytest.mark.parametrize(
    "value", ["unix:/run/admin.sock", "127.0.0.1:15000", "169.254.169.254", '{"ip":"127.0.0.1"}']
)
def test_on_kubernetes_no_annotation_says_where_a_proxy_is(name: str, value: str) -> None:
    annotations = {f"local.openservicemesh.io/{name}": value}
    bad = pod("bad", app="shop", ip="10.0.0.2", annotations=annotations)
    plain = pod("bad", app="shop", ip="10.0.0.2")
    addresses = [each.address for each in endpoints(bad)]
    assert addresses == [SocketAddress("10.0.0.2", 80), GOOD]
    monitored = namespace("default", monitored_by="osm")
    assert (
        model(monitored, bad, options=KUBERNETES).workloads
        == model(monitored, plain, options=KUBERNETES).workloads
    )


def test_the_local_platform_says_where_a_proxy_is_whatever_the_address() -> None:
    annotations = {"local.openservicemesh.io/inbound-address": "unix:/run/in.{port}.sock"}
    here = pod("here", app="shop", ip="127.0.0.2", annotations=annotations)
    assert PipeAddress("/run/in.80.sock") in [each.address for each in endpoints(here, LOCAL)]
