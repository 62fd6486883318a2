"""OSM's policies: what they mean when they are right, and what is said when they are wrong."""

import copy
from typing import Any

import pytest

from osm.core.api.decode import Decoded, decode
from osm.core.api.extension_service import ExtensionServiceSpec
from osm.core.api.policy import (
    AccessLog,
    Egress,
    EgressPort,
    EgressSource,
    EgressSpec,
    ExtensionServiceName,
    IngressBackend,
    IngressBackendSpec,
    IngressPort,
    IngressService,
    IngressSource,
    IngressTls,
    OpenTelemetry,
    Reference,
    Retry,
    RetryDestination,
    RetryPolicy,
    RetrySource,
    RetrySpec,
    Telemetry,
    TelemetrySpec,
)
from osm.core.api.rate_limit import (
    AddedHeader,
    GenericKey,
    GlobalHttpLimit,
    GlobalLimit,
    HeaderMatcher,
    HeaderValueMatch,
    HttpDescriptor,
    HttpDescriptorEntry,
    LocalHttpLimit,
    LocalLimit,
    LocalTcpLimit,
    RateLimit,
    RateLimitService,
    RemoteAddress,
    RouteRateLimit,
)
from osm.core.api.registry import KINDS
from osm.core.api.root_certificate import (
    MeshRootCertificate,
    MeshRootCertificateSpec,
    Provider,
    SecretReference,
    TresorCa,
    TresorProvider,
)
from osm.core.api.upstream_traffic import (
    ConnectionSettings,
    HttpConnectionSettings,
    HttpRouteSetting,
    TcpConnectionSettings,
    UpstreamTrafficSetting,
    UpstreamTrafficSettingSpec,
)
from osm.core.model.origin import Severity

Document = dict[str, Any]

SPECS: dict[str, Document] = {
    "Egress": {
        "sources": [{"kind": "ServiceAccount", "name": "curl", "namespace": "curl"}],
        "hosts": ["HTTPBIN.org", "httpbin.ORG."],
        "ipAddresses": ["198.51.100.7/24"],
        "ports": [{"number": 80, "protocol": "HTTP"}, {"number": 443, "protocol": "https"}],
        "matches": [
            {"apiGroup": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup", "name": "get"},
            {
                "apiGroup": "policy.openservicemesh.io/v1alpha1",
                "kind": "UpstreamTrafficSetting",
                "name": "slow",
            },
        ],
    },
    "IngressBackend": {
        "backends": [
            {
                "name": "httpbin",
                "port": {"number": 14001, "protocol": "HTTPS"},
                "tls": {"skipClientCertValidation": False, "sniHosts": ["Httpbin.example"]},
            }
        ],
        "sources": [
            {"kind": "Service", "name": "nginx", "namespace": "ingress"},
            {"kind": "IPRange", "name": "10.0.0.0/8"},
            {"kind": "AuthenticatedPrincipal", "name": "nginx.ingress.cluster.local"},
        ],
        "matches": [{"apiGroup": "specs.smi-spec.io", "kind": "HTTPRouteGroup", "name": "get"}],
    },
    "Retry": {
        "source": {"kind": "ServiceAccount", "name": "curl", "namespace": "curl"},
        "destinations": [{"kind": "Service", "name": "httpbin", "namespace": "httpbin"}],
        "retryPolicy": {
            "retryOn": "5xx, gateway-error",
            "perTryTimeout": "1s",
            "numRetries": 5,
            "retryBackoffBaseInterval": "1s",
        },
    },
    "Telemetry": {
        "selector": {"app": "bookstore"},
        "accessLog": {
            "format": '{"path": "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%", "n": 1}',
            "openTelemetry": {
                "extensionService": {"namespace": "otel", "name": "collector"},
                "attributes": {"cluster": "%UPSTREAM_CLUSTER%"},
            },
        },
    },
    "UpstreamTrafficSetting": {
        "host": "Httpbin.httpbin.svc.cluster.local",
        "connectionSettings": {
            "tcp": {"maxConnections": 1, "connectTimeout": "5s"},
            "http": {"maxPendingRequests": 0, "maxRequestsPerConnection": 1},
        },
        "rateLimit": {
            "local": {
                "tcp": {"connections": 1, "unit": "minute"},
                "http": {
                    "requests": 3,
                    "unit": "second",
                    "burst": 10,
                    "responseStatusCode": 503,
                    "responseHeadersToAdd": [{"name": "x-limited", "value": "100 %"}],
                },
            },
            "global": {
                "http": {
                    "rateLimitService": {"host": "ratelimiter.rls.svc.cluster.local", "port": 8081},
                    "domain": "test",
                    "descriptors": [
                        {
                            "entries": [
                                {"genericKey": {"value": "v"}},
                                {"remoteAddress": {}},
                                {
                                    "headerValueMatch": {
                                        "value": "w",
                                        "headers": [{"name": ":path", "regex": "/a.*"}],
                                        "expectMatch": False,
                                    }
                                },
                            ]
                        }
                    ],
                    "failOpen": False,
                    "enableXRateLimitHeaders": True,
                }
            },
        },
        "httpRoutes": [
            {"path": "/get", "rateLimit": {"local": {"requests": 1, "unit": "hour"}}},
            {
                "path": ".*",
                "rateLimit": {"global": {"descriptors": [{"entries": [{"remoteAddress": {}}]}]}},
            },
        ],
    },
    "MeshRootCertificate": {
        "trustDomain": "example.com",
        "role": "passive",
        "provider": {"tresor": {"ca": {"secretRef": {"name": "ca", "namespace": "osm-system"}}}},
    },
    "ExtensionService": {
        "host": "collector.otel.svc.cluster.local",
        "port": 4317,
        "protocol": "h2c",
        "connectTimeout": "1s",
    },
}


def decoded(kind: str, spec: object) -> Decoded:
    (found,) = [each for each in KINDS if each.kind == kind]
    metadata = {"name": "made-up", "namespace": "shop"}
    return decode(
        {"apiVersion": found.api_version, "kind": kind, "metadata": metadata, "spec": spec},
        where="f.yaml:1",
    )


def typed(kind: str, spec: object | None = None) -> Any:
    result = decoded(kind, SPECS[kind] if spec is None else spec)
    assert result.manifest is not None, result.findings
    assert said(result) == []
    return result.manifest.object


def said(result: Decoded) -> list[str]:
    """The codes of the findings but for OSM106, which good objects have until the compiler acts."""
    return [f.code for f in result.findings if f.code != "OSM106"]


def test_an_egress_has_every_field_hosts_in_lower_case_and_ranges_without_host_bits() -> None:
    # Host bits are warned of; everything else is as it should be.
    result = decoded("Egress", SPECS["Egress"])
    assert set(said(result)) == {"OSM116", "OSM135"}
    assert result.manifest is not None
    assert isinstance(result.manifest.object, Egress)
    assert result.manifest.object.spec == EgressSpec(
        sources=(EgressSource("ServiceAccount", "curl", "curl"),),
        ports=(EgressPort(80, "http"), EgressPort(443, "https")),
        hosts=("httpbin.org",),
        ip_addresses=("198.51.100.0/24",),
        matches=(
            Reference("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", "get"),
            Reference("policy.openservicemesh.io/v1alpha1", "UpstreamTrafficSetting", "slow"),
        ),
    )


def test_an_ingress_backend_has_every_field() -> None:
    spec = typed("IngressBackend")
    assert isinstance(spec, IngressBackend)
    assert spec.spec == IngressBackendSpec(
        backends=(
            IngressService(
                "httpbin",
                IngressPort(14001, "https"),
                IngressTls(skip_client_cert_validation=False, sni_hosts=("httpbin.example",)),
            ),
        ),
        sources=(
            IngressSource("Service", "nginx", "ingress"),
            IngressSource("IPRange", "10.0.0.0/8"),
            IngressSource("AuthenticatedPrincipal", "nginx.ingress.cluster.local"),
        ),
        matches=(Reference("specs.smi-spec.io", "HTTPRouteGroup", "get"),),
    )


def test_an_ingress_backend_without_tls_demands_a_client_certificate() -> None:
    spec = copy.deepcopy(SPECS["IngressBackend"])
    del spec["backends"][0]["tls"]
    tls = typed("IngressBackend", spec).spec.backends[0].tls
    assert tls == IngressTls(skip_client_cert_validation=False)


def test_a_retry_has_every_field() -> None:
    retry = typed("Retry")
    assert isinstance(retry, Retry)
    assert retry.spec == RetrySpec(
        RetrySource("ServiceAccount", "curl", "curl"),
        (RetryDestination("Service", "httpbin", "httpbin"),),
        RetryPolicy("5xx, gateway-error", "1s", 5, "1s"),
    )


def test_a_retry_retries_once_after_25_ms_unless_it_says_more() -> None:
    policy = typed("Retry", SPECS["Retry"] | {"retryPolicy": {"retryOn": "5xx"}}).spec.retry_policy
    assert policy == RetryPolicy("5xx", "", 1, "25ms")


def test_a_telemetry_has_every_field() -> None:
    telemetry = typed("Telemetry")
    assert isinstance(telemetry, Telemetry)
    assert telemetry.spec == TelemetrySpec(
        {"app": "bookstore"},
        AccessLog(
            '{"path": "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%", "n": 1}',
            OpenTelemetry(
                ExtensionServiceName("otel", "collector"), {"cluster": "%UPSTREAM_CLUSTER%"}
            ),
        ),
    )


def test_an_upstream_traffic_setting_has_every_field() -> None:
    setting = typed("UpstreamTrafficSetting")
    assert isinstance(setting, UpstreamTrafficSetting)
    unlimited = 2**32 - 1
    spec = setting.spec
    assert spec.host == "httpbin.httpbin.svc.cluster.local"
    assert spec.connection_settings == ConnectionSettings(
        TcpConnectionSettings(1, "5s"), HttpConnectionSettings(unlimited, 1, 0, unlimited)
    )
    entries = (
        HttpDescriptorEntry(generic_key=GenericKey("v", "generic_key")),
        HttpDescriptorEntry(remote_address=RemoteAddress()),
        HttpDescriptorEntry(
            header_value_match=HeaderValueMatch(
                "w", (HeaderMatcher(":path", regex="/a.*"),), "header_match", expect_match=False
            )
        ),
    )
    assert spec.rate_limit == RateLimit(
        LocalLimit(
            LocalTcpLimit(1, "minute", 0),
            LocalHttpLimit(3, "second", 10, 503, (AddedHeader("x-limited", "100 %"),)),
        ),
        GlobalLimit(
            http=GlobalHttpLimit(
                RateLimitService("ratelimiter.rls.svc.cluster.local", 8081),
                "test",
                (HttpDescriptor(entries),),
                timeout="20ms",
                fail_open=False,
                enable_x_rate_limit_headers=True,
                response_status_code=429,
            )
        ),
    )
    assert spec.http_routes[0] == HttpRouteSetting(
        "/get", RouteRateLimit(LocalHttpLimit(1, "hour", 0, 429))
    )
    (route_limit,) = [r.rate_limit for r in spec.http_routes if r.path == ".*"]
    assert route_limit is not None
    assert route_limit.global_ is not None
    assert route_limit.global_.descriptors[0].entries[0].remote_address == RemoteAddress()


def test_an_upstream_traffic_setting_may_be_a_host_alone_and_is_then_pointless() -> None:
    result = decoded("UpstreamTrafficSetting", {"host": "a.b"})
    assert result.manifest is not None
    assert result.manifest.object.spec == UpstreamTrafficSettingSpec("a.b")
    assert said(result) == ["OSM150"]


def test_a_root_certificate_has_every_field_and_osm_1_2s_without_role_is_active() -> None:
    root = typed("MeshRootCertificate")
    assert isinstance(root, MeshRootCertificate)
    tresor = TresorProvider(TresorCa(SecretReference("ca", "osm-system")))
    provider = Provider(tresor=tresor)
    assert root.spec == MeshRootCertificateSpec(
        provider, "example.com", "passive", spiffe_enabled=False
    )
    spec = typed("MeshRootCertificate", {"provider": SPECS["MeshRootCertificate"]["provider"]}).spec
    assert (spec.trust_domain, spec.role) == ("cluster.local", "active")


def test_an_extension_service_has_every_field() -> None:
    spec = typed("ExtensionService").spec
    assert spec == ExtensionServiceSpec("collector.otel.svc.cluster.local", 4317, "h2c", "1s")


VAULT = {
    "host": "vault.vault",
    "port": 8200,
    "role": "osm",
    "protocol": "http",
    "token": {"secretKeyRef": {"name": "t", "key": "k", "namespace": "vault"}},
}
CERT_MANAGER = {"issuerName": "ca", "issuerKind": "Issuer", "issuerGroup": "cert-manager.io"}


@pytest.mark.parametrize("provider", [{"vault": VAULT}, {"certManager": CERT_MANAGER}])
def test_a_root_certificate_may_come_from_other_providers(provider: Document) -> None:
    assert typed("MeshRootCertificate", {"role": "active", "provider": provider})


E, W = Severity.ERROR, Severity.WARNING
GLOBAL = SPECS["UpstreamTrafficSetting"]["rateLimit"]["global"]["http"]
ENTRIES = "rateLimit.global.http.descriptors.0.entries"
REMOVED = object()
HTTP_PORT = {"number": 80, "protocol": "http"}
TCP_PORT = {"number": 5432, "protocol": "tcp"}
PRINCIPAL = {"kind": "AuthenticatedPrincipal", "name": "a"}
BACKEND = {"name": "a", "port": {"number": 80, "protocol": "http"}}

# kind, what is replaced, by what, code, severity, where it is told
WRONG: list[tuple[str, str, object, str, Severity, str]] = [
    ("Egress", "sources", REMOVED, "OSM110", E, "spec.sources"),
    ("Egress", "ports", REMOVED, "OSM110", E, "spec.ports"),
    ("Egress", "sources", [], "OSM143", W, "spec.sources"),
    ("Egress", "ports", [], "OSM143", W, "spec.ports"),
    ("Egress", "sources.0.kind", "Group", "OSM114", E, "spec.sources[0].kind"),
    ("Egress", "sources.0.namespace", REMOVED, "OSM110", E, "spec.sources[0].namespace"),
    ("Egress", "sources.0.name", "A_b", "OSM120", E, "spec.sources[0].name"),
    ("Egress", "ports.0.number", 0, "OSM130", E, "spec.ports[0].number"),
    ("Egress", "ports.0.number", "80", "OSM112", E, "spec.ports[0].number"),
    ("Egress", "ports.0.protocol", "grpc", "OSM114", E, "spec.ports[0].protocol"),
    ("Egress", "ports", [HTTP_PORT, HTTP_PORT], "OSM116", W, "spec.ports[1]"),
    ("Egress", "ports", [HTTP_PORT, {"number": 80, "protocol": "tcp-server-first"}], "OSM147", E,
     "spec.ports[1]"),
    ("Egress", "ports", [TCP_PORT], "OSM150", W, "spec.hosts"),
    ("Egress", "ports", [TCP_PORT], "OSM150", W, "spec.matches"),
    ("Egress", "hosts", REMOVED, "OSM143", W, "spec.hosts"),
    ("Egress", "hosts", ["*.example.com"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["https://httpbin.org"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["httpbin.org:80"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["*"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["a\nb"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["localhost"], "OSM151", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["a.localhost."], "OSM151", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["127.1.2.3"], "OSM151", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["300.1.2.3"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["x.0x7f.1"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["::1"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["x" * 64 + ".org"], "OSM138", E, "spec.hosts[0]"),
    ("Egress", "hosts", ["a.b"] * 1001, "OSM119", E, "spec.hosts"),
    ("Egress", "ipAddresses", ["127.0.0.0/8"], "OSM151", E, "spec.ipAddresses[0]"),
    ("Egress", "ipAddresses", ["127.0.0.1/32"], "OSM151", E, "spec.ipAddresses[0]"),
    ("Egress", "ipAddresses", ["0.0.0.0/32"], "OSM151", E, "spec.ipAddresses[0]"),
    ("Egress", "ipAddresses", ["fd00::/8"], "OSM135", E, "spec.ipAddresses[0]"),
    ("Egress", "ipAddresses", ["10.0.0.1"], "OSM135", E, "spec.ipAddresses[0]"),
    ("Egress", "ipAddresses", ["10.0.0.0/33"], "OSM135", E, "spec.ipAddresses[0]"),
    ("Egress", "ipAddress", ["10.0.0.0/8"], "OSM111", E, "spec.ipAddress"),
    ("Egress", "matches.0.kind", "TCPRoute", "OSM149", E, "spec.matches[0]"),
    ("Egress", "matches.0.apiGroup", "split.smi-spec.io/v1", "OSM149", E, "spec.matches[0]"),
    ("Egress", "matches.0", {"apiGroup": "policy.openservicemesh.io", "name": "b",
     "kind": "UpstreamTrafficSetting"}, "OSM149", E, "spec.matches"),
    ("IngressBackend", "backends", [], "OSM143", W, "spec.backends"),
    ("IngressBackend", "sources", [], "OSM143", W, "spec.sources"),
    ("IngressBackend", "sources", REMOVED, "OSM110", E, "spec.sources"),
    ("IngressBackend", "backends.0.port.protocol", "tcp", "OSM114", E,
     "spec.backends[0].port.protocol"),
    ("IngressBackend", "backends.0.port.protocol", "http", "OSM150", W, "spec.backends[0].tls"),
    ("IngressBackend", "backends.0.port.number", 15003, "OSM130", E,
     "spec.backends[0].port.number"),
    ("IngressBackend", "backends", [BACKEND, BACKEND], "OSM116", E, "spec.backends[1]"),
    ("IngressBackend", "backends.0.tls.skipClientCertValidation", REMOVED, "OSM110", E,
     "spec.backends[0].tls.skipClientCertValidation"),
    ("IngressBackend", "backends.0.tls.skipClientCertValidation", True, "OSM150", W,
     "spec.backends[0].tls.skipClientCertValidation"),
    ("IngressBackend", "backends.0.tls.sniHost", ["a.b"], "OSM111", E, "spec.backends[0].tls.sniHost"),
    ("IngressBackend", "backends.0.tls.sniHosts", ["a b"], "OSM138", E,
     "spec.backends[0].tls.sniHosts[0]"),
    # OSM refused it the other way round: see reference/osm.md §13, 7.
    ("IngressBackend", "sources.2", REMOVED, "OSM110", E, "spec.backends[0].tls"),
    ("IngressBackend", "sources.0.kind", "ServiceAccount", "OSM114", E, "spec.sources[0].kind"),
    ("IngressBackend", "sources.0.namespace", REMOVED, "OSM110", E, "spec.sources[0]"),
    ("IngressBackend", "sources.0.namespace", "A", "OSM120", E, "spec.sources[0].namespace"),
    ("IngressBackend", "sources.0.name", "*", "OSM120", E, "spec.sources[0].name"),
    ("IngressBackend", "sources.1.name", "10.0.0.0", "OSM135", E, "spec.sources[1].name"),
    ("IngressBackend", "sources.1.name", "::/0", "OSM135", E, "spec.sources[1].name"),
    ("IngressBackend", "sources.1.namespace", "a", "OSM150", W, "spec.sources[1].namespace"),
    ("IngressBackend", "sources.2.name", "", "OSM120", E, "spec.sources[2].name"),
    ("IngressBackend", "sources.2.name", "*.cluster.local", "OSM120", E, "spec.sources[2].name"),
    ("IngressBackend", "matches.0.kind", "UpstreamTrafficSetting", "OSM149", E, "spec.matches[0]"),
    ("Retry", "source.kind", "Service", "OSM114", E, "spec.source.kind"),
    ("Retry", "destinations.0.kind", "ServiceAccount", "OSM114", E, "spec.destinations[0].kind"),
    ("Retry", "destinations.0.name", "*", "OSM120", E, "spec.destinations[0].name"),
    ("Retry", "destinations", [], "OSM150", W, "spec.destinations"),
    ("Retry", "retryPolicy.retryOn", "5xx,gateway-eror", "OSM114", E, "spec.retryPolicy.retryOn"),
    ("Retry", "retryPolicy.retryOn", " , ", "OSM117", E, "spec.retryPolicy.retryOn"),
    ("Retry", "retryPolicy.retryOn", "retriable-headers", "OSM150", W, "spec.retryPolicy.retryOn"),
    ("Retry", "retryPolicy.retryOn", REMOVED, "OSM110", E, "spec.retryPolicy.retryOn"),
    ("Retry", "retryPolicy.perTryTimeout", "0s", "OSM134", E, "spec.retryPolicy.perTryTimeout"),
    ("Retry", "retryPolicy.perTryTimeout", "1d", "OSM134", E, "spec.retryPolicy.perTryTimeout"),
    ("Retry", "retryPolicy.numRetries", 0, "OSM150", W, "spec.retryPolicy.numRetries"),
    ("Retry", "retryPolicy.numRetries", 2**32, "OSM115", E, "spec.retryPolicy.numRetries"),
    ("Retry", "retryPolicy.retryBackoffBaseInterval", "0s", "OSM134", E,
     "spec.retryPolicy.retryBackoffBaseInterval"),
    ("Telemetry", "selector.app", "a b", "OSM122", E, "spec.selector.app"),
    ("Telemetry", "accessLog.format", "100%", "OSM139", E, "spec.accessLog.format"),
    ("Telemetry", "accessLog.format", "{", "OSM139", E, "spec.accessLog.format"),
    ("Telemetry", "accessLog.openTelemetry.attributes.cluster", "%NOPE%", "OSM139", E,
     "spec.accessLog.openTelemetry.attributes.cluster"),
    ("Telemetry", "accessLog.openTelemetry.extensionService.name", REMOVED, "OSM110", E,
     "spec.accessLog.openTelemetry.extensionService.name"),
    ("UpstreamTrafficSetting", "host", "httpbin", "OSM138", E, "spec.host"),
    ("UpstreamTrafficSetting", "host", "a.b:80", "OSM138", E, "spec.host"),
    ("UpstreamTrafficSetting", "host", REMOVED, "OSM110", E, "spec.host"),
    ("UpstreamTrafficSetting", "connectionSettings.tcp.maxConnections", -1, "OSM115", E,
     "spec.connectionSettings.tcp.maxConnections"),
    ("UpstreamTrafficSetting", "connectionSettings.tcp.connectTimeout", "5", "OSM134", E,
     "spec.connectionSettings.tcp.connectTimeout"),
    ("UpstreamTrafficSetting", "connectionSettings.http.maxRetries", 2**32, "OSM115", E,
     "spec.connectionSettings.http.maxRetries"),
    ("UpstreamTrafficSetting", "connectionSettings.http.maxRequest", 1, "OSM111", W,
     "spec.connectionSettings.http.maxRequest"),
    ("UpstreamTrafficSetting", "rateLimit.local.tcp.connections", 0, "OSM115", E,
     "spec.rateLimit.local.tcp.connections"),
    ("UpstreamTrafficSetting", "rateLimit.local.tcp.connections", REMOVED, "OSM110", E,
     "spec.rateLimit.local.tcp.connections"),
    ("UpstreamTrafficSetting", "rateLimit.local.tcp.unit", "day", "OSM114", E,
     "spec.rateLimit.local.tcp.unit"),
    ("UpstreamTrafficSetting", "rateLimit.local.http.burst", 2**32 - 1, "OSM115", E,
     "spec.rateLimit.local.http.burst"),
    ("UpstreamTrafficSetting", "rateLimit.local.http.responseStatusCode", 200, "OSM115", E,
     "spec.rateLimit.local.http.responseStatusCode"),
    ("UpstreamTrafficSetting", "rateLimit.local.http.responseStatusCode", 499, "OSM114", E,
     "spec.rateLimit.local.http.responseStatusCode"),
    ("UpstreamTrafficSetting", "rateLimit.global.http.responseStatusCode", 599, "OSM114", E,
     "spec.rateLimit.global.http.responseStatusCode"),
    *(
        ("UpstreamTrafficSetting", "rateLimit.local.http.responseHeadersToAdd.0.name", name, "OSM136", E,
         "spec.rateLimit.local.http.responseHeadersToAdd[0].name")
        for name in ("Host", ":authority", "content-length", "transfer-encoding", "x-osm-a", "a b", "")
    ),
    *(
        ("UpstreamTrafficSetting", "rateLimit.local.http.responseHeadersToAdd.0.value", value, code, E,
         "spec.rateLimit.local.http.responseHeadersToAdd[0].value")
        for value, code in (("a\r\nb: c", "OSM136"), ("\x00", "OSM136"), ("", "OSM117"),
                            ("x" * 65536, "OSM119"))
    ),
    ("UpstreamTrafficSetting", "rateLimit.global.http.rateLimitService.port", 70000, "OSM130", E,
     "spec.rateLimit.global.http.rateLimitService.port"),
    ("UpstreamTrafficSetting", "rateLimit.global.http.domain", "", "OSM117", E,
     "spec.rateLimit.global.http.domain"),
    ("UpstreamTrafficSetting", "rateLimit.global.http.timeout", "0s", "OSM134", E,
     "spec.rateLimit.global.http.timeout"),
    ("UpstreamTrafficSetting", "rateLimit.global.tcp", {"rateLimitService": {"host": "a", "port": 1},
     "domain": "d", "descriptors": []}, "OSM117", E, "spec.rateLimit.global.tcp.descriptors"),
    ("UpstreamTrafficSetting", ENTRIES, [], "OSM117", E, "spec.rateLimit.global.http.descriptors[0].entries"),
    ("UpstreamTrafficSetting", f"{ENTRIES}.0", {}, "OSM118", E,
     "spec.rateLimit.global.http.descriptors[0].entries[0]"),
    ("UpstreamTrafficSetting", f"{ENTRIES}.0.remoteAddress", {}, "OSM118", E,
     "spec.rateLimit.global.http.descriptors[0].entries[0]"),
    ("UpstreamTrafficSetting", f"{ENTRIES}.2.headerValueMatch.headers.0.exact", "a", "OSM118", E,
     "spec.rateLimit.global.http.descriptors[0].entries[2].headerValueMatch.headers[0]"),
    ("UpstreamTrafficSetting", f"{ENTRIES}.2.headerValueMatch.headers.0.regex", REMOVED, "OSM118", E,
     "spec.rateLimit.global.http.descriptors[0].entries[2].headerValueMatch.headers[0]"),
    ("UpstreamTrafficSetting", f"{ENTRIES}.2.headerValueMatch.headers.0.regex", "(?=a)", "OSM131", E,
     "spec.rateLimit.global.http.descriptors[0].entries[2].headerValueMatch.headers[0].regex"),
    ("UpstreamTrafficSetting", "httpRoutes.0.path", "", "OSM117", E, "spec.httpRoutes[0].path"),
    ("UpstreamTrafficSetting", "httpRoutes.0.path", "(a{30}){30}b{200}", "OSM132", E,
     "spec.httpRoutes[0].path"),
    ("UpstreamTrafficSetting", "httpRoutes.0.path", ".*", "OSM116", E, "spec.httpRoutes[1].path"),
    ("UpstreamTrafficSetting", "rateLimit.global", REMOVED, "OSM150", W,
     "spec.httpRoutes[1].rateLimit.global"),
    ("MeshRootCertificate", "provider", {}, "OSM118", E, "spec.provider"),
    ("MeshRootCertificate", "provider", REMOVED, "OSM110", E, "spec.provider"),
    ("MeshRootCertificate", "provider.vault", VAULT, "OSM118", E, "spec.provider"),
    ("MeshRootCertificate", "provider", {"vault": VAULT | {"protocol": "ftp"}}, "OSM114", E,
     "spec.provider.vault.protocol"),
    ("MeshRootCertificate", "provider", {"vault": VAULT | {"role": ""}}, "OSM117", E,
     "spec.provider.vault.role"),
    ("MeshRootCertificate", "provider", {"certManager": CERT_MANAGER | {"issuerKind": "CA"}},
     "OSM114", E, "spec.provider.certManager.issuerKind"),
    ("MeshRootCertificate", "role", "on", "OSM114", E, "spec.role"),
    ("MeshRootCertificate", "trustDomain", "a/b", "OSM138", E, "spec.trustDomain"),
    ("MeshRootCertificate", "trustDomain", "", "OSM138", E, "spec.trustDomain"),
    ("ExtensionService", "host", "", "OSM138", E, "spec.host"),
    ("ExtensionService", "port", 65536, "OSM130", E, "spec.port"),
    ("ExtensionService", "protocol", "grpc", "OSM114", W, "spec.protocol"),
    ("ExtensionService", "connectTimeout", "-1s", "OSM134", E, "spec.connectTimeout"),
]  # fmt: skip


def changed(value: Any, path: list[str], new: object) -> Any:
    name: Any = int(path[0]) if isinstance(value, list) else path[0]
    if len(path) > 1:
        new = changed(value[name], path[1:], new)
    if isinstance(value, list):
        return [*value[:name], *([] if new is REMOVED else [new]), *value[name + 1 :]]
    return {k: v for k, v in value.items() if k != name} | ({} if new is REMOVED else {name: new})


@pytest.mark.parametrize(
    ("kind", "place", "value", "code", "severity", "field"),
    WRONG,
    ids=[f"{case[0]}-{case[1]}-{case[3]}-{number}" for number, case in enumerate(WRONG)],
)
def test_what_is_wrong_is_said_with_code_severity_and_field(
    kind: str, place: str, value: object, code: str, severity: Severity, field: str
) -> None:
    result = decoded(kind, changed(SPECS[kind], place.split("."), value))
    found = [(f.code, f.severity, f.origin.field if f.origin else "") for f in result.findings]
    assert (code, severity, field) in found
    assert (result.manifest is None) == any(f.severity is E for f in result.findings)
    errors = [each for each in found if each[1] is E]
    assert len(errors) == (severity is E), "one mistake is told once"


@pytest.mark.parametrize("kind", SPECS)
def test_a_kind_that_the_compiler_does_not_act_on_says_so_once_the_object_is_right(
    kind: str,
) -> None:
    acts = next(each for each in KINDS if each.kind == kind).acts
    told = [(f.code, f.severity) for f in decoded(kind, SPECS[kind]).findings]
    assert (("OSM106", Severity.INFO) in told) == (not acts)
    assert "OSM106" not in {f.code for f in decoded(kind, []).findings}


def test_a_range_with_host_bits_means_the_range_without_them() -> None:
    result = decoded(
        "IngressBackend", changed(SPECS["IngressBackend"], ["sources", "1", "name"], "10.1.2.3/8")
    )
    assert ("OSM135", W) in {(f.code, f.severity) for f in result.findings}
    assert result.manifest is not None
    assert result.manifest.object.spec.sources[1].name == "10.0.0.0/8"


def test_clients_of_plain_http_must_be_restricted_by_where_they_are() -> None:
    spec = {"backends": [BACKEND], "sources": [PRINCIPAL]}
    assert [f.code for f in decoded("IngressBackend", spec).findings] == ["OSM147"]
    addressed = spec | {"sources": [PRINCIPAL, {"kind": "IPRange", "name": "10.0.0.0/8"}]}
    assert decoded("IngressBackend", addressed).manifest is not None


def test_who_skips_certificates_needs_no_principal() -> None:
    spec = copy.deepcopy(SPECS["IngressBackend"])
    spec["backends"][0]["tls"]["skipClientCertValidation"] = True
    del spec["sources"][2]
    assert typed("IngressBackend", spec)


@pytest.mark.parametrize("host", ["*.example.com", "a_b.example.com", "10.1.2.3", "x"])
def test_https_takes_wildcards_and_other_names_that_servers_have(host: str) -> None:
    ports = [{"number": 443, "protocol": "https"}]
    spec = {"sources": SPECS["Egress"]["sources"], "ports": ports, "hosts": [host]}
    assert typed("Egress", spec).spec.hosts == (host,)


@pytest.mark.parametrize("range_", ["0.0.0.0/0", "169.254.0.0/16", "10.0.0.1/32"])
def test_tcp_takes_any_range_that_leads_out_of_the_pod(range_: str) -> None:
    spec = {"sources": SPECS["Egress"]["sources"], "ports": [TCP_PORT], "ipAddresses": [range_]}
    assert typed("Egress", spec).spec.ip_addresses == (range_,)
