"""A mesh of its own in the test's cluster, whose two webhooks this process serves."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from tests.kubernetes.control_plane import ControlPlane, free_ports

from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key, Manifest
from osm.core.inject.decision import MeshName
from osm.core.inject.injection import Cluster
from osm.core.install.names import (
    INJECTOR_PATH,
    INJECTOR_SERVICE,
    VALIDATOR_PATH,
    VALIDATOR_SERVICE,
    Installation,
)
from osm.core.install.webhooks import mutating_webhook, validating_webhook
from osm.core.model.identity import token_audience
from osm.issuers.root_pem import Place, create_root
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.kubernetes.admission import AdmissionRequest, Decision, reviewing
from osm.kubernetes.webhook_server import serve_webhook
from osm.ports import KeyPair
from osm.runtime.admission import FindNamespace, Injector, Validator
from osm.telemetry.admission import AdmissionMetrics

MONITORED_BY = "openservicemesh.io/monitored-by"
INJECTION = "openservicemesh.io/sidecar-injection"
ENABLED = {INJECTION: "enabled"}

Json = dict[str, object]


def webhooks_of(configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The webhooks of a configuration, to be changed."""
    found: list[dict[str, Any]] = configuration["webhooks"]
    return found


def new_root() -> Tresor:
    now = datetime.now(UTC)
    place = Place("ca.crt", "private.key", "")
    life = timedelta(days=1)
    return Tresor.of(
        *create_root(now),
        place,
        trust_domain="cluster.local",
        leaf_validity=life,
        clock=SystemClock(),
    )


class Admitting:
    """`objects` is the control plane's copy, `find_namespace` its way to the API server. `former`: the
    mesh that this one takes over from.
    """

    def __init__(
        self, cluster: ControlPlane, find_namespace: FindNamespace, former: str = ""
    ) -> None:
        self.cluster = cluster
        self.former = former
        self.find_namespace = find_namespace
        tag = uuid.uuid4().hex[:8]
        self.installation = Installation(f"mesh-{tag}", f"own-{tag}")
        self.objects: Mapping[Key, Manifest] = {}
        self.asked: list[AdmissionRequest] = []
        self.answered: list[Decision] = []
        self.hang_s = 0.0
        self.root = new_root()
        self.pairs: dict[str, KeyPair] = {}
        self.ports = dict(zip((INJECTOR_SERVICE, VALIDATOR_SERVICE), free_ports(2), strict=True))
        self._namespaces: list[str] = []
        self._serving: dict[str, asyncio.Task[None]] = {}
        self.renew()

    def renew(self) -> None:
        """Begin to count from nothing."""
        self.asked.clear()
        self.answered.clear()
        self.registry = CollectorRegistry()
        metrics = AdmissionMetrics(self.registry)
        self._injector = Injector(
            self._cluster,
            lambda: self.objects,
            self._find,
            lambda probes: json.dumps({"probes": len(probes.http) + len(probes.tcp)}),
            metrics,
        )
        self._validator = Validator(lambda: self.objects, metrics)

    @contextlib.contextmanager
    def as_it_is(self) -> Iterator[None]:
        """For one test: whatever it makes believe ends with it."""
        believed = self.objects, self.find_namespace
        self.renew()
        try:
            yield
        finally:
            self.objects, self.find_namespace = believed
            self.hang_s = 0.0

    def _cluster(self) -> Cluster:
        return Cluster(
            mesh=MeshName(self.installation.mesh, self.installation.namespace, self.former),
            image="mesh.local/envoy:1",
            init_image="mesh.local/init:1",
            audience=token_audience(self.installation.mesh),
            config_map="osm-proxy-files",
            native=True,
        )

    async def _find(self, name: str) -> Namespace | None:
        return await self.find_namespace(name)

    def counted(self, series: str) -> float:
        """The value of a metric's series; 0 when it is not there."""
        for line in generate_latest(self.registry).decode().splitlines():
            if line.startswith(series):
                return float(line.rpartition(" ")[2])
        return 0.0

    # --- serving

    async def certify(self) -> None:
        """New certificates of the present root."""
        for service in self.ports:
            name = self.installation.service_host(service)
            self.pairs[service] = await self.root.issue_server(name)

    async def serve(self, service: str) -> None:
        """Start one of the webhooks."""
        injects = service == INJECTOR_SERVICE

        async def answer(request: AdmissionRequest) -> Decision:
            self.asked.append(request)
            await asyncio.sleep(self.hang_s)
            decide = self._injector.decide if injects else self._validator.decide
            decision = await decide(request)
            self.answered.append(decision)
            return decision

        ready = asyncio.Event()
        self._serving[service] = asyncio.create_task(
            serve_webhook(
                "127.0.0.1",
                self.ports[service],
                INJECTOR_PATH if injects else VALIDATOR_PATH,
                lambda: self.pairs[service],
                reviewing(answer),
                ready,
            )
        )
        await asyncio.wait_for(ready.wait(), 5)

    @contextlib.asynccontextmanager
    async def without(self, service: str) -> AsyncIterator[None]:
        """One of the webhooks is away."""
        await self.stop(service)
        try:
            yield
        finally:
            await self.serve(service)

    async def stop(self, service: str) -> None:
        task = self._serving.pop(service)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    # --- in the cluster

    async def register(self, bundle: bytes = b"") -> None:
        """Write both configurations, which believe in this bundle or in the present root."""
        believed = bundle or self.root.trust_bundle
        documents = [
            mutating_webhook(self.installation, believed, version="0", former_mesh=self.former),
            validating_webhook(self.installation, believed, version="0", former_mesh=self.former),
        ]
        for document in documents:
            for webhook in webhooks_of(document):
                service = webhook["clientConfig"]["service"]
                service["port"] = self.ports[service["name"]]
        await self.apply(*documents)

    async def apply(self, *documents: object) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": documents}
        arguments = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        await self.cluster.kubectl(*arguments, text=json.dumps(items))

    async def install(self) -> None:
        """The own namespace, and Services that lead to this machine, since no node is there."""
        own = self.installation.namespace
        await self.add_namespace(own, labels={MONITORED_BY: self.installation.mesh})
        services: list[Json] = [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": own},
                "spec": {"type": "ExternalName", "externalName": "localhost"},
            }
            for name in self.ports
        ]
        await self.apply(*services)
        await self.certify()
        for service in self.ports:
            await self.serve(service)
        await self.register()

    async def add_namespace(
        self,
        name: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] = ENABLED,
    ) -> str:
        """A namespace, of the mesh unless other labels are given."""
        name = name or f"t-{uuid.uuid4().hex[:8]}"
        given = {MONITORED_BY: self.installation.mesh} if labels is None else labels
        metadata = {"name": name, "labels": given, "annotations": annotations}
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "app", "namespace": name},
        }
        self._namespaces.append(name)
        await self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, account)
        return name

    async def create(self, namespace: str, document: object, *arguments: str) -> Json:
        """What became of an object that somebody creates by kubectl. Raises `RuntimeError`."""
        text = await self.cluster.kubectl(
            "create",
            "-n",
            namespace,
            "-o",
            "json",
            *arguments,
            "-f",
            "-",
            text=json.dumps(document),
        )
        found: Json = json.loads(text)
        return found

    async def everything(self, namespace: str) -> str:
        """The names of all that could have been written there."""
        kinds = "pods,secrets,configmaps,serviceaccounts,events"
        return await self.cluster.kubectl("get", kinds, "-n", namespace, "-o", "name")

    async def clean(self) -> None:
        for service in tuple(self._serving):
            await self.stop(service)
        for kind, name in (
            ("mutatingwebhookconfiguration", self.installation.mutating_webhook),
            ("validatingwebhookconfiguration", self.installation.validating_webhook),
        ):
            await self.cluster.kubectl("delete", kind, name, "--ignore-not-found")
        await self.cluster.kubectl(
            "delete", "namespace", *self._namespaces, "--ignore-not-found", "--wait=false"
        )


@contextlib.asynccontextmanager
async def admitting(
    cluster: ControlPlane, find_namespace: FindNamespace, former: str = ""
) -> AsyncIterator[Admitting]:
    mesh = Admitting(cluster, find_namespace, former)
    try:
        await mesh.install()
        yield mesh
    finally:
        await mesh.clean()
