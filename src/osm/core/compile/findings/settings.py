"""What is wrong with a MeshConfig, seen with all other objects."""

from osm.core.api.config import MeshConfig
from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.findings.places import origin_of
from osm.core.compile.openservicemesh import MESH_CONFIG_NAME
from osm.core.compile.tables import ONE, Tables, Written
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.origin import Finding, Severity


def _findings(tables: Tables, key: Key, config: Written[MeshConfig]) -> tuple[Finding, ...] | None:
    """Of the one that counts: it lets everybody call everybody, and access rules are there."""
    field = "spec.traffic.enablePermissiveTrafficPolicyMode"
    if key.name != MESH_CONFIG_NAME or not tables.settings[ONE].permissive:
        return None
    if (
        not config.object.spec.traffic.enable_permissive_traffic_policy_mode
        or not tables.target_rules
    ):
        return None
    return (
        Finding(
            codes.PERMISSIVE,
            Severity.INFO,
            origin_of(key, field),
            "every workload of the mesh may call every other one, so no TrafficTarget has an effect",
            "With `false`, TrafficTargets decide who may call whom.",
            config.where,
        ),
    )


STAGES: tuple[Stage, ...] = (Derive("mode_findings", "mesh_configs", _findings),)
