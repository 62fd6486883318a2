"""Front end: OSM's own objects. MeshConfig becomes settings."""

from osm.core.api.config import CertificateSpec, ExternalAuthorization, TracingSpec
from osm.core.api.config_checks import SHORTEST_VALIDITY
from osm.core.api.duration import parse_duration
from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.options import CompileOptions
from osm.core.compile.tables import SettingsRead, Tables
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.authorization import Authorization
from osm.core.model.extension import ExtensionServer
from osm.core.model.groups import CONFIG
from osm.core.model.mesh import Settings
from osm.core.model.observation import Tracing
from osm.core.model.origin import Finding, Origin, Severity

MESH_CONFIG_NAME = "osm-mesh-config"
COLLECTOR = "jaeger"
"""OSM's collector of spans, in the namespace of the mesh; it takes Zipkin's format."""


def _settings_read(tables: Tables, _: str, options: CompileOptions) -> SettingsRead:
    """Settings of the one MeshConfig that counts; defaults without one. SMI mode is the default."""
    configs = sorted(tables.mesh_configs.items())
    named = [pair for pair in configs if pair[0].name == MESH_CONFIG_NAME]
    findings = tuple(
        _second(key, named[0][0], config.where)
        if key.name == MESH_CONFIG_NAME
        else _other_name(key, config.where)
        for key, config in configs
        if not named or key != named[0][0]
    )
    if not named:
        return SettingsRead(
            Settings(
                trust_domain=options.trust_domain,
                gateway=options.gateway,
                former_proxies=bool(options.former_mesh),
            ),
            findings,
        )
    spec = named[0][1].object.spec
    settings = Settings(
        permissive=spec.traffic.enable_permissive_traffic_policy_mode,
        trust_domain=options.trust_domain,
        tls_minimum=spec.sidecar.lowest_tls_version,
        ingress_tls_minimum=spec.sidecar.tls_min_protocol_version or "TLSv1_2",
        tls_maximum=spec.sidecar.tls_max_protocol_version or "TLSv1_3",
        # Envoy refuses a curve that is named twice.
        cipher_suites=tuple(dict.fromkeys(spec.sidecar.cipher_suites)),
        ecdh_curves=tuple(dict.fromkeys(spec.sidecar.ecdh_curves)),
        retries=spec.feature_flags.enable_retry_policy,
        eager=spec.sidecar.discovery == "Eager",
        egress=spec.traffic.enable_egress,
        authorization=_authorization(spec.traffic.inbound_external_authorization),
        gateway=options.gateway,
        certificate_validity_s=_validity_s(spec.certificate),
        proxies_at_most=max(spec.sidecar.max_data_plane_connections, 0),
        health_checks=spec.feature_flags.enable_envoy_active_health_checks,
        former_proxies=bool(options.former_mesh),
        application_at_pod_ip=spec.sidecar.local_proxy_mode == "PodIP",
        tracing=_tracing(spec.observability.tracing, options),
        log_level=spec.observability.osm_log_level.lower(),
        proxy_log_level=spec.sidecar.log_level,
    )
    return SettingsRead(settings, findings)


def _other_name(key: Key, where: str) -> Finding:
    return Finding(
        codes.CONFIG_NAME,
        Severity.WARNING,
        Origin("MeshConfig", key.namespace, key.name, "", CONFIG),
        f"only one MeshConfig counts, the one named {MESH_CONFIG_NAME!r}; this one has no effect",
        "Rename it, or delete it.",
        where,
    )


def _second(key: Key, first: Key, where: str) -> Finding:
    return Finding(
        codes.CONFIG_TWICE,
        Severity.WARNING,
        Origin("MeshConfig", key.namespace, key.name, "", CONFIG),
        f"only one MeshConfig counts, and {first} comes first by namespace; this one has no effect",
        "Keep the one in the control plane's namespace, and delete the others.",
        where,
    )


def _tracing(spec: TracingSpec, options: CompileOptions) -> Tracing | None:
    if not spec.enable:
        return None
    host = spec.address or f"{COLLECTOR}.{options.namespace}.svc.cluster.local"
    return Tracing(ExtensionServer(host, spec.port, http2=False), spec.endpoint)


def _authorization(written: ExternalAuthorization) -> Authorization | None:
    """Who is asked; `core.api` has made sure that the server is named."""
    if not written.enable:
        return None
    return Authorization(
        server=ExtensionServer(written.address.lower().rstrip("."), written.port),
        timeout_ns=parse_duration(written.timeout),
        failure_mode_allow=written.failure_mode_allow,
        stat_prefix=written.stat_prefix,
    )


def _validity_s(spec: CertificateSpec) -> int:
    """In seconds; what is shorter than ten minutes is ten minutes (`reference/osm.md` §8.2)."""
    return max(parse_duration(spec.service_cert_validity_duration), SHORTEST_VALIDITY) // 10**9


STAGES: tuple[Stage, ...] = (
    Derive("settings_read", "options", _settings_read),
    Derive("settings", "settings_read", lambda _, __, read: read.settings),
    Derive("settings_findings", "settings_read", lambda _, __, read: read.findings or None),
)
