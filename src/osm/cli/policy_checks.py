"""What `osm policy` finds in objects: which TrafficTargets let pods talk, and IngressBackends that clash."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec

from osm.cli.columns import at, items, word
from osm.core.explain.view import WorkloadView

Raw = Mapping[str, Any]
_ACCOUNT = "ServiceAccount"


class Conflict(msgspec.Struct, frozen=True, order=True):
    """Two IngressBackends that speak of the same backends."""

    first: str
    second: str
    backends: tuple[str, ...]


def allowing_targets(
    targets: Iterable[Raw], source: WorkloadView, destination: WorkloadView
) -> tuple[str, ...]:
    """`<namespace>/<name>` of the TrafficTargets from one workload's account to another's."""
    return tuple(
        sorted(
            f"{word(target, 'metadata', 'namespace')}/{word(target, 'metadata', 'name')}"
            for target in targets
            if _is_account(at(_spec(target), "destination"), destination)
            and any(_is_account(each, source) for each in items(_spec(target), "sources"))
        )
    )


def _spec(target: Raw) -> Any:
    return at(target, "spec") or target  # v1alpha1 has none


def _is_account(value: Any, workload: WorkloadView) -> bool:
    return (
        word(value, "kind") == _ACCOUNT
        and word(value, "name") == workload.service_account
        and word(value, "namespace") == workload.namespace
    )


def ingress_conflicts(backends: Sequence[Raw]) -> tuple[Conflict, ...]:
    """Each pair of IngressBackends of a namespace with a backend in common, sorted."""
    return tuple(sorted(_conflicts(backends)))


def _conflicts(backends: Sequence[Raw]) -> Iterator[Conflict]:
    for one, other in combinations(backends, 2):
        shared = _named(one) & _named(other)
        if shared and word(one, "metadata", "namespace") == word(other, "metadata", "namespace"):
            first, second = sorted(
                f"{word(each, 'metadata', 'namespace')}/{word(each, 'metadata', 'name')}"
                for each in (one, other)
            )
            yield Conflict(first, second, tuple(sorted(shared)))


def _named(backend: Raw) -> set[str]:
    return {
        f"{word(each, 'name')}:{word(each, 'port', 'number')}"
        for each in items(backend, "spec", "backends")
    }
