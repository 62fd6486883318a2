"""MeshConfig becomes settings; labels say which namespaces take part."""

import pytest

from osm.core.compile.options import CompileOptions
from osm.core.model.mesh import Settings
from osm.core.model.origin import Severity
from osm.testing.builders import (
    PERMISSIVE,
    Document,
    http_group,
    identity,
    mesh_config,
    model,
    namespace,
    pod,
    port_name,
    service,
    split,
    target,
)

KUBERNETES = CompileOptions()


def test_without_a_mesh_config_policies_are_in_force_and_tls_is_1_3() -> None:
    assert model().settings == Settings(
        permissive=False, tls_minimum="TLSv1_3", tls_maximum="TLSv1_3"
    )


def test_permissive_mode_is_switched_by_the_mesh_config() -> None:
    assert model(PERMISSIVE).settings.permissive
    assert not model(mesh_config(traffic={})).settings.permissive


@pytest.mark.parametrize(
    ("sidecar", "minimum", "maximum"),
    [
        pytest.param({}, "TLSv1_3", "TLSv1_3", id="nothing said"),
        pytest.param({"tlsMinProtocolVersion": "TLSv1_2"}, "TLSv1_2", "TLSv1_3", id="1.2 allowed"),
        pytest.param({"tlsMaxProtocolVersion": "TLSv1_2"}, "TLSv1_2", "TLSv1_2", id="only 1.2"),
        pytest.param({"tlsMaxProtocolVersion": "TLS_AUTO"}, "TLSv1_3", "TLS_AUTO", id="auto"),
    ],
)
def test_tls_versions_are_what_the_mesh_config_allows(
    sidecar: Document, minimum: str, maximum: str
) -> None:
    settings = model(mesh_config(sidecar=sidecar)).settings
    assert (settings.tls_minimum, settings.tls_maximum) == (minimum, maximum)


def test_ciphers_and_curves_are_taken_over() -> None:
    sidecar = {"cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"], "ecdhCurves": ["P-256"]}
    settings = model(mesh_config(sidecar=sidecar)).settings
    assert settings.cipher_suites == ("ECDHE-ECDSA-AES128-GCM-SHA256",)
    assert settings.ecdh_curves == ("P-256",)


def test_what_is_named_twice_counts_once_in_the_order_written() -> None:
    sidecar = {"ecdhCurves": ["P-256", "X25519", "P-256"]}
    assert model(mesh_config(sidecar=sidecar)).settings.ecdh_curves == ("P-256", "X25519")


def test_the_trust_domain_is_the_platforms() -> None:
    options = CompileOptions(trust_domain="example.org", require_monitored_label=False)
    found = model(pod("shop"), service("shop", 80), options=options)
    assert found.settings.trust_domain == "example.org"
    (who,) = found.services[port_name("shop:80")].identities
    assert who.spiffe_id == "spiffe://example.org/ns/default/sa/shop"


def test_a_mesh_config_of_another_name_has_no_effect_and_is_told() -> None:
    permissive = {"enablePermissiveTrafficPolicyMode": True}
    found = model(mesh_config("mine", traffic=permissive), mesh_config(traffic={}))
    assert not found.settings.permissive
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("OSM321", Severity.WARNING)
    assert finding.origin is not None and finding.origin.name == "mine"


def test_locally_every_namespace_takes_part_but_those_that_are_to_be_ignored() -> None:
    found = model(
        namespace("said"),
        namespace("left", ignore="true"),
        pod("a", namespace="said"),
        pod("b", namespace="unsaid"),
        pod("c", namespace="left"),
    )
    assert sorted(found.workloads) == [("said", "a"), ("unsaid", "b")]


def test_on_kubernetes_only_namespaces_of_this_mesh_take_part() -> None:
    found = model(
        namespace("ours", monitored_by="osm"),
        namespace("theirs", monitored_by="other"),
        namespace("both", monitored_by="osm", ignore="true"),
        *(pod("p", namespace=name) for name in ("ours", "theirs", "both", "unsaid")),
        options=KUBERNETES,
    )
    assert sorted(found.workloads) == [("ours", "p")]


def test_objects_of_other_namespaces_mean_nothing() -> None:
    found = model(
        namespace("out", ignore="true"),
        pod("shop", namespace="out"),
        service("shop", 80, namespace="out"),
        http_group("all", namespace="out"),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/all", namespace="out"),
        target("u", "shop", ["buyer"], "HTTPRouteGroup/missing", namespace="out"),
        split("s", "nothing", {"shop": 1}, namespace="out"),
    )
    assert (found.services, found.access) == ({}, {})
    assert [finding.code for finding in found.findings] == ["OSM231"] * 3  # its policies


def test_a_source_may_be_of_any_namespace() -> None:
    found = model(http_group("all"), target("t", "shop", ["elsewhere/buyer"], "HTTPRouteGroup/all"))
    (rule,) = found.access[identity("shop")]
    assert rule.sources == (identity("elsewhere/buyer"),)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("24h", 86400), ("10m", 600), ("1m", 600), ("1h30m", 5400), ("2562047h", 9223369200)],
)
def test_certificates_live_as_long_as_it_says_but_ten_minutes_at_least(
    written: str, seconds: int
) -> None:
    certificate = {"serviceCertValidityDuration": written, "certKeyBitSize": 2048}
    assert model(mesh_config(certificate=certificate)).settings.certificate_validity_s == seconds


@pytest.mark.parametrize(("written", "limit"), [(-1, 0), (0, 0), (500, 500)])
def test_a_limit_of_proxies_that_is_not_above_zero_is_none(written: int, limit: int) -> None:
    settings = model(mesh_config(sidecar={"maxDataPlaneConnections": written})).settings
    assert settings.proxies_at_most == limit


def test_what_containers_are_like_means_nothing_where_there_are_none() -> None:
    config = mesh_config(
        sidecar={
            "envoyImage": "envoyproxy/envoy:v1.40",
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
        },
        certificate={
            "serviceCertValidityDuration": "24h",
            "certKeyBitSize": 2048,
            "ingressGateway": {
                "subjectAltNames": ["edge.ingress.cluster.local"],
                "validityDuration": "24h",
                "secret": {"name": "edge", "namespace": "ingress"},
            },
        },
    )
    found = model(config).findings
    assert {f.code for f in found} == {"OSM324"}
    assert {(f.origin.field, f.severity) for f in found if f.origin} == {
        ("spec.sidecar.envoyImage", Severity.INFO),
        ("spec.sidecar.resources.limits", Severity.INFO),
        ("spec.sidecar.resources.requests", Severity.INFO),
        ("spec.certificate.ingressGateway", Severity.WARNING),
    }
    assert not model(config, options=KUBERNETES).findings


def test_the_debug_server_of_osm_is_not_needed_and_that_is_told() -> None:
    (finding,) = model(mesh_config(observability={"enableDebugServer": True})).findings
    assert (finding.code, finding.severity) == ("OSM324", Severity.INFO)
    assert "osm proxy get" in finding.message


@pytest.mark.parametrize(
    ("sidecar", "minimum"),
    [
        pytest.param({}, "TLSv1_2", id="nothing said: what gateways offer"),
        pytest.param({"tlsMinProtocolVersion": "TLSv1_3"}, "TLSv1_3", id="said"),
    ],
)
def test_what_comes_from_outside_may_have_tls_1_2_unless_it_is_forbidden(
    sidecar: Document, minimum: str
) -> None:
    assert model(mesh_config(sidecar=sidecar)).settings.ingress_tls_minimum == minimum
