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
        # By the first label's value, so that the series of a proxy go at once, whatever their number.
        self._counts: dict[str, dict[tuple[str, ...], float]] = {} if labels else {"": {(): 0.0}}
        registry.register(self)

    def increment(self, *values: str, by: float = 1.0) -> None:
        """Add to the count of these label values, in the order of the labels."""
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}")
        first = values[0] if values else ""
        counts = self._counts.get(first)
        if counts is None:
            counts = self._counts[first] = {}
        counts[values] = counts.get(values, 0.0) + by

    def remove(self, first: str) -> None:
        """Drop every series whose first label has this value."""
        self._counts.pop(first, None)

    def collect(self) -> Iterable[Metric]:
        family = UntypedMetricFamily(self._name, self._help, labels=self._labels)
        for _, counts in sorted(self._counts.items()):
            for values, count in sorted(counts.items()):
                family.add_metric(values, count)
        yield family
