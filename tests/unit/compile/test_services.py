"""Kubernetes' services and pods become service ports, workloads and endpoints."""

import pytest

from osm.core.model.service import Protocol, ServiceName
from osm.core.model.workload import PipeAddress, SocketAddress
from osm.testing.builders import Document, identity, model, pod, port_name, service


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        pytest.param({"port": 80}, "http", id="nothing said"),
        pytest.param({"port": 80, "name": "web"}, "http", id="a name that says nothing"),
        pytest.param({"port": 80, "name": "http"}, "http", id="name http"),
        pytest.param({"port": 80, "name": "http-web"}, "http", id="name http-"),
        pytest.param({"port": 80, "name": "http2-web"}, "http2", id="name http2-"),
        pytest.param({"port": 80, "name": "grpc-api"}, "grpc", id="name grpc-"),
        pytest.param({"port": 80, "name": "grpc"}, "grpc", id="name grpc"),
        pytest.param({"port": 80, "name": "tcp-db"}, "tcp", id="name tcp-"),
        pytest.param({"port": 80, "name": "tls-db"}, "tls", id="name tls-"),
        pytest.param({"port": 80, "name": "tcpdump"}, "http", id="a prefix needs its dash"),
        pytest.param({"port": 80, "name": "https-web"}, "http", id="https- is no prefix"),
        pytest.param({"port": 80, "name": "tcp-server-first-db"}, "tcp-server-first", id="longest"),
        pytest.param({"port": 80, "appProtocol": "http"}, "http", id="app http"),
        pytest.param({"port": 80, "appProtocol": "kubernetes.io/ws"}, "http", id="app ws"),
        pytest.param({"port": 80, "appProtocol": "http2"}, "http2", id="app http2"),
        pytest.param({"port": 80, "appProtocol": "kubernetes.io/h2c"}, "http2", id="app h2c"),
        pytest.param({"port": 80, "appProtocol": "gRPC"}, "grpc", id="app, in any case"),
        pytest.param({"port": 80, "appProtocol": "tcp"}, "tcp", id="app tcp"),
        pytest.param({"port": 80, "appProtocol": "https"}, "tls", id="app https"),
        pytest.param({"port": 80, "appProtocol": "tcp-server-first"}, "tcp-server-first", id="sf"),
        pytest.param(
            {"port": 80, "name": "http-x", "appProtocol": "tcp"}, "tcp", id="app over name"
        ),
    ],
)
def test_a_port_speaks_what_its_app_protocol_or_its_name_says(
    port: Document, protocol: str
) -> None:
    found = model(pod("shop"), service("shop", port))
    assert found.services[port_name("shop:80")].protocol is Protocol(protocol)
    assert "OSM201" not in {finding.code for finding in found.findings}


def test_an_unknown_app_protocol_is_tcp_and_says_so() -> None:
    found = model(pod("shop"), service("shop", {"port": 80, "appProtocol": "mongo"}))
    assert found.services[port_name("shop:80")].protocol is Protocol.TCP
    (finding,) = found.findings
    assert finding.code == "OSM201" and "'mongo'" in finding.message and "grpc" in finding.hint
    assert finding.origin is not None and finding.origin.field == "spec.ports[0].appProtocol"


@pytest.mark.parametrize(
    ("target_port", "number"),
    [
        pytest.param(None, 80, id="the port itself"),
        pytest.param(8080, 8080, id="a number"),
        pytest.param("web", 9090, id="a name"),
        pytest.param("other", 0, id="a name that no pod has"),
    ],
)
def test_a_target_port_is_a_number_or_the_name_of_a_container_port(
    target_port: int | str | None, number: int
) -> None:
    port: dict[str, object] = {"port": 80}
    if target_port is not None:
        port["targetPort"] = target_port
    found = model(pod("shop", ports={"web": 9090}, ip="10.0.0.9"), service("shop", port))
    made = found.services[port_name("shop:80")]
    assert made.target_port == number
    assert made.cluster_name == f"default/shop|{number}"
    endpoints = found.endpoints[port_name("shop:80")]
    assert [e.address for e in endpoints] == ([SocketAddress("10.0.0.9", number)] if number else [])


def test_udp_ports_and_external_names_are_left_out() -> None:
    external = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "elsewhere"},
        "spec": {"type": "ExternalName", "externalName": "example.com", "ports": [{"port": 80}]},
    }
    udp = {"port": 53, "protocol": "UDP", "name": "dns"}
    tcp = {"port": 53, "protocol": "TCP", "name": "dns-tcp"}
    found = model(pod("dns"), service("dns", udp, tcp), service("only", udp), external)
    assert [str(name) for name in found.services] == ["default/dns:53"]


def test_a_service_without_selector_selects_nothing() -> None:
    found = model(pod("shop"), service("shop", 80, selector={}))
    assert found.endpoints[port_name("shop:80")] == ()
    assert found.services[port_name("shop:80")].identities == ()
    assert found.services_of == {}


def test_a_selector_needs_every_label_and_its_own_namespace() -> None:
    found = model(
        pod("shop"),
        pod("shop", namespace="other", ip="10.0.0.2"),
        service("shop", 80),
        service("half", 80, selector={"app": "shop", "tier": "web"}),
    )
    assert [e.namespace for e in found.endpoints[port_name("shop:80")]] == ["default"]
    assert found.endpoints[port_name("half:80")] == ()


def test_several_services_and_ports_of_one_pod_are_all_its_own() -> None:
    found = model(
        pod("shop"),
        service("shop", 80, 81),
        service("store", {"port": 80, "targetPort": 8080}, app="shop", ip="10.1.0.2"),
    )
    assert [str(name) for name in found.services_of["default", "shop"]] == [
        "default/shop:80",
        "default/shop:81",
        "default/store:80",
    ]


def test_only_ready_pods_with_an_address_are_endpoints_and_all_are_accepted() -> None:
    pods = (
        pod("a", app="shop", account="one", ip="10.0.0.1"),
        pod("b", app="shop", account="two", ip="10.0.0.2", ready=False),
        pod("c", app="shop", account="three", ip=""),
    )
    found = model(
        *pods, service("shop", 80), service("all", 80, app="shop", publish_not_ready=True)
    )
    assert [e.workload for e in found.endpoints[port_name("shop:80")]] == ["a"]
    assert [e.workload for e in found.endpoints[port_name("all:80")]] == ["a", "b"]
    both = tuple(sorted((identity("one"), identity("two"))))
    assert found.services[port_name("shop:80")].identities == both
    assert ("default", "c") not in found.workloads


def test_a_headless_service_has_its_pods_addresses_and_a_name_for_each_that_has_one() -> None:
    found = model(
        pod("db-0", app="db", ip="10.0.0.1", subdomain="db"),
        pod("db-1", app="db", ip="10.0.0.2", subdomain="db"),
        pod("db-x", app="db", ip="10.0.0.3"),
        service("db", 5432, ip="None"),
    )
    whole = found.services[port_name("db:5432")]
    assert whole.headless and whole.addresses == ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    one = found.services[port_name("db-1.db:5432")]
    assert one.headless and one.addresses == ("10.0.0.2",)
    assert one.name.service == ServiceName("default", "db", "db-1")
    assert one.name.service.fqdn == "db-1.db.default.svc.cluster.local"
    assert one.cluster_name == "default/db-1.db|5432"
    assert [e.workload for e in found.endpoints[one.name]] == ["db-1"]
    assert port_name("db-x.db:5432") not in found.services
    assert len(found.services_of["default", "db-0"]) == 2


def test_a_service_without_an_address_yet_has_none() -> None:
    found = model(pod("shop"), service("shop", 80, ip=""))
    assert found.services[port_name("shop:80")].addresses == ()


@pytest.mark.parametrize(
    ("owner", "kind", "name"),
    [
        pytest.param(None, "Pod", "p-1", id="none"),
        pytest.param(("ReplicaSet", "shop-5d9f"), "Deployment", "shop", id="a ReplicaSet"),
        pytest.param(("ReplicaSet", "shop"), "ReplicaSet", "shop", id="a ReplicaSet of nobody"),
        pytest.param(("StatefulSet", "db"), "StatefulSet", "db", id="a StatefulSet"),
        pytest.param(("Job", "nightly-1"), "Job", "nightly-1", id="a Job"),
    ],
)
def test_a_workload_is_owned_by_what_people_wrote(
    owner: tuple[str, str] | None, kind: str, name: str
) -> None:
    workload = model(pod("p-1", owner=owner)).workloads["default", "p-1"]
    assert (workload.owner_kind, workload.owner_name) == (kind, name)


def test_a_pod_without_service_account_has_the_default_one() -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"podIP": "10.0.0.1"},
    }
    workload = model(document).workloads["n", "p"]
    assert workload.identity == identity("n/default")
    assert not workload.ready


def test_endpoints_are_where_the_local_platform_put_the_proxy() -> None:
    annotations = {"local.openservicemesh.io/inbound-address": "unix:/run/shop.{port}.sock"}
    found = model(pod("shop", annotations=annotations), service("shop", 80))
    assert [e.address for e in found.endpoints[port_name("shop:80")]] == [
        PipeAddress("/run/shop.80.sock")
    ]


def _as_told(
    name: str,
    *,
    ready: bool = False,
    containers: bool = True,
    deleted: bool = False,
    gate: bool = False,
    phase: str = "Running",
) -> Document:
    """A pod as an API server shows it."""
    conditions = [
        {"type": kind, "status": str(holds)}
        for kind, holds in (("Ready", ready), ("ContainersReady", containers))
    ]
    end = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    gates = [{"conditionType": "example.com/balanced"}] if gate else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "shop"}, **end},
        "spec": {"containers": [{"name": "main"}], "readinessGates": gates},
        "status": {"phase": phase, "podIP": f"10.0.0.{len(name)}", "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("pods", "called"),
    [
        pytest.param([_as_told("a", ready=True), _as_told("bb")], ["a"], id="one is ready"),
        pytest.param(
            [_as_told("a"), _as_told("bb")], ["a", "bb"], id="their node was not heard of"
        ),
        pytest.param([_as_told("a", containers=False)], [], id="its containers are not ready"),
        pytest.param([_as_told("a"), _as_told("bb", containers=False)], ["a"], id="one of them"),
        pytest.param([_as_told("a", gate=True)], [], id="somebody else decides"),
        pytest.param([_as_told("a", deleted=True)], [], id="it ends"),
        pytest.param([_as_told("a", ready=True, deleted=True)], [], id="it ends, and is ready yet"),
        pytest.param(
            [_as_told("a", ready=True, deleted=True), _as_told("bb", ready=True)],
            ["bb"],
            id="another one is there",
        ),
        pytest.param([_as_told("a", ready=True, phase="Succeeded")], [], id="it has ended"),
        pytest.param([_as_told("a", phase="Failed")], [], id="it has failed"),
    ],
)
def test_when_no_pod_is_ready_those_count_whose_containers_are(
    pods: list[Document], called: list[str]
) -> None:
    found = model(*pods, service("shop", 80))
    assert [e.workload for e in found.endpoints[port_name("shop:80")]] == called
