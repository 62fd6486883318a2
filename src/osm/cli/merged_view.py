"""One view of a mesh whose control plane has several replicas: each knows its own proxies."""

from collections.abc import Sequence

import msgspec

from osm.core.explain.view import MeshView, ProxyView
from osm.core.model.origin import Finding, Severity


def merged_view(views: Sequence[MeshView]) -> MeshView:
    """The first, with what only the others know: who is connected to them, and what was refused."""
    proxies: dict[tuple[str, str], ProxyView] = {}
    for view in views:
        for proxy in view.proxies:
            known = proxies.get((proxy.namespace, proxy.name))
            if known is None or (proxy.connected and not known.connected):
                proxies[proxy.namespace, proxy.name] = proxy
    denials = {denial for view in views for denial in view.denials}
    findings = {finding for view in views for finding in view.findings}
    return msgspec.structs.replace(
        views[0],
        proxies=tuple(proxies[key] for key in sorted(proxies)),
        denials=tuple(sorted(denials, key=lambda denial: denial.time, reverse=True)),
        findings=tuple(sorted(findings, key=_worst_first)),
        replicas=tuple(sorted(replica for view in views for replica in view.replicas)),
    )


def _worst_first(finding: Finding) -> tuple[bool, str, str]:
    return finding.severity != Severity.ERROR, finding.code, str(finding)
