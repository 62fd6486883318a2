"""A counter that is exposed under exactly the name that it was given.

prometheus-client adds `_total` to every counter; OSM's counters do not have it, and dashboards and
alerts that people have know the bare names. Exposed without a type, as the text format allows.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric, UntypedMetricFamily


class BareCounter:
    """Counts by label values. Registers itself."""

    def __init__(
        self, name: str, help_text: str, labels: tuple[str, ...], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help_text
        self._labels = labels
        self._counts: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        registry.register(self)

    def increment(self, *values: str, by: float = 1.0) -> None:
        """Add to the count of these label values, in the order of the labels."""
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}")
        self._counts[values] = self._counts.get(values, 0.0) + by

    def remove(self, first: str) -> None:
        """Drop every series whose first label has this value."""
        for values in [values for values in self._counts if values[0] == first]:
            del self._counts[values]

    def collect(self) -> Iterable[Metric]:
        family = UntypedMetricFamily(self._name, self._help, labels=self._labels)
        for values, count in sorted(self._counts.items()):
            family.add_metric(values, count)
        yield family
