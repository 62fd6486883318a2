"""All computations of this package, in the order in which they read each other's tables."""

from osm.core.compile.findings import (
    access,
    egress,
    endpoints,
    labels,
    outside,
    proxies,
    routes,
    services,
    settings,
    splits,
    workloads,
)
from osm.core.derive.derivation import Derive, Stage

STAGES: tuple[Stage, ...] = (
    *services.STAGES,
    *endpoints.STAGES,
    *labels.STAGES,
    *workloads.STAGES,
    *proxies.STAGES,
    *outside.STAGES,
    *access.STAGES,
    *routes.STAGES,
    *splits.STAGES,
    *egress.STAGES,
    *settings.STAGES,
)
TABLES = tuple(stage.name for stage in STAGES if isinstance(stage, Derive))
"""The tables that hold findings."""
