"""Workloads that have no proxy of the mesh: what becomes of their calls, and what to do about it.

Why they have none, and what helps, is said by the compiler's findings: here they are only looked up.
"""

from collections.abc import Iterable, Sequence

from osm.core.explain.call import Call
from osm.core.explain.explanation import Step
from osm.core.model.mesh import Model
from osm.core.model.origin import Finding, Origin
from osm.core.model.service import ServicePort
from osm.core.model.workload import ProxyKind, Workload

_CODES = ("OSM222", "OSM225", "OSM226")
_SHOWN = 3


def findings_about(model: Model, workloads: Iterable[Workload]) -> tuple[Finding, ...]:
    """What the compiler says of those among them without a proxy of the mesh; once for what made them."""
    makers = {
        (w.owner_kind, w.namespace, w.owner_name)
        for w in workloads
        if w.proxy_kind is not ProxyKind.OWN
    }
    return tuple(
        each
        for each in (model.findings if makers else ())
        if each.code in _CODES and _maker(each.origin) in makers
    )


def _maker(origin: Origin | None) -> tuple[str, str, str] | None:
    return (origin.kind, origin.namespace, origin.name) if origin else None


def steps_about(model: Model, workloads: Iterable[Workload]) -> tuple[Step, ...]:
    """The same, as steps of an explanation."""
    return tuple(map(finding_step, findings_about(model, workloads)))


def finding_step(finding: Finding) -> Step:
    """A finding beside what it explains."""
    assert finding.origin is not None
    text = f"{finding.origin}: {finding.message} [{finding.code}]"
    return Step("without proxy", "info", text, (finding.origin,))


def advice_about(model: Model, workloads: Iterable[Workload]) -> tuple[str, ...]:
    """What to do about them."""
    return tuple(dict.fromkeys(each.hint for each in findings_about(model, workloads)))


def behind(model: Model, port: ServicePort) -> tuple[Workload, ...]:
    """Everybody whom a service port selects, ready or not."""
    keys = sorted(key for key, names in model.services_of.items() if port.name in names)
    return tuple(model.workloads[key] for key in keys if key in model.workloads)


def takes_calls(model: Model, port: ServicePort) -> bool:
    """Whether one of those who are called for a service port can take a call of the mesh."""
    return any(
        model.workloads[each.namespace, each.workload].takes_mutual_tls
        for each in model.endpoints.get(port.name, ())
    )


def what_callers_get(call: Call) -> str:
    """Where nobody takes mutual TLS."""
    return "503" if call.request else "the connection is closed"


def passed_over_steps(call: Call, backend: ServicePort) -> Iterable[Step]:
    """Who stands behind a service port and takes no calls, since mutual TLS needs a proxy."""
    members = behind(call.model, backend)
    bare = [w for w in members if not w.takes_mutual_tls]
    if bare and takes_calls(call.model, backend):
        text = f"{names(bare)}: without a proxy of the mesh, so no calls go there"
        yield Step(f"endpoints of {backend.name}", "info", text)
    yield from steps_about(call.model, members)


def names(workloads: Sequence[Workload]) -> str:
    """Some of them."""
    shown = ", ".join(f"{w.namespace}/{w.name}" for w in workloads[:_SHOWN])
    more = len(workloads) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
