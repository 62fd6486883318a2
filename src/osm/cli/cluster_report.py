"""What `osm support bug-report` gathers of a cluster. The archive masks; Secrets are only outlined."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from osm import __version__
from osm.cli.cluster_client import connect_to_cluster
from osm.cli.cluster_mesh import InstalledMesh, choose_mesh, controller_pods, installed_meshes
from osm.cli.cluster_namespaces import mesh_namespaces
from osm.cli.cluster_pods import (
    ProxyAdmin,
    app_of,
    container_log,
    container_names,
    full_name,
    is_meshed,
)
from osm.cli.cluster_session import ClusterSession, open_session
from osm.cli.command import Invocation
from osm.cli.masking import secret_outline
from osm.cli.report_archive import Report
from osm.core.api.registry import KINDS
from osm.core.inject.sidecar import CONTAINER as PROXY_CONTAINER
from osm.core.install.names import Installation
from osm.kubernetes.apply import Objects
from osm.kubernetes.resources import Ref

Document = dict[str, Any]
LINES = "5000"
_OWN_GROUPS = ("openservicemesh.io", "smi-spec.io")
_ADMISSION = "admissionregistration.k8s.io/v1"
_JSON = ("config_dump?include_eds", "certs", "server_info")
_TEXT = ("clusters", "listeners", "stats", "ready")


class Wanted(msgspec.Struct, frozen=True):
    """Which applications the report is about. Deployments and pods are `namespace/name`."""

    everything: bool = False
    namespaces: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    ingress: bool = False

    def has(self, pod: Document) -> bool:
        """Whether a pod is one of them."""
        namespace = pod["metadata"]["namespace"]
        return (
            self.everything
            or namespace in self.namespaces
            or full_name(pod) in self.pods
            or f"{namespace}/{app_of(pod)}" in self.deployments
        )

    def places(self, of_mesh: Iterable[str]) -> tuple[str, ...]:
        """The namespaces to look at, sorted."""
        named = {each.partition("/")[0] for each in (*self.deployments, *self.pods)}
        return tuple(sorted({*self.namespaces, *named, *(of_mesh if self.everything else ())}))


def write_report(told: Invocation, name: str | None, wanted: Wanted, path: Path) -> Sequence[str]:
    """Write the report about a mesh to a new file; returns what could not be had."""
    session = open_session(told)
    try:
        meshes = session.ask(installed_meshes(Objects(session.server), told.osm_namespace or ""))
        mesh = choose_mesh(meshes, name)
        with Report(path) as report:
            _Gathering(session, report, mesh).all(wanted)
            report.part("what the control plane knows", partial(_view, report, told, mesh.mesh))
        return report.problems
    finally:
        session.close()


def _view(report: Report, told: Invocation, mesh: str) -> None:
    with connect_to_cluster(mesh, told) as client:
        report.objects("control-plane/view.yaml", client.view())


class _Gathering:
    """Fills a report from a cluster."""

    def __init__(self, session: ClusterSession, report: Report, mesh: InstalledMesh) -> None:
        self._session = session
        self._report = report
        self._mesh = mesh
        self._objects = Objects(session.server)
        self._admin = ProxyAdmin(session)

    def all(self, wanted: Wanted) -> None:
        """Everything that is wanted, part by part."""
        report = self._report
        report.text("osm-version.txt", __version__)
        report.part("the cluster's version", self._cluster_version)
        report.part("the control plane", self._control_plane)
        report.part("the mesh's objects", self._mesh_objects)
        if wanted.ingress:
            self._list("ingress/ingresses.yaml", "networking.k8s.io/v1", "Ingress", "")
        members: Sequence[str] = ()
        if wanted.everything:
            found = self._session.ask(mesh_namespaces(self._objects, self._mesh.mesh))
            members = [each.namespace for each in found]
        for namespace in wanted.places(members):
            report.part(f"namespace {namespace}", partial(self._namespace, namespace, wanted))

    def _cluster_version(self) -> None:
        version = self._session.ask(self._session.server.get("/version"))
        self._report.json("cluster-version.json", version)

    def _control_plane(self) -> None:
        namespace = self._mesh.namespace
        for kind, version in (
            ("Deployment", "apps/v1"),
            ("Service", "v1"),
            ("Pod", "v1"),
            ("Event", "v1"),
            ("Lease", "coordination.k8s.io/v1"),
        ):
            self._list(f"control-plane/{kind.lower()}s.yaml", version, kind, namespace)
        self._report.part("the names of Secrets", self._secrets)
        installation = Installation(self._mesh.mesh, namespace)
        for kind, name in (
            ("MutatingWebhookConfiguration", installation.mutating_webhook),
            ("ValidatingWebhookConfiguration", installation.validating_webhook),
        ):
            found = self._session.ask(self._objects.get(Ref(_ADMISSION, kind, name)))
            self._report.objects(f"control-plane/{kind}.yaml", found)
        for pod in self._session.ask(controller_pods(self._objects, self._mesh)):
            for container in container_names(pod):
                self._log(f"control-plane/{pod['metadata']['name']}", pod, container)

    def _secrets(self) -> None:
        found = self._session.ask(self._objects.list("v1", "Secret", self._mesh.namespace))
        self._report.objects("control-plane/secret-names.yaml", list(map(secret_outline, found)))

    def _mesh_objects(self) -> None:
        for kind in KINDS:
            if kind.group.endswith(_OWN_GROUPS) and kind.supported:
                self._list(f"objects/{kind.plural}.yaml", kind.api_version, kind.kind, "")

    def _namespace(self, namespace: str, wanted: Wanted) -> None:
        place = f"namespaces/{namespace}"
        found = self._session.ask(self._objects.get(Ref("v1", "Namespace", namespace)))
        self._report.objects(f"{place}/namespace.yaml", found)
        self._list(f"{place}/events.yaml", "v1", "Event", namespace)
        self._list(f"{place}/services.yaml", "v1", "Service", namespace)
        pods = self._session.ask(self._objects.list("v1", "Pod", namespace))
        meshed = [pod for pod in pods if is_meshed(pod) and wanted.has(pod)]
        self._report.objects(f"{place}/pods.yaml", meshed)
        for pod in meshed:
            self._report.part(f"the proxy of {full_name(pod)}", partial(self._pod, place, pod))

    def _pod(self, place: str, pod: Document) -> None:
        folder = f"{place}/pods/{pod['metadata']['name']}"
        self._log(folder, pod, PROXY_CONTAINER)
        where = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for query in _JSON:
            name = f"{folder}/{query.partition('?')[0]}.json"
            self._report.json(name, self._admin.ask(*where, query))
        for query in _TEXT:
            answer = self._admin.ask(*where, query).decode(errors="replace")
            self._report.text(f"{folder}/{query}.txt", answer)

    def _log(self, folder: str, pod: Document, container: str) -> None:
        statuses = pod.get("status") or {}
        known = (
            *(statuses.get("containerStatuses") or ()),
            *(statuses.get("initContainerStatuses") or ()),
        )
        restarted = any(s["name"] == container and s.get("restartCount") for s in known)
        for suffix, parameters in (("", {}), (".previous", {"previous": "true"})):
            if not suffix or restarted:
                self._report.part(
                    f"the log of {full_name(pod)} {container}{suffix}",
                    partial(
                        self._one_log,
                        f"{folder}/{container}{suffix}.log",
                        pod,
                        container,
                        parameters,
                    ),
                )

    def _one_log(
        self, name: str, pod: Document, container: str, parameters: dict[str, str]
    ) -> None:
        async def lines() -> list[str]:
            log = container_log(self._objects, pod, container, tailLines=LINES, **parameters)
            return [f"{line.time} {line.text}" async for line in log]

        self._report.text(name, "\n".join(self._session.ask(lines())))

    def _list(self, name: str, version: str, kind: str, namespace: str) -> None:
        def gather() -> None:
            found = self._session.ask(self._objects.list(version, kind, namespace))
            self._report.objects(name, found)

        self._report.part(f"all {kind}", gather)
