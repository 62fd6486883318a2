"""MeshConfig: OSM's own defaults are taken, and nonsense is refused where it stands."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.envoy.static import complaint_of

from osm.core.api.config import CIPHER_SUITES, ECDH_CURVES, MeshConfig
from osm.core.api.decode import Decoded, decode
from osm.core.api.limits import check_interface
from osm.core.model.origin import Severity

# What `osm install` of OSM v1.2 wrote.
PRESET: dict[str, Any] = {
    "sidecar": {
        "enablePrivilegedInitContainer": False,
        "logLevel": "error",
        "maxDataPlaneConnections": 0,
        "envoyImage": "",
        "initContainerImage": "",
        "configResyncInterval": "0s",
        "resources": {},
        "tlsMinProtocolVersion": "TLSv1_2",
        "tlsMaxProtocolVersion": "TLSv1_3",
        "cipherSuites": [],
        "ecdhCurves": [],
        "localProxyMode": "Localhost",
    },
    "traffic": {
        "enableEgress": True,
        "enablePermissiveTrafficPolicyMode": True,
        "outboundIPRangeExclusionList": [],
        "outboundIPRangeInclusionList": [],
        "outboundPortExclusionList": [],
        "inboundPortExclusionList": [],
        "networkInterfaceExclusionList": [],
        "inboundExternalAuthorization": {
            "enable": False,
            "address": "",
            "port": 9191,
            "statPrefix": "inboundExtAuthz",
            "timeout": "1s",
            "failureModeAllow": False,
        },
    },
    "observability": {
        "osmLogLevel": "info",
        "enableDebugServer": False,
        "tracing": {"enable": False, "port": 0, "address": "", "endpoint": "/api/v2/spans"},
    },
    "certificate": {"serviceCertValidityDuration": "24h", "certKeyBitSize": 2048},
    "featureFlags": {
        "enableWASMStats": True,
        "enableEgressPolicy": True,
        "enableSnapshotCacheMode": False,
        "enableAsyncProxyServiceMapping": False,
        "enableIngressBackendPolicy": True,
        "enableEnvoyActiveHealthChecks": False,
        "enableRetryPolicy": False,
    },
}


def decoded(spec: object) -> Decoded:
    return decode(
        {
            "apiVersion": "config.openservicemesh.io/v1alpha2",
            "kind": "MeshConfig",
            "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
            "spec": spec,
        }
    )


def test_the_settings_that_osm_1_2_installs_are_taken_as_they_are() -> None:
    result = decoded(PRESET)
    assert result.findings == ()
    assert result.manifest is not None
    config = result.manifest.object
    assert isinstance(config, MeshConfig)
    assert config.spec.observability.tracing.port == 9411
    assert config.spec.sidecar.tls_min_protocol_version == "TLSv1_2"


def test_what_envoy_can_do_is_taken() -> None:
    pair = f"[{CIPHER_SUITES[0]}|{CIPHER_SUITES[1]}]"
    sidecar = {
        "cipherSuites": [*CIPHER_SUITES, pair],
        "ecdhCurves": list(ECDH_CURVES),
        "logLevel": "off",
        "maxDataPlaneConnections": -1,
        "envoyImage": "registry.example:5000/envoyproxy/envoy-distroless:v1.40@sha256:" + "a" * 64,
        "resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}, "requests": {"cpu": 1}},
    }
    traffic = {
        "outboundIPRangeInclusionList": ["0.0.0.0/0"],
        "networkInterfaceExclusionList": ["eth0", "net1.100"],
        "inboundExternalAuthorization": {"enable": True, "address": "opa.opa", "port": 9191},
    }
    gateway = {
        "subjectAltNames": ["nginx.ingress.cluster.local"],
        "validityDuration": "24h",
        "secret": {"name": "osm-nginx-client-cert", "namespace": "osm-system"},
    }
    spec = {"sidecar": sidecar, "traffic": traffic, "certificate": {"ingressGateway": gateway}}
    assert decoded(spec).findings == ()


@pytest.mark.parametrize(
    ("suites", "curves"), [(CIPHER_SUITES, ECDH_CURVES), (("[AES128-SHA|AES256-SHA]",), ())]
)
def test_envoy_takes_the_cipher_suites_and_curves_that_we_take(
    suites: tuple[str, ...], curves: tuple[str, ...], tmp_path: Path
) -> None:
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"tls_params": {"cipher_suites": suites, "ecdh_curves": curves}},
    }
    cluster = {"name": "c", "transport_socket": {"name": "tls", "typed_config": context}}
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"clusters": [cluster]}}))
    assert complaint_of(file) == ""


E, W = Severity.ERROR, Severity.WARNING
LISTS = "traffic.outboundIPRangeExclusionList", "traffic.outboundIPRangeInclusionList"
PORTS = "traffic.outboundPortExclusionList", "traffic.inboundPortExclusionList"
INTERFACES = "traffic.networkInterfaceExclusionList"
AUTHORIZATION = "traffic.inboundExternalAuthorization"
GATEWAY = "certificate.ingressGateway"
SECRET = {"name": "a", "namespace": "b"}

NONSENSE: list[tuple[str, object, str, Severity]] = [
    ("sidecar.logLevel", "verbose", "OSM114", E),
    ("sidecar.logLevel", "", "OSM114", E),
    ("sidecar.logLevel", True, "OSM113", E),
    ("sidecar.maxDataPlaneConnections", "100", "OSM112", E),
    ("sidecar.envoyImage", "envoy proxy:v1", "OSM120", E),
    ("sidecar.envoyImage", "envoy\nproxy", "OSM120", E),
    ("sidecar.initContainerImage", "$(id)", "OSM120", E),
    ("sidecar.envoyWindowsImage", "-x", "OSM120", E),
    ("sidecar.resources", {"limits": {"cpu": "-1"}}, "OSM115", E),
    ("sidecar.resources", {"limits": {"memory": "lots"}}, "OSM112", E),
    ("sidecar.configResyncInterval", "soon", "OSM134", E),
    ("sidecar.configResyncInterval", "-30s", "OSM134", E),
    ("sidecar.tlsMinProtocolVersion", "TLSv1.2", "OSM114", E),
    ("sidecar.tlsMaxProtocolVersion", "SSLv3", "OSM114", E),
    ("sidecar.tlsMaxProtocolVersion", "TLSv1_1", "OSM148", W),
    ("sidecar.cipherSuites", ["RC4-MD5"], "OSM114", E),
    ("sidecar.cipherSuites", ["TLS_AES_128_GCM_SHA256"], "OSM114", E),
    ("sidecar.cipherSuites", ["[AES128-SHA|NULL]"], "OSM114", E),
    ("sidecar.cipherSuites", "AES128-SHA", "OSM112", E),
    ("sidecar.ecdhCurves", ["P-224"], "OSM114", E),
    ("sidecar.localProxyMode", "localhost", "OSM114", E),
    ("sidecar.discovery", "Lazy", "OSM114", E),
    ("traffic.enableEgress", "yes", "OSM112", E),
    *((f"{name}", [bad], "OSM135", E) for name in LISTS for bad in (
        "10.0.0.1", "10.0.0.0/33", "10.0.0/8", "::/0", "fd00::/8", "10.0.0.0/8;reboot", "$(id)",
        "10.0.0.0/8\n", "", "x" * 5000)),
    (LISTS[0], ["0.0.0.0/0"], "OSM148", E),
    (LISTS[0], ["0.0.0.0/00"], "OSM148", E),
    *((name, ["10.0.0.0/8"] * 10_000, "OSM119", E) for name in LISTS),
    *((name, [bad], "OSM130", E) for name in PORTS for bad in (0, 70000, -1)),
    *((name, [bad], "OSM112", E) for name in PORTS for bad in ("80", "80;reboot", "$(id)", 1.5)),
    *((name, [80] * 10_000, "OSM119", E) for name in PORTS),
    *((INTERFACES, [bad], "OSM120", E) for bad in (
        "lo -j ACCEPT", "eth0;reboot", "$(id)", "a\nb", "", "x" * 16, "-i", "../x", "é")),
    (INTERFACES, ["eth0"] * 101, "OSM119", E),
    (AUTHORIZATION, {"enable": True}, "OSM110", E),
    (AUTHORIZATION, {"address": "opa:9191"}, "OSM138", E),
    (AUTHORIZATION, {"address": "o\npa"}, "OSM138", E),
    (AUTHORIZATION, {"port": 70000}, "OSM115", E),
    (AUTHORIZATION, {"timeout": "0s"}, "OSM134", E),
    (AUTHORIZATION, {"statPrefix": "a b"}, "OSM120", E),
    ("observability.osmLogLevel", "loud", "OSM114", E),
    ("observability.tracing", {"address": "jaeger\n.svc"}, "OSM138", E),
    ("observability.tracing", {"port": 70000}, "OSM115", E),
    ("observability.tracing", {"port": -1}, "OSM115", E),
    ("observability.tracing", {"endpoint": "api"}, "OSM137", E),
    ("observability.tracing", {"endpoint": "/a b"}, "OSM137", E),
    ("certificate.serviceCertValidityDuration", "1d", "OSM134", E),
    ("certificate.serviceCertValidityDuration", "0s", "OSM134", E),
    ("certificate.serviceCertValidityDuration", "5m", "OSM115", W),
    ("certificate.certKeyBitSize", -2048, "OSM115", E),
    ("certificate.certKeyBitSize", 1024, "OSM115", W),
    (GATEWAY, {"subjectAltNames": [], "validityDuration": "1h", "secret": SECRET}, "OSM117", E),
    (GATEWAY, {"subjectAltNames": ["a b"], "validityDuration": "1h", "secret": SECRET}, "OSM138", E),
    (GATEWAY, {"subjectAltNames": ["a"], "validityDuration": "1h"}, "OSM110", E),
    (GATEWAY, {"subjectAltNames": ["a"], "validityDuration": "1h", "secret": {"name": "/",
     "namespace": "b"}}, "OSM120", E),
    ("featureFlags.enableRetryPolicy", "on", "OSM112", E),
    ("featureFlags.enableRetries", True, "OSM111", W),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "code", "severity"),
    NONSENSE,
    ids=[f"{place}-{number}" for number, (place, *_) in enumerate(NONSENSE)],
)
def test_nonsense_is_told_where_it_stands(
    place: str, value: object, code: str, severity: Severity
) -> None:
    section, field = place.split(".")
    result = decoded({section: {field: value}})
    (finding,) = result.findings
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.origin is not None
    assert finding.origin.field.startswith(f"spec.{place}")
    assert (result.manifest is None) == (severity is E)


@pytest.mark.parametrize("name", ["eth0", "lo", "net1.100", "enp0s31f6", "br-abc", "veth_1"])
def test_names_of_interfaces_that_linux_gives_are_taken(name: str) -> None:
    assert check_interface(name) is None
