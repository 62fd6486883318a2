"""What it says of definitions, namespaces, pods and policies; and whatever they hold, it says something."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.migrate.former import (
    ACCESS,
    CONFIG,
    POLICY,
    SPLIT,
    Document,
    annotated,
    definition,
    deployments,
    labelled,
    namespace,
    object_,
    pod,
    routes,
    target,
)
from tests.unit.migrate.judged import USUAL, entries, only, said

from osm.core.migrate.judge import judge
from osm.core.migrate.report import Severity


def test_a_version_in_which_objects_are_stored_and_which_is_gone_stops_the_installation() -> None:
    old = definition(ACCESS, "TrafficTarget", "traffictargets", ("v1beta1", "v1alpha3"))
    old["status"] = {"storedVersions": ["v1beta1", "v1alpha3"]}
    entry = only([*deployments(), old], "stored-version")
    assert entry.severity is Severity.ACTION and "v1beta1" in entry.message


def test_objects_that_would_lose_fields_are_written_anew_first() -> None:
    old = definition(ACCESS, "TrafficTarget", "traffictargets", ("v1alpha1",))
    entry = only([*deployments(), old], "stored-version")
    assert "would be lost" in entry.message and "v1alpha1" in entry.message


def test_a_version_that_is_not_served_any_more_is_told() -> None:
    old = definition(ACCESS, "TrafficTarget", "traffictargets", ("v1alpha1", "v1alpha3"))
    entry = only([*deployments(), old], "served-version")
    assert entry.message.startswith("v1alpha1 will not be served")
    assert entry.to_do.endswith("v1alpha2, v1alpha3.")


def test_a_conversion_webhook_must_go() -> None:
    crd = definition(CONFIG, "MeshConfig", "meshconfigs", ("v1alpha2",))
    client = {"service": {"name": "osm-bootstrap", "namespace": "osm-system"}}
    crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"clientConfig": client}}
    assert "osm-bootstrap" in only([*deployments(), crd], "conversion-webhook").message


def test_kinds_of_several_clusters_have_no_meaning() -> None:
    crd = definition(CONFIG, "MultiClusterService", "multiclusterservices", ("v1alpha1",))
    assert only([*deployments(version="v1.1.0"), crd], "kind-unknown").severity == "unsupported"


@pytest.mark.parametrize(
    ("found", "code", "severity"),
    [
        (
            pod("a", "shop", nodeSelector={"kubernetes.io/os": "windows"}),
            "windows-pod",
            "unsupported",
        ),
        (
            annotated(
                pod("a", "shop"), {"openservicemesh.io/outbound-port-exclusion-list": "6379"}
            ),
            "exclusions",
            "carry-over",
        ),
        (
            pod("a", "shop", {"name": "c", "livenessProbe": {"grpc": {"port": 1}}}),
            "grpc-probe",
            "action",
        ),
        (pod("a", "shop", {"name": "osm-healthcheck"}), "tcp-probe", "changes"),
        (
            pod("a", "shop", initContainers=[{"name": "osm-init"}, {"name": "migrate"}]),
            "init-containers",
            "changes",
        ),
        (
            namespace("other", sidecar_injection="please"),
            "injection-word",
            "action",
        ),
        (
            labelled(
                namespace("other"),
                {
                    "openservicemesh.io/monitored-by": "osm",
                    "openservicemesh.io/ignore": "",
                },
            ),
            "ignored-namespace",
            "carry-over",
        ),
    ],
)
def test_namespaces_and_pods(found: Document, code: str, severity: str) -> None:
    assert only(said(found), code).severity == severity


def test_a_job_ends_now() -> None:
    job = pod("a", "shop")
    job["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "a"}]
    assert only(said(job), "job").severity is Severity.CHANGES


def test_pods_of_others_are_nobodys_matter() -> None:
    report = judge(said(pod("x", "elsewhere", nodeSelector={"kubernetes.io/os": "windows"})))
    assert not entries(report, "windows-pod")
    assert [each.object for each in entries(report, "old-proxies")] == ["Namespace shop"]


SPLIT_OF_SHOP: Document = {"service": "shop.shop", "backends": [{"service": "v1", "weight": 1}]}


@pytest.mark.parametrize(
    ("objects", "code"),
    [
        ([target("t", "shop", {"kind": "HTTPRouteGroup", "name": "routes"})], "no-matches"),
        (
            [target("t", "shop", {"kind": "HTTPRouteGroup", "name": "routes", "matches": ["all"]})],
            "tcp-by-http-routes",
        ),
        ([routes("r", "shop", "/a/%2e%2e/b")], "path-forms"),
        (
            [
                object_(f"{SPLIT}/v1alpha2", "TrafficSplit", "a", "shop", spec=SPLIT_OF_SHOP),
                object_(
                    f"{SPLIT}/v1alpha2",
                    "TrafficSplit",
                    "b",
                    "shop",
                    spec={**SPLIT_OF_SHOP, "service": "shop"},
                ),
            ],
            "several-splits",
        ),
        (
            [
                object_(
                    f"{POLICY}/v1alpha1",
                    "Egress",
                    "e",
                    "shop",
                    spec={
                        "sources": [
                            {"kind": "ServiceAccount", "name": "shop", "namespace": "shop"}
                        ],
                        "hosts": ["example.org"],
                        "ipAddresses": ["192.0.2.0/24"],
                        "ports": [{"number": 80, "protocol": "http"}],
                    },
                )
            ],
            "egress-addresses",
        ),
    ],
)
def test_policies_that_mean_something_else(objects: list[Document], code: str) -> None:
    assert only(said(*objects), code).severity is Severity.CHANGES


def test_an_object_that_would_be_refused_is_named_with_its_finding() -> None:
    entry = only(said(routes("r", "shop", "/(")), "refused-object")
    assert entry.object == "HTTPRouteGroup shop/r" and entry.severity is Severity.ACTION
    assert "[OSM" in entry.message


def test_a_policy_outside_of_the_mesh_is_told() -> None:
    assert only(said(routes("r", "elsewhere")), "outside-of-mesh").field == "metadata.namespace"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "metadata", "rules", "containers", "backends", "ports", "versions", "name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(
    index=st.integers(0, len(USUAL) - 1),
    field=st.sampled_from(["spec", "status", "webhooks", "metadata", "data"]),
    junk=JUNK,
)
def test_no_object_makes_it_fail(index: int, field: str, junk: object) -> None:
    broken = {**USUAL[index], field: junk}
    documents = [*USUAL[:index], broken, *USUAL[index + 1 :]]
    judge(documents)
