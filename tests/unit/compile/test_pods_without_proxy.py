"""Pods of the mesh that have no proxy of its own: how they are told, who is called, and what is said."""

import pytest
from tests.unit.compile.pods_of_a_cluster import (
    SHOP,
    UUID,
    asking,
    bare,
    former,
    labelled,
    own,
    part,
)

from osm.core.compile.build import Compiler
from osm.core.compile.options import CompileOptions
from osm.core.model.mesh import Model
from osm.core.model.service import PortName, ServiceName
from osm.core.model.workload import ProxyKind
from osm.testing.builders import Document, Part, manifests, model, pod, service

KUBERNETES = CompileOptions()
TAKING_OVER = CompileOptions(former_mesh="former")
WEB = service("web", 80, namespace=SHOP, app="web")


def with_containers(document: Document, *more: Document) -> Document:
    spec = part(document, "spec")
    return {**document, "spec": {**spec, "containers": [*spec["containers"], *more]}}


def compiled(*parts: Part, options: CompileOptions = KUBERNETES) -> Model:
    return model(asking(), WEB, *parts, options=options)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        pytest.param(own(bare("w")), ProxyKind.OWN, id="native sidecar"),
        pytest.param(own(bare("w"), native=False), ProxyKind.OWN, id="ordinary container"),
        pytest.param(former(bare("w")), ProxyKind.FORMER, id="OSM's"),
        pytest.param(bare("w"), ProxyKind.NONE, id="plain"),
        pytest.param(labelled(bare("w"), UUID), ProxyKind.NONE, id="a copied label"),
        pytest.param(
            with_containers(bare("w"), {"name": "envoy", "ports": [{"containerPort": 15904}]}),
            ProxyKind.NONE,
            id="an Envoy of somebody's own",
        ),
        pytest.param(
            with_containers(
                bare("w"),
                {"name": "app", "ports": [{"name": "proxy-health", "containerPort": 15904}]},
            ),
            ProxyKind.NONE,
            id="the port alone",
        ),
        pytest.param(
            with_containers(bare("w"), {"name": "osm-init"}), ProxyKind.NONE, id="the init alone"
        ),
    ],
)
def test_whose_proxy_a_pod_has(document: Document, kind: ProxyKind) -> None:
    (workload,) = compiled(document).workloads.values()
    assert workload.proxy_kind is kind
    assert workload.takes_mutual_tls is (kind is ProxyKind.OWN)


def test_a_copy_without_labels_keeps_its_proxy() -> None:
    """As `kubectl debug --copy-to` makes it."""
    copied = own(bare("w"))
    metadata = {k: v for k, v in part(copied, "metadata").items() if k != "labels"}
    (workload,) = compiled({**copied, "metadata": metadata}).workloads.values()
    assert workload.proxy_kind is ProxyKind.OWN


def test_on_one_machine_everybody_has_a_proxy() -> None:
    (workload,) = model(pod("w")).workloads.values()
    assert workload.proxy_kind is ProxyKind.OWN and workload.takes_mutual_tls


def test_a_former_proxy_is_called_while_its_mesh_is_taken_over() -> None:
    (workload,) = compiled(former(bare("w")), options=TAKING_OVER).workloads.values()
    assert workload.proxy_kind is ProxyKind.FORMER and workload.takes_mutual_tls


# --- who is called


def called(*parts: Part, **shape: bool) -> list[str]:
    port = PortName(ServiceName(SHOP, "web"), 80)
    web = service("web", 80, namespace=SHOP, app="web", **shape)  # type: ignore[arg-type]
    found = model(asking(), *parts, web, options=KUBERNETES).endpoints[port]
    return [each.workload for each in found]


def unheard(document: Document) -> Document:
    """On a node that was not heard of: not ready, though its containers were."""
    status = part(document, "status")
    conditions = [
        {"type": "Ready", "status": "False"},
        {"type": "ContainersReady", "status": "True"},
    ]
    return {**document, "status": {**status, "conditions": conditions}}


A, B = bare("a", "10.0.0.1"), bare("b", "10.0.0.2")
STARTING = bare("b", "10.0.0.2", ready=False)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param((own(A), own(B)), ["a", "b"], id="all have proxies"),
        pytest.param((A, own(B)), ["b"], id="a rollout that has begun"),
        pytest.param((A, own(STARTING)), ["a"], id="its first pod is not ready yet"),
        pytest.param((A, B), ["a", "b"], id="before it"),
        pytest.param((A, STARTING), ["a"], id="one of those is not ready"),
        pytest.param((A, own(unheard(B))), ["b"], id="a node that was not heard of"),
        pytest.param((former(A), own(B)), ["b"], id="another mesh's proxy"),
        pytest.param((former(A), B), ["a", "b"], id="another mesh's proxy, and none"),
    ],
)
def test_who_has_no_proxy_is_called_when_nobody_else_is_left(
    parts: tuple[Document, ...], expected: list[str]
) -> None:
    assert called(*parts) == expected
    assert called(*reversed(parts)) == expected


def test_addresses_that_are_published_before_they_are_ready_need_proxies_too() -> None:
    assert called(A, own(STARTING), publish_not_ready=True) == ["b"]


def test_a_taken_over_mesh_shares_the_calls() -> None:
    port = PortName(ServiceName(SHOP, "web"), 80)
    found = model(asking(), WEB, former(A), own(B), options=TAKING_OVER).endpoints[port]
    assert [each.workload for each in found] == ["a", "b"]


def test_a_rollout_moves_the_calls_pod_by_pod() -> None:
    """Through the compiler that keeps its tables, as a control plane does."""
    port = PortName(ServiceName(SHOP, "web"), 80)
    compiler = Compiler(KUBERNETES, manifests(asking(), WEB, A, B))
    seen = []
    for change in (own(bare("c", "10.0.0.3", ready=False)), own(bare("c", "10.0.0.3"))):
        compiler.update(manifests(change))
        seen.append([each.workload for each in compiler.model.endpoints[port]])
    compiler.update((), [manifest.key for manifest in manifests(A, B)])
    seen.append([each.workload for each in compiler.model.endpoints[port]])
    assert seen == [["a", "b"], ["c"], ["c"]]
    assert compiler.model.findings == ()
