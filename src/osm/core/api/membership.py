"""Which namespaces a mesh looks at, and in which of them it gives proxies to pods: by their labels.

A mesh that takes over from a former one looks at that one's namespaces too, so that its proxies know
the old pods. Pods get proxies where a namespace is its own, or was taken over. One that was taken over
goes on being monitored by the former mesh, whose proxies so know the new pods; its label `ignore` keeps
that mesh's webhooks off, and says nothing to the mesh that took over.
"""

from collections.abc import Mapping

from osm.core.api.mesh_keys import IGNORE, MONITORED_BY, TAKEN_OVER_BY


def is_read(labels: Mapping[str, str], mesh: str, former: str = "") -> bool:
    """Whether a namespace takes part: its services, pods and policies count. Empty: no former mesh."""
    belongs = labels.get(MONITORED_BY)
    if belongs == mesh:
        return IGNORE not in labels
    is_former = bool(former) and belongs == former
    return is_former and (IGNORE not in labels or is_taken_over(labels, mesh))


def gives_proxies(labels: Mapping[str, str], mesh: str, former: str = "") -> bool:
    """Whether the pods of a namespace are this mesh's to give proxies to."""
    is_its_own = labels.get(MONITORED_BY) == mesh
    return is_read(labels, mesh, former) and (is_its_own or is_taken_over(labels, mesh))


def is_taken_over(labels: Mapping[str, str], mesh: str) -> bool:
    """Whether `mesh` took over a namespace that another mesh goes on monitoring."""
    return labels.get(TAKEN_OVER_BY) == mesh and labels.get(MONITORED_BY, mesh) != mesh
