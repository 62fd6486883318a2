"""What a person sees of a mesh, put together from what its parts know. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Manifest
from osm.core.envoy import access
from osm.core.explain.denied import explain_refusal
from osm.core.explain.refusal import refusal_of
from osm.core.explain.view import (
    DenialView,
    EdgeView,
    ObjectView,
    WorkloadView,
)
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Finding, Severity
from osm.core.model.service import PortName
from osm.core.model.workload import ProxyKind, Workload
from osm.telemetry.access_log import DenialRate
from osm.telemetry.traffic import EdgeTraffic

Ends = tuple[str, str, str, str]
"""Source namespace and app, destination namespace and app."""


class Split(msgspec.Struct, frozen=True):
    """The share of a service's traffic that a route gives to a backend."""

    service: str
    percent: float


class Refusals(msgspec.Struct):
    """What the mesh refused along one edge."""

    newest: DenialView
    per_second: float = 0.0
    total: int = 0


def workload_views(
    model: Model, pods: Iterable[Pod], pages: Mapping[tuple[str, str], str]
) -> tuple[WorkloadView, ...]:
    """Workloads in the order of their names, starting and failing ones among them."""
    return tuple(
        _workload_view(model, pod, pages)
        for pod in sorted(pods, key=lambda pod: (pod.metadata.namespace, pod.metadata.name))
    )


def _workload_view(model: Model, pod: Pod, pages: Mapping[tuple[str, str], str]) -> WorkloadView:
    meta = pod.metadata
    key = (meta.namespace, meta.name)
    known = model.workloads.get(key)
    account = pod.spec.service_account_name or "default"
    identity = Identity(model.settings.trust_domain, meta.namespace, account)
    ready = next((c for c in pod.status.conditions if c.type == "Ready"), None)
    services = {
        str(name.service) for name in model.services_of.get(key, ()) if not name.service.subdomain
    }
    return WorkloadView(
        namespace=meta.namespace,
        name=meta.name,
        app=known.owner_name if known else meta.name,
        service_account=account,
        identity=identity.spiffe_id,
        phase=_phase(pod),
        reason=(ready.message or ready.reason) if ready and ready.status != "True" else "",
        restarts=sum(status.restart_count for status in pod.status.container_statuses),
        services=tuple(sorted(services)),
        web=pages.get(key, ""),
        proxy=known.proxy_kind if known else ProxyKind.OWN,
    )


def _phase(pod: Pod) -> str:
    ready = next((c for c in pod.status.conditions if c.type == "Ready"), None)
    if ready is not None and ready.status == "True":
        return "ready"
    if pod.status.phase == "Failed":
        return "failed"
    if any(status.restart_count for status in pod.status.container_statuses):
        return "restarting"
    return "unready" if pod.status.phase == "Running" else "starting"


def denial_views(model: Model, denials: Iterable[DenialView]) -> tuple[DenialView, ...]:
    """Refusals with their reasons in words."""
    return tuple(
        msgspec.structs.replace(denial, reason=deny_reason(model, denial)) for denial in denials
    )


def deny_reason(model: Model, denial: DenialView) -> str:
    """Why, as a sentence; the proxy only gives a code (`osm.core.envoy.access`)."""
    namespace, _, name = denial.destination.partition("/")
    workload = model.workloads.get((namespace, name))
    destination = workload.identity.short if workload else denial.destination
    match denial.reason:
        case access.NO_RULE_FOR_SOURCE:
            return f"no access rule for {destination} names {denial.source} as a source"
        case access.NO_RULE_FOR_REQUEST:
            return f"{denial.source} may call {destination}, but no match fits {denial.method} {denial.path}"
    return denial.reason


def edge_views(
    model: Model,
    traffic: Sequence[EdgeTraffic],
    denials: Sequence[DenialView],
    rates: Mapping[tuple[str, str], DenialRate],
) -> tuple[EdgeView, ...]:
    """Who talks to whom. A refusal has the reason and what would allow it."""
    senders = _workloads_by_account(model) if denials or rates else {}
    refused: dict[Ends, Refusals] = {}
    for denial in denials:  # newest first
        ends = _ends(model, senders, denial.source, denial.destination)
        if ends is not None:
            refused.setdefault(ends, Refusals(denial))
    for (source, destination), rate in rates.items():
        ends = _ends(model, senders, source, destination)
        if ends in refused:
            refused[ends].per_second += rate.per_second
            refused[ends].total += rate.total
    splits = _splits(model)
    apps = {(w.namespace, w.owner_name) for w in model.workloads.values()}
    return tuple(
        _edge_view(model, each, refused, splits)
        for each in traffic
        # What nobody answered (a backend that was not ready yet) is shown while it happens.
        if (each.edge.destination_namespace, each.edge.destination) in apps
        or each.requests_per_second > 0
    )


def _edge_view(
    model: Model,
    each: EdgeTraffic,
    refused: Mapping[Ends, Refusals],
    splits: Mapping[tuple[str, str], Split],
) -> EdgeView:
    edge = each.edge
    denied = refused.get(
        (edge.source_namespace, edge.source, edge.destination_namespace, edge.destination)
    )
    is_http = edge.protocol == "http"
    rate = denied.per_second if denied else 0.0
    if is_http and rate:
        # The proxies' counters and their logs are read at different moments: one of them is shown.
        rate = dict(each.codes_per_second).get(403, 0.0)
    split = splits.get((edge.destination_namespace, edge.destination)) if is_http else None
    return EdgeView(
        source_namespace=edge.source_namespace,
        source=edge.source,
        destination_namespace=edge.destination_namespace,
        destination=edge.destination,
        protocol=edge.protocol,
        requests_per_second=round(
            max(0.0, each.requests_per_second - (rate if is_http else 0.0)), 2
        ),
        success_percent=each.success_percent(rate),
        p50_ms=each.p50_ms,
        p99_ms=each.p99_ms,
        total=each.total,
        denied_per_second=round(rate, 2),
        denied_total=denied.total if denied else 0,
        deny_reason=deny_reason(model, denied.newest) if denied and rate else "",
        remedy=explain_refusal(model, refusal_of(denied.newest)).remedy if denied and rate else "",
        mutual_tls=True,
        split_percent=split.percent if split else None,
        split_service=split.service if split else "",
    )


def _ends(
    model: Model, senders: Mapping[str, Workload], source: str, destination: str
) -> Ends | None:
    sender = senders.get(source)
    namespace, _, name = destination.partition("/")
    receiver = model.workloads.get((namespace, name))
    if sender is None or receiver is None:
        return None
    return sender.namespace, sender.owner_name, receiver.namespace, receiver.owner_name


def _workloads_by_account(model: Model) -> Mapping[str, Workload]:
    """The first workload, by name, of each `<namespace>/<service account>`."""
    found: dict[str, Workload] = {}
    for _, workload in sorted(model.workloads.items()):
        found.setdefault(f"{workload.namespace}/{workload.identity.service_account}", workload)
    return found


def _splits(model: Model) -> Mapping[tuple[str, str], Split]:
    """Shares by namespace and app of the backends' workloads."""
    given: list[tuple[PortName, Split]] = []
    for port, route in sorted(model.routes.items()):
        for rule in route.rules:
            total = sum(backend.weight for backend in rule.backends)
            if rule.origin.kind == "TrafficSplit" and total:
                given += [
                    (each.port, Split(str(port.service), round(100 * each.weight / total, 1)))
                    for each in rule.backends
                ]
    apps: dict[PortName, set[tuple[str, str]]] = {port: set() for port, _ in given}
    for key, names in model.services_of.items() if apps else ():
        workload = model.workloads.get(key)
        if workload is not None:
            for name in names:
                if name in apps:
                    apps[name].add((workload.namespace, workload.owner_name))
    return {app: split for port, split in given for app in apps[port]}


def object_views(
    manifests: Iterable[Manifest], findings: Sequence[Finding]
) -> tuple[ObjectView, ...]:
    """Every object with its findings."""
    by_object: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        if finding.origin:
            origin = finding.origin
            by_object.setdefault((origin.kind, origin.namespace, origin.name), []).append(finding)
    views = []
    for manifest in sorted(manifests, key=lambda m: m.key):
        key = manifest.key
        found = by_object.get((key.kind, key.namespace, key.name), [])
        status = "ok"
        if any(f.severity is Severity.ERROR for f in found):
            status = "error"
        elif any(f.severity is Severity.WARNING for f in found):
            status = "warning"
        version = manifest.api_version.rpartition("/")[2]
        views.append(
            ObjectView(
                group=key.group,
                version=version,
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                where=manifest.where,
                status=status,
                findings=tuple(str(f) for f in found),
            )
        )
    return tuple(views)
