"""A mesh on a cluster, spoken to by its control plane's API on a forwarded port.

What the control plane does not do for pods, the API server does: logs, and the way to proxies.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import NoReturn

import httpx2

from osm.cli.client import MeshClient
from osm.cli.cluster_mesh import (
    InstalledMesh,
    choose_mesh,
    controller_pods,
    installed_meshes,
    ready_pods,
)
from osm.cli.cluster_pods import ProxyAdmin, find_pods, followed_log, pod_log
from osm.cli.cluster_session import ClusterSession, open_session
from osm.cli.command import Invocation
from osm.cli.merged_view import merged_view
from osm.core.api.manifest import Key
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.refusal import Refusal
from osm.core.explain.state import with_state, without_state
from osm.core.explain.view import MeshView
from osm.core.install.names import API_PORT
from osm.errors import NotRunningError, OsmError, PlatformError, UsageError
from osm.kubernetes.api_server import Status
from osm.kubernetes.apply import Objects
from osm.kubernetes.port_forward import Forward, PodPort, forwarded
from osm.ports import AppliedObject, ExpectedResource, LogLine


def connect_to_cluster(name: str | None, told: Invocation) -> "ClusterMeshClient":
    """Find the control plane of a cluster's mesh, and forward to it. Use as a context manager."""
    session = open_session(told)
    try:
        objects = Objects(session.server)
        mesh = choose_mesh(session.ask(installed_meshes(objects, told.osm_namespace or "")), name)
        pods = ready_pods(mesh, session.ask(controller_pods(objects, mesh)))
        forwards = [_forward(session, mesh, pod) for pod in pods]
    except BaseException:
        session.close()
        raise
    return ClusterMeshClient(session, mesh, pods, forwards)


def _forward(session: ClusterSession, mesh: InstalledMesh, pod: str) -> Forward:
    target = PodPort(mesh.namespace, pod, API_PORT)
    return session.enter(forwarded(session.server, target))


class _Replica(MeshClient):
    """One pod of a control plane."""

    def __init__(self, forward: Forward, mesh: InstalledMesh, pod: str) -> None:
        self._forward = forward
        self._pod = f"{mesh.namespace}/{pod}"
        super().__init__(forward.socket, mesh.mesh)

    def _gone(self, error: httpx2.TransportError) -> OsmError:
        if isinstance(error, httpx2.ReadTimeout):
            return OsmError(f"The control plane in {self._pod} did not answer in time.")
        problem = self._forward.problem
        if isinstance(problem, Status) and problem.code == 403:
            return PlatformError(
                f"You may not forward a port of {self._pod}: {problem.message}",
                hint="Speaking to a control plane needs the right to create pods/portforward.",
            )
        why = f": {problem}" if problem else ""
        return NotRunningError(
            f"The control plane in {self._pod} does not answer{why}.",
            hint="Is it of OSM v1? Those have no such API: `osm migrate check` looks at them.",
        )


class ClusterMeshClient(_Replica):
    """The mesh as its replicas know it together."""

    on_cluster = True

    def __init__(
        self,
        session: ClusterSession,
        mesh: InstalledMesh,
        pods: Sequence[str],
        forwards: Sequence[Forward],
    ) -> None:
        super().__init__(forwards[0], mesh, pods[0])
        self.session = session
        self.place = f"in '{mesh.namespace}' namespace"
        self._others = tuple(map(_Replica, forwards[1:], [mesh] * len(pods), pods[1:]))
        self._objects = Objects(session.server)
        self._admin = ProxyAdmin(session)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for other in self._others:
            other.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)
        self.session.close()

    def view(self) -> MeshView:
        """Return everything at this moment, of all replicas."""
        views = [super().view()]
        for other in self._others:
            try:
                views.append(other.view())
            except OsmError:  # on its way out, perhaps; its proxies go to another
                continue
        return merged_view(views)

    def explain(self, question: Question) -> Explanation:
        """Ask one replica; how the proxies fare, all of them know together."""
        return self._as_all_know(super().explain(question))

    def explain_refusal(self, refusal: Refusal) -> Explanation:
        """Likewise."""
        return self._as_all_know(super().explain_refusal(refusal))

    def _as_all_know(self, answer: Explanation) -> Explanation:
        if not self._others:
            return answer
        view = self.view()
        return with_state(without_state(answer), view.proxies, view.findings)

    def proxy_expected(self, namespace: str, name: str) -> tuple[ExpectedResource, ...]:
        """Ask the replica that the proxy is connected to."""
        try:
            return super().proxy_expected(namespace, name)
        except (UsageError, NotRunningError):
            raise
        except OsmError as refusal:
            for other in self._others:
                with suppress(OsmError):
                    return other.proxy_expected(namespace, name)
            raise refusal from None

    def proxy_admin(self, namespace: str, name: str, query: str) -> bytes:
        """Return what a proxy's admin interface answers to GET `/query`, by its own pod."""
        return self._admin.ask(namespace, name, query)

    def logs(self, workload: str, *, tail: int, follow: bool) -> Iterator[LogLine]:
        """Give the last lines of a pod's containers, and then each new one."""
        pods = self.session.ask(find_pods(self._objects, workload, None))
        if follow:
            yield from self.session.each(lambda: followed_log(self._objects, pods, tail))
        else:
            for pod in pods:
                yield from self.session.ask(pod_log(self._objects, pod, tail))

    def apply(self, text: str, *, dry_run: bool = False) -> tuple[AppliedObject, ...]:  # noqa: ARG002
        """Objects of a cluster are written by kubectl."""
        _refuse("kubectl apply -f FILE")

    def delete(self, keys: Sequence[Key]) -> tuple[AppliedObject, ...]:  # noqa: ARG002
        """Likewise."""
        _refuse("kubectl delete KIND NAME")

    def shutdown(self) -> None:
        """A mesh on a cluster is not stopped, but uninstalled."""
        _refuse("osm uninstall mesh")


def _refuse(instead: str) -> NoReturn:
    raise UsageError(
        "The mesh is on a cluster, where this command changes nothing.", hint=f"Use: {instead}"
    )
