"""`osm verify` and `osm policy`: OSM's layout and lines, and exit codes that tell the truth."""

import json
from collections.abc import Callable, Sequence

import msgspec
import pytest
from tests.unit.cli.calls import Mesh, Run, mesh_after

from osm.cli.cluster_health import service_step, webhook_step
from osm.cli.policy_checks import allowing_targets, ingress_conflicts
from osm.cli.verification import result_lines, together, unknown, verified
from osm.cli.verify_ingress import IngressQuestion, addresses, backend_step, source_step
from osm.cli.verify_steps import service_ports
from osm.core.api.manifest import Key, Manifest
from osm.core.explain.view import MeshView, WorkloadView
from osm.testing.mesh_api import FakeMeshApi

RULE = "-" * 45
WELL = ("verify", "connectivity", "--from-pod", "bookbuyer/bookbuyer", "--to-pod", "bookstore/bookstore",
        "--to-service", "bookstore")  # fmt: skip


def test_a_success_is_one_block_without_its_steps() -> None:
    result = together("Verify all", [verified("one"), verified("two")])
    assert list(result_lines(result)) == [
        RULE, "[+] Context: Verify all", "Status: Success", "", RULE,
    ]  # fmt: skip


def test_a_failure_shows_its_steps_one_level_deeper() -> None:
    result = together("Verify all", [verified("one"), verified("two", "it is off", "Turn it on")])
    assert list(result_lines(result)) == [
        RULE,
        "[+] Context: Verify all",
        "Status: Failure",
        "Reason: A verification step failed",
        "Suggestion: Follow the suggestions of the steps below that failed",
        "",
        RULE,
        "[++] Context: one",
        "Status: Success",
        "",
        RULE,
        "[++] Context: two",
        "Status: Failure",
        "Reason: it is off",
        "Suggestion: Turn it on",
        "",
        RULE,
    ]


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([verified("a")], "Success"),
        ([verified("a"), unknown("b", "nobody answers")], "Unknown"),
        ([unknown("a", "nobody answers"), verified("b", "off")], "Failure"),
    ],
)
def test_several_steps_are_as_bad_as_the_worst(steps: Sequence[object], status: str) -> None:
    assert together("all", steps).status == status  # type: ignore[arg-type]


SERVICE = {
    "spec": {
        "ports": [
            {"port": 80},
            {"port": 443, "name": "tcp-tls"},
            {"port": 9000, "name": "http-web", "appProtocol": "gRPC"},
            {"port": 3306, "name": "tcp-server-first-db"},
        ]
    }
}


@pytest.mark.parametrize(
    ("protocol", "ports"),
    [("http", [80]), ("tcp", [443]), ("grpc", [9000]), ("tcp-server-first", [3306])],
)
def test_ports_of_a_service_are_told_by_protocol(protocol: str, ports: list[int]) -> None:
    assert service_ports([SERVICE], protocol) == ports


class Bookstore(FakeMeshApi):
    """With the Service that is asked about."""

    def objects(self) -> Sequence[Manifest]:
        raw = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "bookstore", "namespace": "bookstore"},
            "spec": {"ports": [{"port": 14001}]},
        }
        kept = [m for m in super().objects() if m.key.kind != "Service"]
        return (*kept, Manifest(Key("", "Service", "bookstore", "bookstore"), None, raw, ""))


def test_connectivity_that_is_well_is_a_success(start_mesh: Callable[..., Mesh], run: Run) -> None:
    start_mesh(api=Bookstore(clock=lambda: 0.0))
    result = run(*WELL)
    assert (result.code, result.err) == (0, "")
    pods = 'pod "bookbuyer/bookbuyer" can access pod "bookstore/bookstore"'
    assert result.out.splitlines() == [
        RULE,
        f'[+] Context: Verify if {pods} for service "bookstore/bookstore"',
        "Status: Success",
        "",
        RULE,
    ]


def test_connectivity_that_is_denied_says_which_step_fails(
    start_mesh: Callable[..., Mesh], run: Run
) -> None:
    start_mesh(api=Bookstore(clock=lambda: 0.0))
    thief = tuple(word.replace("bookbuyer", "bookthief") for word in WELL)
    result = run(*thief)
    assert result.code == 1
    assert "Status: Failure" in result.out
    assert "Reason: no TrafficTarget allows bookthief/bookthief." in result.out
    assert "osm explain bookthief/bookthief bookstore.bookstore:14001 GET /" in result.out
    as_json = run(*thief, "-o", "json")
    assert as_json.code == 1
    steps = json.loads(as_json.out)["steps"]
    assert [step["status"] for step in steps].count("Failure") == 1


def test_a_pod_without_a_proxy_fails(start_mesh: Callable[..., Mesh], run: Run) -> None:
    def without(view: MeshView) -> MeshView:
        kept = tuple(proxy for proxy in view.proxies if proxy.name != "bookbuyer")
        return msgspec.structs.replace(view, proxies=kept)

    start_mesh(api=Bookstore(clock=lambda: 0.0, change=without))
    result = run(*WELL)
    assert result.code == 1
    assert 'Reason: Pod "bookbuyer/bookbuyer" has no Envoy sidecar' in result.out


def test_what_leaves_the_mesh_is_verified_too(shared_mesh: Mesh, run: Run) -> None:
    asked = (
        "--from-pod",
        "bookthief/bookthief",
        "--to-ext-host",
        "a.example",
        "--to-ext-port",
        "80",
    )
    result = run("verify", "egress", *asked)
    assert result.code == 1
    assert 'can access external service "a.example:80"' in result.out
    assert run("verify", "connectivity", *asked) == result


# --- osm policy


def test_pods_that_no_target_lets_talk(shared_mesh: Mesh, run: Run) -> None:
    result = run("policy", "check-pods", "bookthief/bookthief", "bookstore/bookstore")
    assert result.code == 1
    assert result.out == (
        "[+] SMI traffic policy mode enabled for mesh operated by osm-controller running on this "
        "machine\n\n[+] Pod 'bookthief/bookthief' is not allowed to communicate to pod "
        "'bookstore/bookstore', missing SMI TrafficTarget policy\n"
    )


def test_in_permissive_mode_all_may_talk(start_mesh: Callable[..., Mesh], run: Run) -> None:
    start_mesh(
        api=mesh_after(42, lambda view: msgspec.structs.replace(view, policy_mode="permissive"))
    )
    result = run("policy", "check-pods", "bookthief", "bookstore/bookstore")
    assert result.code == 0
    assert result.out.startswith("[+] Permissive mode enabled for mesh operated by osm-controller")
    assert "Pod 'bookthief/bookthief' is allowed to communicate to pod" in result.out


def workload(namespace: str, account: str) -> WorkloadView:
    return WorkloadView(namespace, "pod", "app", account, "", "ready")


def account(namespace: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha3"])
def test_a_target_allows_by_both_accounts_with_their_namespaces(version: str) -> None:
    spec = {"destination": account("b", "store"), "sources": [account("a", "buyer")]}
    target = {
        "apiVersion": f"access.smi-spec.io/{version}",
        "metadata": {"namespace": "b", "name": "t"},
        **(spec if version == "v1alpha1" else {"spec": spec}),
    }
    store, buyer = workload("b", "store"), workload("a", "buyer")
    assert allowing_targets([target], buyer, store) == ("b/t",)
    assert allowing_targets([target], workload("x", "buyer"), store) == ()
    assert allowing_targets([target], buyer, workload("x", "store")) == ()
    assert allowing_targets([target], store, buyer) == ()


def ingress(name: str, *backends: tuple[str, int], namespace: str = "web") -> dict[str, object]:
    listed = [{"name": n, "port": {"number": p, "protocol": "http"}} for n, p in backends]
    sources = [{"kind": "Service", "name": "edge", "namespace": "in"}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"backends": listed, "sources": sources},
    }


def test_ingress_backends_clash_by_service_and_port_in_one_namespace() -> None:
    found = ingress_conflicts(
        [
            ingress("b", ("web", 80), ("api", 81)),
            ingress("a", ("web", 80)),
            ingress("c", ("web", 8080)),
            ingress("d", ("web", 80), namespace="other"),
        ]
    )
    assert [(each.first, each.second, each.backends) for each in found] == [
        ("web/a", "web/b", ("web:80",))
    ]


def test_no_conflicts_is_said_as_osm_says_it(shared_mesh: Mesh, run: Run) -> None:
    result = run("policy", "check-conflicts", "IngressBackend", "-n", "bookstore")
    assert result == (
        0,
        "No conflicts among IngressBackend resources in namespace bookstore\n",
        "",
    )


ASKED = IngressQuestion("in/edge", "web/pod", "web/web", "web/b", 80, "http")


def test_an_ingress_backend_must_name_port_and_source() -> None:
    assert backend_step(ingress("b", ("web", 80)), ASKED).succeeded
    assert source_step(ingress("b", ("web", 80)), ASKED).succeeded
    other = backend_step(ingress("b", ("web", 8080)), ASKED)
    assert other.reason == "It has no backend web with port 80 (http); it has: 8080 (http)"
    missing = backend_step(None, ASKED)
    assert (missing.status, missing.reason) == ("Failure", 'There is no IngressBackend "web/b"')
    strange = msgspec.structs.replace(ASKED, from_service="in/other")
    assert source_step(ingress("b", ("web", 80)), strange).suggestion == "It has: in/edge"


def test_the_addresses_of_a_service_are_those_of_the_pods_that_it_selects() -> None:
    service = {"metadata": {"namespace": "in"}, "spec": {"selector": {"app": "edge"}}}

    def pod(address: str, app: str = "edge", namespace: str = "in") -> dict[str, object]:
        return {
            "metadata": {"namespace": namespace, "labels": {"app": app, "more": "x"}},
            "status": {"podIP": address},
        }

    pods = [pod("10.0.0.2"), pod("10.0.0.1"), pod("10.0.0.3", "no"), pod("10.0.0.4", namespace="b")]
    assert addresses(service, [*pods, pod("")]) == ["10.0.0.1", "10.0.0.2"]
    assert addresses(None, pods) == []


# --- the control plane


def ready_pod(**labels: str) -> dict[str, object]:
    return {
        "metadata": {"name": "c", "namespace": "osm-system", "labels": labels},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_service_must_lead_to_a_ready_pod() -> None:
    found = {"spec": {"selector": {"app": "osm-controller"}}}
    pods = [ready_pod(app="osm-controller")]
    assert service_step("osm-injector", found, pods, "osm-system").succeeded
    astray = service_step("osm-injector", found, [ready_pod(app="x")], "osm-system")
    assert astray.reason == "No ready pod stands behind it"
    assert service_step("osm-injector", None, pods, "osm-system").reason == "There is none"


@pytest.mark.parametrize(
    ("service", "bundle", "reason"),
    [
        ("osm-injector", "LS0t", ""),
        ("osm-injector", "", "It has no caBundle, so that the API server trusts no answer"),
        ("other", "LS0t", "It calls the service osm-system/other, and not osm-system/osm-injector"),
    ],
)
def test_a_webhook_must_call_the_control_plane_with_its_certificate(
    service: str, bundle: str, reason: str
) -> None:
    called = {"namespace": "osm-system", "name": service}
    found = {"webhooks": [{"clientConfig": {"service": called, "caBundle": bundle}}]}
    kind = "MutatingWebhookConfiguration"
    result = webhook_step(kind, "osm-webhook-osm", found, "osm-injector", "osm-system")
    assert (result.succeeded, result.reason) == (not reason, reason)
