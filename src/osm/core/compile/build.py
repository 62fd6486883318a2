"""The whole compiler: objects in, one model out, and what changed in it."""

from collections.abc import Hashable, Iterable
from types import MappingProxyType

import msgspec

from osm.core.api.manifest import Key, Manifest
from osm.core.compile import (
    asked,
    config_effect,
    destinations,
    egress,
    external_name,
    ingress,
    kubernetes,
    openservicemesh,
    retry,
    smi,
    telemetry,
    tracing,
    upstream,
    upstream_findings,
)
from osm.core.compile.findings import stages as findings
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.compile.tables import INPUTS, ONE, OPTIONS, Tables, input_key, written
from osm.core.derive.dependencies import Changed
from osm.core.derive.derivation import Derivation
from osm.core.model.mesh import Destinations, Model, Settings
from osm.core.model.origin import Finding

STAGES = (
    *openservicemesh.STAGES,
    *config_effect.STAGES,
    *kubernetes.STAGES,
    *external_name.STAGES,
    *smi.STAGES,
    *retry.STAGES,
    *upstream.STAGES,
    *asked.STAGES,
    *egress.STAGES,
    *ingress.STAGES,
    *upstream_findings.STAGES,
    *telemetry.STAGES,
    *tracing.STAGES,
    *destinations.STAGES,
    *findings.STAGES,
)
FINDINGS = (
    "settings_findings",
    "config_effects",
    "alias_findings",
    "target_findings",
    "split_findings",
    "egress_findings",
    "ingress_findings",
    "retry_findings",
    "upstream_findings",
    "authorizer_findings",
    "telemetry_findings",
    "tracing_findings",
    *findings.TABLES,
)
SINGLE = ("settings", "destinations")


class Compiled(msgspec.Struct, frozen=True):
    """A model, the parts of it that changed, and computations that failed, with their reasons."""

    model: Model
    changed: Changed
    failures: tuple[str, ...] = ()


class Compiler:
    """Keeps a model right as objects change. What it gives out does not change any more."""

    def __init__(self, options: CompileOptions, objects: Iterable[Manifest] = ()) -> None:
        self._tables = Derivation(
            (OPTIONS, *INPUTS.values()), STAGES, lambda watched: Tables(**watched)
        )
        self._model = Model(Settings(), Destinations())
        inputs = self._inputs(objects, ())
        self._model = self._take(self._tables.update({OPTIONS: {ONE: options}, **inputs}))

    @property
    def model(self) -> Model:
        return self._model

    def update(self, applied: Iterable[Manifest] = (), deleted: Iterable[Key] = ()) -> Compiled:
        """Take objects that appeared or changed, and those that went."""
        changed = self._tables.update(self._inputs(applied, deleted))
        self._model = self._take(changed)
        failures = tuple(
            f"{table} of {key}: {problem}"
            for (table, key), problem in sorted(self._tables.failures.items(), key=str)
        )
        return Compiled(self._model, changed, failures)

    def _inputs(
        self, applied: Iterable[Manifest], deleted: Iterable[Key]
    ) -> dict[str, dict[Hashable, object]]:
        inputs: dict[str, dict[Hashable, object]] = {name: {} for name in INPUTS.values()}
        for key in deleted:
            self._replace(inputs, key, "", None)
        for manifest in applied:
            name = INPUTS.get(type(manifest.object), "")
            self._replace(inputs, manifest.key, name, written(manifest))
        return inputs

    def _replace(
        self, inputs: dict[str, dict[Hashable, object]], key: Key, name: str, value: object
    ) -> None:
        """Put an object into the table `name`, and take it out of those that it was in before."""
        place = input_key(key)
        for table, values in inputs.items():
            if table == name:
                values[place] = value
            elif place in values or place in self._tables.tables[table]:
                values[place] = None

    def _take(self, changed: Changed) -> Model:
        """The next model: tables that did not change are shared with the one before."""
        tables = self._tables.tables
        parts: dict[str, object] = {
            name: tables[name][ONE] if name in SINGLE else MappingProxyType(dict(tables[name]))
            for name in Model.__struct_fields__
            if name in changed
        }
        if any(name in changed for name in FINDINGS):
            parts["findings"] = self._findings()
        return msgspec.structs.replace(self._model, **parts) if parts else self._model

    def _findings(self) -> tuple[Finding, ...]:
        tables = self._tables.tables
        return tuple(
            sorted({f for name in FINDINGS for found in tables[name].values() for f in found})
        )


def compile_model(snapshot: Snapshot, options: CompileOptions) -> Model:
    """What the snapshot means. The same objects give the same model, in whatever order they came."""
    return Compiler(options, snapshot.objects.values()).model
