"""What both webhooks answer: which pods get a proxy, and which objects may be written.

Neither writes anything. Both are closed when they cannot know: a pod that would be in the mesh by name
and outside of it in truth is not created.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec
import structlog

from osm.core.api import codes
from osm.core.api.config import MeshConfig, MeshConfigSpec
from osm.core.api.decode import decode
from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import kind_of
from osm.core.api.scalars import check_label
from osm.core.compile.additions import contradictions
from osm.core.compile.exclusions import redirection_of
from osm.core.compile.openservicemesh import MESH_CONFIG_NAME
from osm.core.inject.injection import Asked, Cluster, Injected, inject
from osm.core.inject.pod import Document, read_pod
from osm.core.inject.verdict import Leave, Refuse
from osm.core.model.groups import ACCESS, CONFIG, POLICY, SPECS, SPLIT
from osm.core.model.origin import Finding, Severity
from osm.core.model.probe import Probes
from osm.kubernetes.admission import AdmissionRequest, Allowed, Decision, Denied, bad_request
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.telemetry.admission import AdmissionMetrics

log = structlog.get_logger("osm.webhook")

LOOKUP_S = 3.0
"""How long the API server may take to say what a namespace is."""
_LOOKUPS = 20
_MOST_FINDINGS = 10
_GROUPS = (ACCESS, CONFIG, POLICY, SPECS, SPLIT)

Objects = Callable[[], Mapping[Key, Manifest]]
"""The control plane's own copy: complete, and maybe a moment behind."""
FindNamespace = Callable[[str], Awaitable[Namespace | None]]
"""Asks the API server. Raises `Status` and `Unreachable`."""


def namespace_finder(server: ApiServer) -> FindNamespace:
    """Ask this API server; None for a namespace that is not there."""
    gate = asyncio.Semaphore(_LOOKUPS)

    async def find(name: str) -> Namespace | None:
        try:
            async with gate:
                body = await server.get(f"/api/v1/namespaces/{name}")
        except Status as status:
            if status.code == 404:
                return None
            raise
        return msgspec.json.decode(body, type=Namespace)

    return find


class Injector:
    """Answers for pods that are to be created."""

    def __init__(
        self,
        cluster: Callable[[], Cluster],
        objects: Objects,
        find_namespace: FindNamespace,
        bootstrap: Callable[[Probes], str],
        metrics: AdmissionMetrics,
    ) -> None:
        """`bootstrap`: what an Envoy is started with that has such probes to answer."""
        self._cluster = cluster
        self._objects = objects
        self._find_namespace = find_namespace
        self._bootstrap = bootstrap
        self._metrics = metrics

    async def decide(self, request: AdmissionRequest) -> Decision:
        """Whether the pod may be created, and with what added to it."""
        started = time.perf_counter()
        decision: Decision = Denied("")
        try:
            decision = await self._decide(request)
        finally:
            allowed = isinstance(decision, Allowed)
            self._metrics.answered(request.kind.kind, allowed=allowed)
            self._metrics.injector_took(time.perf_counter() - started, allowed=allowed)
        if isinstance(decision, Denied):
            # People see the reason. In the log it would be a line for whoever calls this port.
            log.debug("a pod was refused", namespace=request.namespace, reason=decision.message)
        elif decision.patch and not request.dry_run:
            self._metrics.injected()
        return decision

    async def _decide(self, request: AdmissionRequest) -> Decision:
        if (request.kind.group, request.kind.kind) != ("", "Pod"):
            return bad_request("only pods are injected")
        if request.operation != "CREATE" or request.sub_resource:
            return Allowed()
        if request.new is None:
            return bad_request("there is no pod in this request")
        if check_label(request.namespace):
            return bad_request("this request names no namespace")
        found = await self._verdict(request, request.new)
        match found:
            case Injected(patch=patch, warnings=warnings):
                return Allowed(patch, warnings)
            case Leave():
                return Allowed()
            case Refuse(message=message):
                return Denied(message)
        return found

    async def _verdict(
        self, request: AdmissionRequest, document: Document
    ) -> Injected | Leave | Refuse | Denied:
        """By our own copy of the namespace if that says that there is to be a proxy. Else the copy may
        be older than the label for which we are asked, so the API server is asked for the namespace.
        """
        name = request.namespace
        known = self._objects().get(Key("", "Namespace", "", name))
        if known is not None and isinstance(known.object, Namespace):
            verdict = self._inject(request, document, known.object)
            if not (isinstance(verdict, Leave) and verdict.by_namespace):
                return verdict
        try:
            async with asyncio.timeout(LOOKUP_S):
                present = await self._find_namespace(name)
        except (Status, Unreachable, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("a namespace is not known", namespace=name, error=str(error))
            message = f"whether pods of namespace {name} get a proxy is not known now; try again"
            return Denied(message, 503, "ServiceUnavailable")
        if present is None:
            return Denied(f"there is no namespace {name}", 404, "NotFound")
        return self._inject(request, document, present)

    def _inject(
        self, request: AdmissionRequest, document: Document, namespace: Namespace
    ) -> Injected | Leave | Refuse:
        pod = read_pod(document)
        if isinstance(pod, Refuse):
            return pod
        cluster = self._cluster()
        config = self._config(cluster.mesh.namespace)
        asked = Asked(
            pod=document,
            namespace=namespace,
            config=config.sidecar,
            redirection=redirection_of(pod.metadata.annotations, config.traffic),
            uuid=request.uid,
        )
        return inject(asked, cluster, self._bootstrap)

    def _config(self, namespace: str) -> MeshConfigSpec:
        found = self._objects().get(Key(CONFIG, "MeshConfig", namespace, MESH_CONFIG_NAME))
        if found is not None and isinstance(found.object, MeshConfig):
            return found.object.spec
        return MeshConfigSpec()


class Validator:
    """Answers for objects of the mesh that are to be created or changed."""

    def __init__(
        self, objects: Objects, metrics: AdmissionMetrics, *, validate_traffic_target: bool = True
    ) -> None:
        """Without `validate_traffic_target` a TrafficTarget may be in another namespace than its
        destination, where it grants nothing.
        """
        self._objects = objects
        self._metrics = metrics
        self._validate_traffic_target = validate_traffic_target

    async def decide(self, request: AdmissionRequest) -> Decision:
        """Whether the object may be written. What was wrong with it before is no reason to refuse."""
        decision = self._decide(request)
        self._metrics.answered(request.kind.kind, allowed=isinstance(decision, Allowed))
        return decision

    def _decide(self, request: AdmissionRequest) -> Decision:
        if request.operation not in ("CREATE", "UPDATE") or request.sub_resource:
            return Allowed()
        if request.new is None:
            return bad_request("there is no object in this request")
        group, kind = request.kind.group, request.kind.kind
        if group not in _GROUPS or kind_of(group, kind) is None:
            return bad_request(f"{kind or 'this'} is no kind of the mesh")
        if (request.new.get("apiVersion"), request.new.get("kind")) != (
            f"{group}/{request.kind.version}",
            kind,
        ):
            return bad_request("the object is of another kind than the request says")
        if _is_being_deleted(request.new):
            return Allowed()
        return self._judged(request, request.new)

    def _judged(self, request: AdmissionRequest, document: Document) -> Decision:
        objects = self._objects()
        old = None if request.old is None else decode(_at_home(request.old, request.namespace))
        new = decode(_at_home(document, request.namespace))
        found = list(new.findings)
        before = set[str]()
        if new.manifest is not None:
            previous = None if old is None else old.manifest
            found += contradictions(new.manifest, previous, objects)
            if previous is not None:
                before |= {*map(_text, contradictions(previous, None, objects))}
        if old is not None:
            before |= {*map(_text, old.findings)}
        errors = [each for each in found if self._is_error(each) and _text(each) not in before]
        warnings = (
            each for each in found if each not in errors and each.severity is not Severity.INFO
        )
        texts = tuple(map(_text, warnings))
        if errors:
            return Denied("\n".join(_listed(errors)), warnings=texts)
        return Allowed(warnings=texts)

    def _is_error(self, finding: Finding) -> bool:
        if finding.code == codes.DESTINATION_NAMESPACE and not self._validate_traffic_target:
            return False
        return finding.severity is Severity.ERROR


def _listed(errors: list[Finding]) -> Iterator[str]:
    yield from map(_text, errors[:_MOST_FINDINGS])
    if len(errors) > _MOST_FINDINGS:
        yield f"and {len(errors) - _MOST_FINDINGS} more; `osm validate` shows all"


def _text(finding: Finding) -> str:
    """The field, what is wrong, and what to do: which object it is, people know who have just sent it."""
    field = f"{finding.origin.field}: " if finding.origin and finding.origin.field else ""
    return f"{field}{finding.message} [{finding.code}]. {finding.hint}".rstrip()


def _is_being_deleted(document: Document) -> bool:
    """Then only its finalizers change any more, and they must be able to go."""
    metadata = document.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))


def _at_home(document: Document, namespace: str) -> Document:
    """An object may leave its namespace to the request."""
    metadata = document.get("metadata")
    if not namespace or not isinstance(metadata, Mapping) or metadata.get("namespace"):
        return document
    return {**document, "metadata": {**metadata, "namespace": namespace}}
