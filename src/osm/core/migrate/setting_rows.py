"""What is to be said of settings that are written; `settings` looks for them."""

from collections.abc import Callable

import msgspec

from osm.core.migrate.report import Severity


class Row(msgspec.Struct, frozen=True):
    """What is to be said of a field that is written and fits."""

    path: str
    fits: Callable[[object], bool]
    severity: Severity
    code: str
    message: str
    to_do: str = ""


def _is(wanted: object) -> Callable[[object], bool]:
    return lambda value: value is wanted


def _is_one_of(*wanted: str) -> Callable[[object], bool]:
    return lambda value: value in wanted


def _given(value: object) -> bool:
    return value not in (None, "", [], {}, 0, "0s", False)


ROWS: tuple[Row, ...] = (
    Row(
        "traffic.enablePermissiveTrafficPolicyMode",
        _is(True),
        Severity.CARRY_OVER,
        "permissive-mode",
        "permissive mode stays on (OSM's default since v1.2): all workloads of the mesh may call each other",
    ),
    Row(
        "traffic.enablePermissiveTrafficPolicyMode",
        _is(False),
        Severity.CHANGES,
        "policy-mode",
        "what no TrafficTarget allows gets 403 with the reason, from the server's side; OSM refused the "
        "connection, or answered 404 or 403, by circumstance",
        "Alerts and retries that look for 404 or for refused connections must look for 403.",
    ),
    Row(
        "traffic.enableEgress",
        _is(True),
        Severity.CARRY_OVER,
        "mesh-wide-egress",
        "everything that the mesh does not know may be called, and Egress objects have no effect: as before",
    ),
    Row(
        "sidecar.tlsMinProtocolVersion",
        _is_one_of("TLSv1_2", "TLS_AUTO"),
        Severity.CARRY_OVER,
        "tls-minimum",
        "TLS 1.2 stays allowed between proxies, since it is written here (OSM's CRD wrote it); without this "
        "field it is TLS 1.3",
        "Remove the field when no old proxy is left.",
    ),
    Row(
        "sidecar.tlsMinProtocolVersion",
        _is_one_of("TLSv1_0", "TLSv1_1"),
        Severity.ACTION,
        "tls-minimum",
        "versions below TLS 1.2 are broken",
        "Remove the field.",
    ),
    Row(
        "sidecar.cipherSuites",
        _given,
        Severity.CHANGES,
        "cipher-suites",
        "they count for TLS 1.2; suites with 3DES or without an ephemeral key are refused",
        "`osm validate` says which ones.",
    ),
    Row(
        "sidecar.envoyImage",
        _given,
        Severity.ACTION,
        "envoy-image",
        "new proxies would run this image too, which is as old as OSM: its Envoy lacks what is used here",
        "Remove the field before the first pod is started anew.",
    ),
    Row(
        "sidecar.initContainerImage",
        _given,
        Severity.ACTION,
        "init-image",
        "new pods would be redirected by this image, which has iptables and no nft",
        "Remove the field before the first pod is started anew.",
    ),
    Row(
        "sidecar.envoyWindowsImage",
        _given,
        Severity.UNSUPPORTED,
        "windows-image",
        "there are no proxies on Windows",
    ),
    Row(
        "sidecar.configResyncInterval",
        _given,
        Severity.CHANGES,
        "resync",
        "it has no effect: proxies are told of every change, and nothing needs to be sent again",
    ),
    Row(
        "sidecar.localProxyMode",
        _is_one_of("PodIP"),
        Severity.CHANGES,
        "local-proxy-mode",
        "it counts at once and for all pods; with OSM for pods that were made afterwards",
    ),
    Row(
        "traffic.outboundPortExclusionList",
        _given,
        Severity.CARRY_OVER,
        "exclusions",
        "these ports go around the proxy, of pods that are started anew",
    ),
    Row(
        "traffic.inboundPortExclusionList",
        _given,
        Severity.CARRY_OVER,
        "exclusions",
        "calls at these ports go around the proxy, of pods that are started anew",
    ),
    Row(
        "traffic.outboundIPRangeExclusionList",
        _given,
        Severity.CARRY_OVER,
        "exclusions",
        "these ranges go around the proxy, of pods that are started anew",
    ),
    Row(
        "traffic.outboundIPRangeInclusionList",
        _given,
        Severity.CARRY_OVER,
        "exclusions",
        "all but these ranges goes around the proxy, of pods that are started anew",
    ),
    Row(
        "traffic.inboundExternalAuthorization.enable",
        _is(True),
        Severity.CHANGES,
        "external-authorization",
        "an authorizer that is a workload of the mesh is asked by mutual TLS; access rules and limits come "
        "first, so it is not asked about what they refuse",
        "Put the authorizer into the mesh in the same step as those who ask it, or leave it outside.",
    ),
    Row(
        "observability.tracing.enable",
        _is(True),
        Severity.CHANGES,
        "tracing",
        "spans go on in Zipkin's format; a collector that is a workload of the mesh gets them by mutual TLS, "
        "and needs a TrafficTarget where policies count",
    ),
    Row(
        "observability.enableDebugServer",
        _is(True),
        Severity.CHANGES,
        "debug-server",
        "there is no debug server: `osm status`, `osm proxy get` and the page show what it did",
    ),
    Row(
        "certificate.certKeyBitSize",
        _given,
        Severity.CHANGES,
        "key-size",
        "it has no effect: keys of workloads are P-256, about as strong as RSA of 3072 bits",
    ),
    Row(
        "featureFlags.enableWASMStats",
        _is(True),
        Severity.CHANGES,
        "wasm-stats",
        "osm_request_total and osm_request_duration_ms are counted where requests leave, as before, but "
        "without Wasm, whatever this flag says, and with real labels",
        "Let Prometheus scrape them as they are: the job that takes labels out of names (smi-metrics) finds "
        "nothing in them.",
    ),
    Row(
        "featureFlags.enableMulticlusterMode",
        _is(True),
        Severity.UNSUPPORTED,
        "multicluster",
        "there is no mesh of several clusters, as in OSM v1.2",
    ),
    *(
        Row(
            f"featureFlags.{flag}",
            _is(value),
            Severity.CHANGES,
            "feature-flag",
            message,
        )
        for flag, value, message in (
            ("enableEgressPolicy", False, "Egress objects count also with false"),
            ("enableIngressBackendPolicy", False, "IngressBackends count also with false"),
            (
                "enableSnapshotCacheMode",
                True,
                "it has no effect: there is one way to serve proxies",
            ),
            (
                "enableAsyncProxyServiceMapping",
                True,
                "it has no effect: there is one way to serve proxies",
            ),
        )
    ),
    Row(
        "featureFlags.enableRetryPolicy",
        _is(True),
        Severity.CARRY_OVER,
        "feature-flag",
        "Retry objects count; of two for the same caller and service the older one",
    ),
    Row(
        "featureFlags.enableEnvoyActiveHealthChecks",
        _is(True),
        Severity.CARRY_OVER,
        "feature-flag",
        "proxies check the proxies that they call",
    ),
    Row(
        "featureFlags.enableMeshRootCertificate",
        _is(True),
        Severity.UNSUPPORTED,
        "mesh-root-certificate",
        "MeshRootCertificates have no effect yet",
        "Rotation of roots comes with a later release.",
    ),
)
