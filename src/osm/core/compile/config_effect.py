"""Says of MeshConfig's fields what has no effect on a platform: no setting is ignored in silence."""

from collections.abc import Callable

import msgspec

from osm.core.api.config import MeshConfig, MeshConfigSpec
from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.tables import ONE, Tables, Written
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.groups import CONFIG
from osm.core.model.origin import Finding, Origin, Severity


class Effect(msgspec.Struct, frozen=True):
    """A field that may mean nothing, whether it is given, and why."""

    field: str
    given: Callable[[MeshConfigSpec], object]
    reason: str
    severity: Severity = Severity.INFO


_NO_CONTAINERS = "workloads are processes here, and their proxies are not containers"
NOT_LOCALLY = (
    Effect("sidecar.envoyImage", lambda spec: spec.sidecar.envoy_image, _NO_CONTAINERS),
    Effect(
        "sidecar.initContainerImage", lambda spec: spec.sidecar.init_container_image, _NO_CONTAINERS
    ),
    Effect(
        "sidecar.enablePrivilegedInitContainer",
        lambda spec: spec.sidecar.enable_privileged_init_container,
        _NO_CONTAINERS,
    ),
    Effect("sidecar.resources.limits", lambda spec: spec.sidecar.resources.limits, _NO_CONTAINERS),
    Effect(
        "sidecar.resources.requests", lambda spec: spec.sidecar.resources.requests, _NO_CONTAINERS
    ),
    Effect(
        "traffic.networkInterfaceExclusionList",
        lambda spec: spec.traffic.network_interface_exclusion_list,
        "the pods of a local mesh have no network interfaces but loopback",
    ),
    Effect(
        "certificate.ingressGateway",
        lambda spec: spec.certificate.ingress_gateway,
        "there are no Secrets here that a gateway could read",
        Severity.WARNING,
    ),
)
NOT_NEEDED = (
    Effect(
        "observability.enableDebugServer",
        lambda spec: spec.observability.enable_debug_server,
        "`osm status`, `osm proxy get` and the page show what OSM's debug server did",
    ),
)
NOT_YET = (
    Effect(
        "featureFlags.enableMeshRootCertificate",
        lambda spec: spec.feature_flags.enable_mesh_root_certificate,
        "roots are not changed by MeshRootCertificates yet; the mesh keeps the root that it has",
        Severity.WARNING,
    ),
)


def _findings(tables: Tables, key: Key, config: Written[MeshConfig]) -> tuple[Finding, ...] | None:
    effects = (*NOT_NEEDED, *NOT_YET, *(NOT_LOCALLY if tables.options[ONE].placement else ()))
    found = tuple(
        Finding(
            codes.CONFIG_NO_EFFECT,
            effect.severity,
            Origin("MeshConfig", key.namespace, key.name, f"spec.{effect.field}", CONFIG),
            f"this has no effect: {effect.reason}",
            "It may stay, so that one file serves everywhere.",
            config.where,
        )
        for effect in effects
        if effect.given(config.object.spec)
    )
    return found or None


STAGES: tuple[Stage, ...] = (Derive("config_effects", "mesh_configs", _findings),)
