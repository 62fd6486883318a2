"""Front end: OSM's own objects. MeshConfig becomes settings."""

from osm.core.compile.options import CompileOptions
from osm.core.compile.tables import SettingsRead, Tables
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.groups import CONFIG
from osm.core.model.mesh import Settings
from osm.core.model.origin import Finding, Origin, Severity

MESH_CONFIG_NAME = "osm-mesh-config"


def _settings_read(tables: Tables, _: str, options: CompileOptions) -> SettingsRead:
    """Settings of the one MeshConfig that counts; defaults without one. SMI mode is the default."""
    configs = sorted(tables.mesh_configs.items())
    named = [pair for pair in configs if pair[0].name == MESH_CONFIG_NAME]
    findings = tuple(
        Finding(
            "OSM321",
            Severity.WARNING,
            Origin("MeshConfig", key.namespace, key.name, "", CONFIG),
            f"only one MeshConfig counts, the one named {MESH_CONFIG_NAME!r}; this one has no effect",
            "Rename it, or delete it.",
            config.where,
        )
        for key, config in configs
        if not named or key != named[0][0]
    )
    if not named:
        return SettingsRead(Settings(trust_domain=options.trust_domain), findings)
    spec = named[0][1].object.spec
    settings = Settings(
        permissive=spec.traffic.enable_permissive_traffic_policy_mode,
        trust_domain=options.trust_domain,
        tls_minimum=spec.sidecar.tls_min_protocol_version or "TLSv1_3",
        tls_maximum=spec.sidecar.tls_max_protocol_version or "TLSv1_3",
        cipher_suites=tuple(spec.sidecar.cipher_suites),
        ecdh_curves=tuple(spec.sidecar.ecdh_curves),
        retries=spec.feature_flags.enable_retry_policy,
        eager=spec.sidecar.discovery == "Eager",
        egress=spec.traffic.enable_egress and options.way_out,
    )
    if spec.traffic.enable_egress and not options.way_out:
        key, config = named[0]
        field = "spec.traffic.enableEgress"
        origin = Origin("MeshConfig", key.namespace, key.name, field, CONFIG)
        findings += (no_way_out(origin, config.where),)
    return SettingsRead(settings, findings)


def no_way_out(origin: Origin, where: str) -> Finding:
    """Nothing beyond the mesh can be reached on this platform."""
    return Finding(
        "OSM334",
        Severity.WARNING,
        origin,
        "pods have networks of their own here, with no way out of the mesh, so this has no effect",
        "`osm up --isolation none` lets HTTP leave the mesh. On Kubernetes everything does.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    Derive("settings_read", "options", _settings_read),
    Derive("settings", "settings_read", lambda _, __, read: read.settings),
    Derive("settings_findings", "settings_read", lambda _, __, read: read.findings or None),
)
