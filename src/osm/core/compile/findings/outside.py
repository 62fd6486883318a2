"""Policies in namespaces that are not in the mesh: whoever wrote them thinks that they count."""

from osm.core.api.manifest import Key
from osm.core.api.mesh_keys import IGNORE, MONITORED_BY
from osm.core.compile import codes
from osm.core.compile.findings.places import origin_of
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.tables import ONE, Tables, Written
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.origin import Finding, Severity


def _outside(tables: Tables, key: Key, written: Written[object]) -> tuple[Finding, ...] | None:
    if is_meshed(tables, key.namespace):
        return None
    declared = tables.namespaces.get(Key("", "Namespace", "", key.namespace))
    labels = declared.object.metadata.labels if declared else {}
    mesh = tables.options[ONE].mesh
    if labels.get(MONITORED_BY, mesh) != mesh:
        return None  # another mesh's
    return (
        Finding(
            codes.OUTSIDE,
            Severity.WARNING,
            origin_of(key, "metadata.namespace"),
            f"namespace {key.namespace} is not in the mesh, so this {key.kind} has no effect",
            how_to_join(tables, key.namespace),
            written.where,
        ),
    )


def how_to_join(tables: Tables, namespace: str) -> str:
    """What puts a namespace into the mesh."""
    declared = tables.namespaces.get(Key("", "Namespace", "", namespace))
    if declared is not None and IGNORE in declared.object.metadata.labels:
        return f"Remove the namespace's label `{IGNORE}`."
    return f"Give the namespace the label `{MONITORED_BY}: {tables.options[ONE].mesh}`."


STAGES: tuple[Stage, ...] = (
    Derive("targets_outside", "targets", _outside),
    Derive("splits_outside", "splits", _outside),
    Derive("egresses_outside", "egress_objects", _outside),
    Derive("ingresses_outside", "ingress_objects", _outside),
    Derive("retries_outside", "retry_objects", _outside),
    Derive("limits_outside", "upstream_settings", _outside),
)
