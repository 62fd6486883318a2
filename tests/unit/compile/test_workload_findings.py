"""What is told of pods, namespaces, and policies outside of the mesh."""

import copy
from typing import Any

import pytest
from tests.unit.compile.told import hints, told

from osm.core.compile.options import CompileOptions
from osm.testing.builders import (
    Document,
    Part,
    egress,
    http_group,
    ingress_backend,
    namespace,
    pod,
    retry,
    service_account,
    split,
    target,
    upstream,
)

DOMAIN = "openservicemesh.io"


def changed(document: Document, **spec: object) -> Document:
    """A pod with other fields in its `spec`."""
    copied: dict[str, Any] = copy.deepcopy(dict(document))
    copied["spec"].update(spec)
    return copied


def owned(number: int, **more: Any) -> Document:
    return pod(f"shop-{number}", app="shop", ip=f"10.0.0.{number}", **more)


def test_replicas_have_one_finding_at_what_made_them() -> None:
    replicas = [
        changed(owned(number, owner=("ReplicaSet", "shop-5f")), hostNetwork=True)
        for number in (1, 2)
    ]
    assert told(*replicas) == [
        ("OSM222", "warning", "Deployment default/shop spec.template.spec.hostNetwork")
    ]
    assert told(changed(pod("shop"), hostNetwork=True)) == [
        ("OSM222", "warning", "Pod default/shop spec.hostNetwork")
    ]


def test_a_container_cannot_have_a_port_of_the_proxy() -> None:
    found = told(owned(1, ports={"ok": 8080, "admin": 15000}, owner=("StatefulSet", "shop")))
    field = "spec.template.spec.containers[0].ports[1].containerPort"
    assert found == [("OSM207", "error", f"StatefulSet default/shop {field}")]


@pytest.mark.parametrize(
    ("accounts", "codes"),
    [
        ([], []),
        ([service_account("other")], ["OSM221"]),
        ([service_account("other", namespace="elsewhere")], []),
        ([service_account("shop")], []),
    ],
)
def test_an_account_is_missed_where_there_are_accounts(
    accounts: list[Part], codes: list[str]
) -> None:
    replicas = (owned(number, owner=("ReplicaSet", "shop-5f")) for number in (1, 2))
    assert [code for code, _, _ in told(*replicas, *accounts)] == codes
    assert told(pod("p", account="default"), service_account("x")) == []


@pytest.mark.parametrize(
    ("annotation", "value", "codes"),
    [
        (f"{DOMAIN}/discovery", "eager", []),
        (f"{DOMAIN}/discovery", "Eager", []),
        (f"{DOMAIN}/discovery", "early", ["OSM224"]),
        (f"{DOMAIN}/sidecar-injection", "yes", []),
        (f"{DOMAIN}/sidecar-injection", "on", ["OSM224"]),
        (f"{DOMAIN}/outbound-port-exclusion-list", "80,81", []),
        (f"local.{DOMAIN}/forward", "8080:80", []),
        (f"{DOMAIN}/discvery", "eager", ["OSM223"]),
        (f"{DOMAIN}/metrics", "enabled", ["OSM223"]),
        ("openservicemesh.com/discovery", "eager", ["OSM223"]),
        ("opnservicemesh.io/discovery", "eager", ["OSM223"]),
        ("servicemesh.io/discovery", "eager", []),
        ("discovery", "eager", []),
        ("linkerd.io/inject", "enabled", []),
    ],
)
def test_an_annotation_of_ours_means_something(
    annotation: str, value: str, codes: list[str]
) -> None:
    found = told(pod("p", annotations={annotation: value}))
    assert [code for code, _, _ in found] == codes
    assert all(
        place == f'Pod default/p metadata.annotations["{annotation}"]' for _, _, place in found
    )


def test_what_was_meant_is_said() -> None:
    (nearest,) = hints("OSM223", pod("p", annotations={f"{DOMAIN}/discvery": "eager"}))
    assert nearest == f"Did you mean '{DOMAIN}/discovery'?"
    (place,) = hints("OSM223", pod("p", annotations={f"{DOMAIN}/monitored-by": "osm"}))
    assert place == "It belongs to the labels of a Namespace."
    assert told(namespace("a", monitored_by="other"), namespace("b", ignore="true")) == []
    (found,) = told(namespace("a", monitred_by="osm"))
    assert found == ("OSM223", "warning", f'Namespace a metadata.labels["{DOMAIN}/monitred-by"]')


POLICIES: list[Document] = [
    target("t", "shop", ["buyer"], "HTTPRouteGroup/g", namespace="out"),
    split("s", "shop", {"v1": 1}, namespace="out"),
    egress("e", ["shop"], ["tcp:25"], namespace="out"),
    ingress_backend("i", [], [], namespace="out"),
    retry("r", "shop", ["shop"], namespace="out"),
    upstream("u", "shop.out.svc.cluster.local", {}, namespace="out"),
]
KUBERNETES = CompileOptions()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: str(policy["kind"]))
def test_a_policy_outside_of_the_mesh_is_told_and_nothing_else_of_it(policy: Document) -> None:
    name = f"{policy['kind']} out/{dict(policy)['metadata']['name']}"  # type: ignore[index]
    expected = [("OSM231", "warning", f"{name} metadata.namespace")]
    assert told(policy, namespace("out", ignore="true")) == expected
    assert told(policy, options=KUBERNETES) == expected
    assert told(policy, namespace("out"), options=KUBERNETES) == expected
    assert told(policy, namespace("out", monitored_by="another"), options=KUBERNETES) == []


def test_routes_outside_of_the_mesh_are_nobodys_business() -> None:
    assert told(http_group("g", namespace="out"), namespace("out", ignore="true")) == []
