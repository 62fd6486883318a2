"""The proxies of a mesh, in words: which ones a person means, and how each fares."""

from collections.abc import Iterable

from osm.cli.render import duration, number
from osm.cli.workloads import find_workloads
from osm.core.explain.view import MeshView, ProxyView, WorkloadView
from osm.core.model.workload import ProxyKind
from osm.errors import UsageError

_NAMED = 3


def find_proxies(view: MeshView, name: str, namespace: str | None) -> tuple[ProxyView, ...]:
    """Find the proxy of a workload, or of all workloads of a Deployment or StatefulSet."""
    workloads = find_workloads(view, name, namespace)
    wanted = {(each.namespace, each.name) for each in workloads}
    found = tuple(each for each in view.proxies if (each.namespace, each.name) in wanted)
    if not found and (bare := without_proxy(workloads)):
        raise UsageError(f"{bare}.", hint="`osm analyze` says why, and what to do.")
    return found


def without_proxy(workloads: Iterable[WorkloadView]) -> str:
    """Say which workloads have no proxy of this mesh; empty when all have."""
    bare = [f"{each.namespace}/{each.name}" for each in workloads if each.proxy != ProxyKind.OWN]
    if not bare:
        return ""
    more = f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else ""
    has = "has" if len(bare) == 1 else "have"
    return f"{', '.join(bare[:_NAMED])}{more} {has} no proxy of this mesh"


def state(proxy: ProxyView) -> str:
    """Say in a word how a proxy fares."""
    if not proxy.connected:
        return "Disconnected"
    if any(kind.refuses for kind in proxy.types):
        return "Refused"
    return "InSync" if proxy.in_sync else "Pending"


def oldest_pending_s(proxy: ProxyView) -> float | None:
    """How long the proxy owes an answer, in seconds; None when it owes none."""
    owed = [kind.answered_in_s or 0.0 for kind in proxy.types if kind.pending]
    return max(owed, default=None)


def ago(seconds: float | None) -> str:
    """Write how long ago something was: `0.42s ago`, `3m12s ago`; empty for never."""
    return "" if seconds is None else f"{brief(seconds)} ago"


def brief(seconds: float) -> str:
    """Write a duration, precise only where it is short."""
    return duration(seconds) if seconds >= 10 else f"{number(seconds)}s"
