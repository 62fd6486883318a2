"""From manifests to pods: replicas, names, variables, addresses, and what the fallback tells."""

from typing import Any

import msgspec
import pytest

from osm.core.api.config import MeshConfig, MeshConfigSpec, TrafficSpec
from osm.core.api.kubernetes import Deployment, Pod, Service, StatefulSet
from osm.core.api.metadata import Metadata
from osm.core.compile.local_annotations import local_placement, local_redirection
from osm.core.model.redirection import Redirection
from osm.core.model.workload import Explicit, Redirected
from osm.local import explicit, pods, variables
from osm.local.container import Isolation
from osm.local.plan import Addresses, Plan, make_plan


def deployment(name: str = "web", **container: Any) -> Deployment:
    return msgspec.convert(manifest(name, **container), Deployment)


def manifest(name: str = "web", **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, "version": "v1"}},
                "spec": {
                    "serviceAccountName": "seller",
                    "containers": [{"name": "c", "command": ["program"], **container}],
                },
            },
        },
    }


def service(name: str, *, namespace: str = "shop", **spec: Any) -> Service:
    ports = spec.pop("ports", [{"port": 80}])
    return msgspec.convert(
        {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": ports, **spec}},
        Service,
    )


def plan(*objects: object, isolation: Isolation = Isolation.USER, **more: Any) -> Plan:
    return make_plan(objects, isolation, **more)


def environment(pod: Pod) -> dict[str, str]:
    return {each.name: each.value for each in pod.spec.containers[0].env}


def test_a_deployment_becomes_as_many_pods_as_it_has_replicas() -> None:
    made = plan(deployment()).pods
    assert [pod.metadata.name for pod in made] == ["web-0", "web-1"]
    assert {pod.metadata.labels["version"] for pod in made} == {"v1"}
    assert {pod.spec.service_account_name for pod in made} == {"seller"}
    assert made[0].metadata.owner_references[0].kind == "Deployment"
    assert made[0].metadata.owner_references[0].name == "web"
    assert made[0].status.pod_ip != made[1].status.pod_ip


def test_a_zero_too_many_does_not_take_the_machine() -> None:
    written = deployment()
    spec = msgspec.structs.replace(written.spec, replicas=pods.MOST_REPLICAS + 1)
    made = plan(msgspec.structs.replace(written, spec=spec))
    assert len(made.pods) == pods.MOST_REPLICAS
    (finding,) = made.findings
    assert (finding.code, finding.origin and finding.origin.field) == ("OSM403", "spec.replicas")


def test_pods_of_a_stateful_set_have_host_names_behind_its_service() -> None:
    written = manifest("mysql")
    written["spec"]["serviceName"] = "mysql"
    made = plan(
        msgspec.convert(written, StatefulSet),
        service("mysql", clusterIP="None", selector={"app": "mysql"}),
    )
    assert made.pods[1].spec.hostname == "mysql-1"
    assert made.pods[1].spec.subdomain == "mysql"
    address = made.pods[1].status.pod_ip
    assert f"{address} mysql-1.mysql.shop.svc.cluster.local" in made.hosts["shop"]


def test_a_bare_pod_keeps_its_name_and_gets_the_default_account() -> None:
    pod = msgspec.convert(
        {
            "metadata": {"name": "alone", "namespace": "shop"},
            "spec": {"containers": [{"name": "c", "command": ["x"]}]},
        },
        Pod,
    )
    (made,) = plan(pod).pods
    assert made.metadata.name == "alone"
    assert made.spec.service_account_name == "default"


def test_a_container_without_a_command_is_a_finding_that_names_the_field() -> None:
    made = plan(deployment(command=[], image="mysql:5.6"))
    assert made.pods == ()
    (finding,) = made.findings
    assert finding.code == pods.NO_COMMAND
    assert finding.origin is not None
    assert finding.origin.field == "spec.template.spec.containers[0].command"


def test_two_objects_whose_pods_would_have_one_name_are_a_finding() -> None:
    made = plan(deployment(), msgspec.convert(manifest(), StatefulSet))
    assert len(made.pods) == 2
    assert {finding.code for finding in made.findings} == {pods.NAME_TAKEN}


def test_variables_are_written_out_in_commands_arguments_and_values() -> None:
    made = plan(
        deployment(
            command=["$(PROGRAM)"],
            args=["--on=$(IP):$(PORT)", "$$(PORT)", "$(UNKNOWN)", "100$"],
            env=[
                {"name": "PROGRAM", "value": "server"},
                {"name": "PORT", "value": "14001"},
                {"name": "TWICE", "value": "$(PORT)$(PORT)"},
                {"name": "LATER", "value": "$(NEVER)"},
                {"name": "NEVER", "value": "x"},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "SA", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
                {
                    "name": "V",
                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['version']"}},
                },
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
        )
    )
    container = made.pods[0].spec.containers[0]
    address = made.pods[0].status.pod_ip
    assert container.command == ("server",)
    assert container.args == (f"--on={address}:14001", "$(PORT)", "$(UNKNOWN)", "100$")
    found = environment(made.pods[0])
    assert found["TWICE"] == "1400114001"
    assert found["LATER"] == "$(NEVER)"
    assert (found["ME"], found["NS"], found["SA"], found["V"]) == ("web-0", "shop", "seller", "v1")
    assert "SECRET" not in found
    assert found["HOSTNAME"] == "web-0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$A", "$A"),
        ("$$", "$"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text: str, expected: str) -> None:
    assert variables.expand(text, {"A": "1"}) == expected


def test_services_of_the_namespace_are_in_the_environment_and_others_are_not() -> None:
    made = plan(
        deployment(),
        service("book-store", ports=[{"port": 14001, "name": "http-web"}, {"port": 9}]),
        service("elsewhere", namespace="other"),
        service("headless", clusterIP="None"),
    )
    found = environment(made.pods[0])
    assert found["BOOK_STORE_SERVICE_HOST"] == made.addresses.services["shop/book-store"]
    assert found["BOOK_STORE_SERVICE_PORT"] == "14001"
    assert found["BOOK_STORE_SERVICE_PORT_HTTP_WEB"] == "14001"
    assert not any(name.startswith(("ELSEWHERE", "HEADLESS")) for name in found)


def test_services_get_virtual_addresses_and_written_ones_are_kept() -> None:
    made = plan(service("a"), service("b", clusterIP="10.0.0.7"), service("c", clusterIP="None"))
    assert [each.spec.cluster_ip for each in made.services] == [
        made.addresses.services["shop/a"],
        "10.0.0.7",
        "None",
    ]


def test_a_new_service_changes_no_template_and_a_new_argument_does() -> None:
    def marks(*objects: object) -> list[str]:
        return [pod.metadata.annotations[pods.TEMPLATE_HASH] for pod in plan(*objects).pods]

    assert marks(deployment()) == marks(deployment(), service("new"))
    assert marks(deployment()) != marks(deployment(args=["--new"]))


def test_addresses_stay_when_other_objects_come_and_go() -> None:
    first = plan(deployment(), service("a"))
    second = plan(deployment(), service("b"), held=first.addresses)
    third = plan(deployment(), service("a"), held=second.addresses)
    assert third.services == first.services
    assert third.pods[0].status == first.pods[0].status


def test_a_redirected_pod_says_so_to_the_control_plane() -> None:
    placement = local_placement(plan(deployment()).pods[0].metadata.annotations)
    assert placement.capture == Redirected()
    assert placement.app_ip == "127.0.0.1"


def test_the_fallback_tells_programs_where_to_listen_and_whom_to_call() -> None:
    made = plan(
        deployment(env=[{"name": "BIND_ADDRESS", "value": "0.0.0.0"}], args=["$(BIND_ADDRESS)"]),
        service("web", selector={"app": "web"}),
        service("db", namespace="data", ports=[{"port": 3306, "appProtocol": "tcp"}]),
        isolation=Isolation.NONE,
    )
    pod = made.pods[0]
    address = pod.status.pod_ip
    found = environment(pod)
    assert address.startswith("127.83.")
    assert pod.spec.containers[0].args == (address,)
    assert found["BIND_ADDRESS"] == address
    assert found["HTTP_PROXY"] == found["http_proxy"] == f"http://{address}:15001"
    assert (found["DB_SERVICE_HOST"], found["DB_SERVICE_PORT"]) == (address, "16000")
    assert found["DB_DATA_SERVICE_PORT"] == "16000"
    assert found["WEB_SERVICE_HOST"].startswith("240."), "HTTP goes to the proxy by HTTP_PROXY"
    placement = local_placement(pod.metadata.annotations)
    assert placement.app_ip == address
    database = f"{made.addresses.services['data/db']}:3306"
    assert placement.capture == Explicit(address, 15001, ((database, 16000),))


def test_a_port_that_programs_were_told_stays_when_services_come() -> None:
    tcp = [{"port": 1, "appProtocol": "tcp"}]
    first = plan(service("m", ports=tcp), isolation=Isolation.NONE)
    second = plan(
        service("a", ports=tcp),
        service("m", ports=tcp),
        isolation=Isolation.NONE,
        held=first.addresses,
    )
    assert second.addresses.tcp_ports.items() >= first.addresses.tcp_ports.items()
    assert len(set(second.addresses.tcp_ports.values())) == 2


def test_of_two_services_of_one_name_the_own_namespaces_is_meant() -> None:
    targets = [
        explicit.TcpTarget("a", "db", 1, "240.0.0.1"),
        explicit.TcpTarget("b", "db", 1, "240.0.0.2"),
    ]
    ports = explicit.assign_ports(targets)
    at_home = explicit.tell("b", "127.83.0.1", targets, ports).environment
    assert at_home["DB_SERVICE_PORT"] == str(ports[targets[1].key])
    assert at_home["DB_A_SERVICE_PORT"] == str(ports[targets[0].key])


@pytest.mark.parametrize(
    ("port", "http"),
    [
        ({"port": 1}, True),
        ({"port": 1, "name": "http-x"}, True),
        ({"port": 1, "name": "grpc"}, True),
        ({"port": 1, "name": "tcp-x"}, False),
        ({"port": 1, "name": "tcp-server-first-x"}, False),
        ({"port": 1, "name": "tcpx"}, True),
        ({"port": 1, "appProtocol": "HTTP"}, True),
        ({"port": 1, "appProtocol": "mysql", "name": "http"}, False),
    ],
)
def test_what_speaks_http_is_known_by_protocol_and_name(
    port: dict[str, Any], *, http: bool
) -> None:
    assert explicit.speaks_http(service("x", ports=[port]).spec.ports[0]) is http


def test_held_addresses_can_be_written_down_and_read_back() -> None:
    held = plan(deployment(), service("a")).addresses
    assert msgspec.json.decode(msgspec.json.encode(held), type=Addresses) == held


def test_an_alias_of_a_service_is_one_more_name_of_its_addresses() -> None:
    written = manifest("mysql")
    written["spec"]["serviceName"] = "mysql"
    made = plan(
        msgspec.convert(written, StatefulSet),
        service("mysql", clusterIP="None", selector={"app": "mysql"}),
        service("db", type="ExternalName", externalName="mysql.shop.svc.cluster.local"),
        service("first", type="ExternalName", externalName="mysql-0.mysql"),
        service("again", namespace="other", type="ExternalName", externalName="first.shop"),
        service("beyond", type="ExternalName", externalName="db.example.com"),
        service("circle", type="ExternalName", externalName="circle"),
    )
    lines = made.hosts["shop"].splitlines()
    found = {name: [line.split()[0] for line in lines if name in line.split()] for name in
             ("db", "first", "again.other", "mysql", "beyond", "circle")}  # fmt: skip
    pods = [pod.status.pod_ip for pod in made.pods]
    assert found["db"] == found["mysql"] == pods
    assert found["first"] == found["again.other"] == pods[:1]
    assert found["beyond"] == found["circle"] == []


LISTS = {
    "openservicemesh.io/outbound-port-exclusion-list": "5432",
    "openservicemesh.io/outbound-ip-range-exclusion-list": "10.1.2.3/32,192.0.2.0/24",
}


def annotated() -> Deployment:
    written = manifest()
    written["spec"]["template"]["metadata"]["annotations"] = LISTS
    return msgspec.convert(written, Deployment)


def config(**traffic: Any) -> MeshConfig:
    return MeshConfig(
        Metadata("osm-mesh-config", "osm-system"), MeshConfigSpec(traffic=TrafficSpec(**traffic))
    )


def test_what_goes_around_the_proxy_is_merged_and_starts_nothing_anew() -> None:
    more = config(outbound_port_exclusion_list=(6379,), inbound_port_exclusion_list=(9090,))
    before, after = plan(annotated()), plan(annotated(), more)
    found = [local_redirection(p.metadata.annotations) for p in (before.pods[0], after.pods[0])]
    ranges = ("10.1.2.3/32", "192.0.2.0/24")
    assert found == [
        Redirection((5432,), (), ranges),
        Redirection((5432, 6379), (9090,), ranges),
    ]
    hashes = {p.metadata.annotations[pods.TEMPLATE_HASH] for p in (before.pods[0], after.pods[0])}
    assert len(hashes) == 1 and after.findings == ()
    assert local_redirection(plan(deployment()).pods[0].metadata.annotations) == Redirection()


def test_where_nothing_is_redirected_excluded_addresses_are_told_and_the_rest_is_said() -> None:
    made = plan(annotated(), config(inbound_port_exclusion_list=(9090,)), isolation=Isolation.NONE)
    assert environment(made.pods[0])["NO_PROXY"] == "localhost,127.0.0.1,10.1.2.3,192.0.2.0/24"
    assert [(f.code, str(f.origin)) for f in made.findings] == [
        ("OSM404", "MeshConfig osm-system/osm-mesh-config spec.traffic.inboundPortExclusionList"),
        (
            "OSM404",
            f'Deployment shop/web spec.template.metadata.annotations["{next(iter(LISTS))}"]',
        ),
    ]
