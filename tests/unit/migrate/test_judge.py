"""What `osm migrate check` says of a control plane of OSM: version, arguments, settings, certificates."""

import msgspec
import pytest
from tests.unit.migrate.former import (
    Document,
    deployments,
    mesh_config,
    namespace,
    object_,
    release,
    secret,
)
from tests.unit.migrate.judged import ROOT, USUAL, entries, only, said

from osm.core.install.deployment import COMMAND
from osm.core.migrate.installation import former_meshes
from osm.core.migrate.judge import judge
from osm.core.migrate.report import Severity


def test_the_usual_installation_carries_over() -> None:
    report = judge(USUAL)
    assert report.found == ("mesh osm of OSM v1.2.4 in namespace osm-system; its namespaces: shop",)
    by_severity = {
        severity: sorted({e.code for e in report.entries if e.severity is severity})
        for severity in Severity
    }
    assert by_severity == {
        Severity.UNSUPPORTED: [],
        Severity.ACTION: [
            "ca-secret-deleted",
            "old-proxies",
            "reconcile-label",
            "webhook-configuration",
        ],
        Severity.CHANGES: [
            "access-log",
            "key-size",
            "readiness",
            "request-id",
            "server-header",
            "wasm-stats",
        ],
        Severity.CARRY_OVER: [
            "definition",
            "mesh-wide-egress",
            "object",
            "permissive-mode",
            "root-certificate",
            "tls-minimum",
            "version",
        ],
    }


def test_the_order_of_objects_changes_nothing() -> None:
    assert judge(USUAL) == judge(USUAL[::-1])


def test_without_a_control_plane_of_osm_there_is_nothing_to_say() -> None:
    assert judge([namespace("shop"), ROOT]).found == ()
    ours = deployments()[0]
    container = ours["spec"]["template"]["spec"]["containers"][0]
    container["command"] = list(COMMAND)
    assert former_meshes([ours]) == ()


@pytest.mark.parametrize(
    ("version", "code", "severity"),
    [
        ("v1.2.4", "version", Severity.CARRY_OVER),
        ("v1.1.1", "version", Severity.CARRY_OVER),
        ("v1.2.0-rc.1", "version", Severity.CARRY_OVER),
        ("v1.0.0", "version-other", Severity.ACTION),
        ("latest-main", "version-unknown", Severity.ACTION),
    ],
)
def test_versions(version: str, code: str, severity: Severity) -> None:
    assert only(deployments(version=version), code).severity is severity


def test_the_version_is_found_by_label_argument_or_image() -> None:
    everything = deployments(version="v1.1.3")
    bare = [
        msgspec.convert({**each, "metadata": {**each["metadata"]}}, dict) for each in everything
    ]
    for each in bare:
        each["metadata"]["labels"] = {"app": each["metadata"]["labels"]["app"]}
    (found,) = former_meshes(bare)
    assert (found.version, found.mesh) == ("v1.1.3", "osm")
    for each in bare:
        each["spec"]["template"]["spec"]["containers"][0]["args"] = []
    (found,) = former_meshes(bare)
    assert found.version == "v1.1.3"


@pytest.mark.parametrize(
    ("arguments", "code", "in_command"),
    [
        ({"trust-domain": "example.org"}, "trust-domain", "--set osm.trustDomain=example.org"),
        (
            {"validate-traffic-target": "false"},
            "validate-traffic-target",
            "--set smi.validateTrafficTarget=false",
        ),
        (
            {"ca-bundle-secret-name": "my-ca"},
            "ca-secret-name",
            "--set osm.caBundleSecretName=my-ca",
        ),
    ],
)
def test_arguments_become_values(arguments: dict[str, str], code: str, in_command: str) -> None:
    report = judge(deployments(arguments=arguments))
    (entry,) = entries(report, code)
    assert entry.severity is Severity.ACTION and in_command in entry.to_do
    commands = [c for plan in report.plans for step in plan.steps for c in step.commands]
    installs = [each for each in commands if each.startswith("osm install ")]
    assert installs and all(in_command in each for each in installs)


@pytest.mark.parametrize("provider", ["vault", "cert-manager"])
def test_other_providers_of_certificates_wait_for_a_later_release(provider: str) -> None:
    report = judge(deployments(arguments={"certificate-manager": provider}))
    (entry,) = entries(report, "certificate-provider")
    assert entry.severity is Severity.UNSUPPORTED and provider in entry.message
    assert not entries(report, "root-certificate")
    assert "private.key" not in repr(report.plans)


def test_a_root_that_is_half_there_is_not_taken() -> None:
    half = secret("osm-ca-bundle", "osm-system", "ca.crt")
    assert "private.key" in only(said(half, without="Secret"), "ca-secret-incomplete").message
    assert only(said(without="Secret"), "ca-secret-unseen").severity is Severity.ACTION


@pytest.mark.parametrize(
    ("spec", "code", "field", "severity"),
    [
        (
            {"traffic": {"enablePermissiveTrafficPolicyMode": False}},
            "policy-mode",
            "spec.traffic.enablePermissiveTrafficPolicyMode",
            Severity.CHANGES,
        ),
        ({"sidecar": {"envoyImage": "a:1"}}, "envoy-image", "spec.sidecar.envoyImage", "action"),
        (
            {"sidecar": {"tlsMinProtocolVersion": "TLSv1_0"}},
            "tls-minimum",
            "spec.sidecar.tlsMinProtocolVersion",
            "action",
        ),
        (
            {"sidecar": {"configResyncInterval": "90s"}},
            "resync",
            "spec.sidecar.configResyncInterval",
            "changes",
        ),
        (
            {"featureFlags": {"enableEgressPolicy": False}},
            "feature-flag",
            "spec.featureFlags.enableEgressPolicy",
            "changes",
        ),
        (
            {"featureFlags": {"enableMulticlusterMode": True}},
            "multicluster",
            "spec.featureFlags.enableMulticlusterMode",
            "unsupported",
        ),
        (
            {"certificate": {"ingressGateway": {"secret": {"name": "s", "namespace": "n"}}}},
            "ingress-gateway-certificate",
            "spec.certificate.ingressGateway",
            "unsupported",
        ),
        (
            {"traffic": {"inboundExternalAuthorization": {"enable": True}}},
            "external-authorization",
            "spec.traffic.inboundExternalAuthorization.enable",
            "changes",
        ),
    ],
)
def test_settings(spec: Document, code: str, field: str, severity: str) -> None:
    entry = only(said(mesh_config(**spec), without="MeshConfig"), code)
    assert (entry.object, entry.field) == ("MeshConfig osm-system/osm-mesh-config", field)
    assert entry.severity == severity


def test_what_is_not_written_means_false_whatever_the_chart_says() -> None:
    found = entries(judge(said(mesh_config(), without="MeshConfig")), "default")
    assert {each.field for each in found} == {
        "spec.traffic.enableEgress",
        "spec.traffic.enablePermissiveTrafficPolicyMode",
    }
    assert only(said(without="MeshConfig"), "mesh-config-unseen").severity is Severity.ACTION


@pytest.mark.parametrize(
    ("name", "word"),
    [("osm-prometheus", "Prometheus"), ("osm-grafana", "Grafana"), ("jaeger", "Jaeger")],
)
def test_what_the_chart_brought_goes_with_it(name: str, word: str) -> None:
    beside = object_("apps/v1", "Deployment", name, "osm-system", spec={})
    assert word in only(said(beside), "chart-part").message
    elsewhere = object_("apps/v1", "Deployment", name, "monitoring", spec={})
    assert not entries(judge(said(elsewhere)), "chart-part")


def test_a_logger_beside_the_controller() -> None:
    found = deployments()
    found[0]["spec"]["template"]["spec"]["containers"].append(
        {"name": "fluentbit-logger", "image": "fluent/fluent-bit:1.6.4"}
    )
    assert only(found, "fluentbit").object == "Deployment osm-system/osm-controller"


def test_values_of_helm() -> None:
    values = {"osm": {"deployJaeger": True, "enableEgress": True}}
    entry = only(said(release(values)), "value-without-effect")
    assert entry.field == "osm.deployJaeger" and entry.severity is Severity.UNSUPPORTED
    broken = release({})
    broken["data"] = {"release": "AAAA"}
    assert only(said(broken), "values-unread").severity is Severity.ACTION
    assert only(said(release({"osm": {"nonsense": 1}})), "values-refused").severity == "action"
