"""What is wrong with a mesh, in lines."""

from collections.abc import Iterator

from osm.core.explain.view import MeshView
from osm.core.model.origin import Severity
from osm.core.status.refused import REFUSED

_BAD_PHASES = ("unready", "restarting", "failed")
_NAMED = 3


def problems(view: MeshView) -> tuple[str, ...]:
    """List what is wrong, a line each. Proxies that refuse the same for the same reason share one."""
    return (*_findings(view), *_workloads(view), *_refusals(view), *_proxies(view))


def _findings(view: MeshView) -> Iterator[str]:
    # The lines about proxies say what findings of refusals do, and more.
    told = {REFUSED} if any(k.refuses for proxy in view.proxies for k in proxy.types) else set()
    for each in view.findings:
        if each.severity == Severity.ERROR and each.code not in told:
            yield str(each)


def _workloads(view: MeshView) -> Iterator[str]:
    for each in view.workloads:
        if each.phase in _BAD_PHASES:
            reason = f": {each.reason}" if each.reason else ""
            yield f"workload {each.namespace}/{each.name} is {each.phase}{reason}"


def _refusals(view: MeshView) -> Iterator[str]:
    alike: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for proxy in view.proxies:
        for kind in proxy.types:
            if kind.refuses:
                cause = (kind.type, kind.at_fault, kind.last_error)
                alike.setdefault(cause, []).append(f"{proxy.namespace}/{proxy.name}")
    for (type_, at_fault, error), names in alike.items():
        who = f"proxy {names[0]} refused its"
        if len(names) > 1:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            who = f"{len(names)} proxies ({', '.join(names[:_NAMED])}{more}) refused their"
        because = f", because of {', '.join(at_fault)}" if at_fault else ""
        yield f"{who} {type_} configuration{because}: {error}"


def _proxies(view: MeshView) -> Iterator[str]:
    starting = {(each.namespace, each.name) for each in view.workloads if each.phase == "starting"}
    for proxy in view.proxies:
        name = f"proxy {proxy.namespace}/{proxy.name}"
        if any(kind.refuses for kind in proxy.types):
            continue
        if not proxy.connected and (proxy.namespace, proxy.name) not in starting:
            yield f"{name} is not connected"
        elif proxy.connected and not proxy.in_sync:
            yield f"{name} has not acknowledged its newest configuration"
