"""What is left to say when a mesh has ended: counters, edges, denials, proxies."""

from collections.abc import Mapping

import msgspec

from osm.cli.render import milliseconds, percent, table
from osm.core.explain.view import DenialView, EdgeView, MeshView, ProxyView, WorkloadView


class Summary(msgspec.Struct, frozen=True):
    """A run of a mesh, for programs (`osm demo --duration 30 -o json`)."""

    mesh: str
    platform: str
    policy_mode: str
    started: str
    ended: str
    counters: Mapping[str, Mapping[str, int]]
    edges: tuple[EdgeView, ...]
    denials: tuple[DenialView, ...]
    proxies: tuple[ProxyView, ...]
    workloads: tuple[WorkloadView, ...]
    findings: tuple[str, ...]


def summarise(view: MeshView) -> Summary:
    """Take from the last view what a summary tells."""
    return Summary(
        mesh=view.mesh,
        platform=view.platform,
        policy_mode=view.policy_mode,
        started=view.started,
        ended=view.now,
        counters={workload: dict(values) for workload, values in view.counters},
        edges=view.edges,
        denials=view.denials,
        proxies=view.proxies,
        workloads=view.workloads,
        findings=tuple(str(finding) for finding in view.findings),
    )


def edge_row(edge: EdgeView) -> tuple[str, ...]:
    """Write an edge's totals."""
    return (
        edge.source,
        edge.destination,
        edge.protocol,
        str(edge.total),
        percent(edge.success_percent),
        milliseconds(edge.p50_ms),
        milliseconds(edge.p99_ms),
        "yes" if edge.mutual_tls else "no",
        percent(edge.split_percent),
        str(edge.denied_total),
    )


EDGE_HEADERS = (
    "from", "to", "protocol", "requests", "success", "p50", "p99", "mtls", "split", "denied",
)  # fmt: skip


def summary_text(summary: Summary) -> str:
    """Write a summary as tables."""
    parts = []
    counters = [
        (workload, counter, str(value))
        for workload, values in summary.counters.items()
        for counter, value in values.items()
    ]
    if counters:
        parts.append(table(("workload", "counter", "value"), counters))
    if summary.edges:
        parts.append(table(EDGE_HEADERS, map(edge_row, summary.edges)))
    if summary.denials:
        parts.append(table(DENIAL_HEADERS, map(denial_row, summary.denials)))
    in_sync = sum(proxy.in_sync for proxy in summary.proxies)
    parts.append(f"Proxies in sync: {in_sync} of {len(summary.proxies)}.")
    return "\n\n".join(parts)


DENIAL_HEADERS = ("denied", "to", "request", "times", "reason")


def denial_row(denial: DenialView) -> tuple[str, ...]:
    """Write a denial: who, to whom, what, how often, why."""
    request = f"{denial.method} {denial.path}".strip() if denial.method else f"TCP {denial.port}"
    return (denial.source, denial.destination, request, str(denial.count), denial.reason)
