"""What is wrong with where spans are to go."""

from osm.core.compile.extension import unreachable
from osm.core.compile.openservicemesh import MESH_CONFIG_NAME
from osm.core.compile.tables import Tables
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.groups import CONFIG
from osm.core.model.mesh import Settings
from osm.core.model.origin import Finding, Origin


def _findings(tables: Tables, _: str, settings: Settings) -> tuple[Finding, ...] | None:
    if settings.tracing is None:
        return None
    key, written = min(
        (key, each) for key, each in tables.mesh_configs.items() if key.name == MESH_CONFIG_NAME
    )
    origin = Origin("MeshConfig", key.namespace, key.name, "spec.observability.tracing", CONFIG)
    found = unreachable(tables, settings.tracing.server, origin, written.where)
    return (found,) if found else None


STAGES: tuple[Stage, ...] = (Derive("tracing_findings", "settings", _findings),)
