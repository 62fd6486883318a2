"""The metrics of both webhooks, by OSM's names (`reference/osm.md` §5.3)."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from osm.core.api.registry import KINDS
from osm.telemetry.bare_counter import BareCounter

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 90)
_KNOWN = frozenset(kind.kind for kind in KINDS)


class AdmissionMetrics:
    """Counts on the registry that it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._responses = Counter(
            "osm_admission_webhook_response",
            "Objects that were admitted, or were not",
            ("kind", "success"),
            registry=registry,
        )
        self._sidecars = BareCounter(
            "osm_injector_injector_sidecar_count", "Pods that got a proxy", (), registry
        )
        self._seconds = Histogram(
            "osm_injector_injector_rq_time",
            "Seconds to answer for a pod",
            ("success",),
            buckets=_SECONDS,
            registry=registry,
        )

    def answered(self, kind: str, *, allowed: bool) -> None:
        """An object was admitted, or was not. Whoever makes up kinds does not make up series."""
        self._responses.labels(kind if kind in _KNOWN else "other", _word(allowed)).inc()

    def injector_took(self, seconds: float, *, allowed: bool) -> None:
        self._seconds.labels(_word(allowed)).observe(seconds)

    def injected(self) -> None:
        self._sidecars.increment()


def _word(success: bool) -> str:  # noqa: FBT001 (a value)
    return "true" if success else "false"
