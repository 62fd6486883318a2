"""Which workloads a person means by a name."""

from osm.core.explain.view import MeshView, WorkloadView
from osm.errors import UsageError


def find_workloads(view: MeshView, name: str, namespace: str | None) -> tuple[WorkloadView, ...]:
    """Find a workload by its name, or all of a Deployment or StatefulSet by theirs.

    The name may be `NAMESPACE/NAME`. Without a namespace it must mean one thing in the whole mesh.
    """
    given, _, bare = name.rpartition("/")
    if given and namespace and given != namespace:
        raise UsageError(f"{name} is not in the namespace {namespace}.")
    wanted = given or namespace
    candidates = [each for each in view.workloads if wanted in (None, "", each.namespace)]
    found = [each for each in candidates if each.name == bare]
    found = found or [each for each in candidates if each.app == bare]
    if not found:
        where = f" in the namespace {wanted}" if wanted else ""
        known = ", ".join(f"{each.namespace}/{each.name}" for each in view.workloads[:20])
        raise UsageError(
            f"There is no workload {bare}{where}.",
            hint=f"There are: {known}." if known else "The mesh has no workloads.",
        )
    namespaces = sorted({each.namespace for each in found})
    if len(namespaces) > 1:
        raise UsageError(
            f"There are workloads {bare} in several namespaces: {', '.join(namespaces)}.",
            hint=f"Say which: {namespaces[0]}/{bare}, or -n {namespaces[0]}.",
        )
    return tuple(found)
