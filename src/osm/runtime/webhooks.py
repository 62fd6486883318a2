"""The two webhooks of a control plane in a cluster, put together and served."""

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from osm.core.api.manifest import Key, Manifest
from osm.core.envoy.probes import EVERY_ADDRESS, EVERY_IPV4
from osm.core.inject.decision import MeshName
from osm.core.inject.injection import Cluster
from osm.core.inject.native import has_native_sidecars
from osm.core.install.names import (
    INJECTOR_PATH,
    INJECTOR_PORT,
    INJECTOR_SERVICE,
    PROXY_FILES,
    VALIDATOR_PATH,
    VALIDATOR_PORT,
    VALIDATOR_SERVICE,
    Installation,
)
from osm.core.model.identity import token_audience
from osm.core.pki.certificate import ServerName
from osm.kubernetes.admission import Decide, reviewing
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.kubernetes.versions import component_versions
from osm.kubernetes.webhook_server import serve_webhook
from osm.runtime.admission import Injector, Validator, namespace_finder
from osm.runtime.control_core import ControlCore
from osm.runtime.pod_bootstrap import pod_bootstrap
from osm.runtime.tasks import BackgroundTasks
from osm.telemetry.admission import AdmissionMetrics

log = structlog.get_logger("osm.webhook")

NODES_POLL_S = 60.0
"""How soon it is noticed that a cluster has native sidecars, or has an old node again."""


class WebhookSettings(msgspec.Struct, frozen=True):
    """What of an installation concerns its webhooks."""

    installation: Installation
    pod_name: str
    trust_domain: str
    envoy_image: str
    init_image: str
    validate_traffic_target: bool
    former_mesh: str = ""


async def open_webhooks(
    settings: WebhookSettings, server: ApiServer, core: ControlCore, group: BackgroundTasks
) -> None:
    """Serve both; returns when they answer. Raises `Status` and `Unreachable`."""
    metrics = AdmissionMetrics(core.metrics.registry)
    sidecars = _Sidecars(settings, await component_versions(server))

    def objects() -> Mapping[Key, Manifest]:
        return core.pipeline.objects

    injector = Injector(
        sidecars.cluster,
        objects,
        namespace_finder(server),
        lambda probes: pod_bootstrap(
            settings.installation,
            settings.trust_domain,
            probes,
            address=_probed_at(objects(), settings),
        ),
        metrics,
    )
    validator = Validator(
        objects, metrics, validate_traffic_target=settings.validate_traffic_target
    )
    group.spawn(sidecars.follow(server))
    await asyncio.gather(
        _open(
            settings, core, group, INJECTOR_SERVICE, INJECTOR_PORT, INJECTOR_PATH, injector.decide
        ),
        _open(
            settings,
            core,
            group,
            VALIDATOR_SERVICE,
            VALIDATOR_PORT,
            VALIDATOR_PATH,
            validator.decide,
        ),
    )


def _probed_at(objects: Mapping[Key, Manifest], settings: WebhookSettings) -> str:
    """Where pods of this cluster are probed: their first addresses are of the family of our own."""
    own = objects.get(Key("", "Pod", settings.installation.namespace, settings.pod_name))
    is_ipv6 = own is not None and ":" in own.object.status.pod_ip
    return EVERY_ADDRESS if is_ipv6 else EVERY_IPV4


async def _open(
    settings: WebhookSettings,
    core: ControlCore,
    group: BackgroundTasks,
    service: str,
    port: int,
    path: str,
    decide: Decide,
) -> None:
    name = ServerName(settings.installation.service_host(service))
    first = await core.keeper.get(name)
    ready = asyncio.Event()
    serving = serve_webhook(
        "",
        port,
        path,
        lambda: core.keeper.current(name) or first,
        reviewing(decide),
        ready,
    )
    group.spawn(serving)
    await ready.wait()


class _Sidecars:
    """How pods get their proxies in this cluster. Nodes come and go, and may be old ones."""

    def __init__(self, settings: WebhookSettings, versions: frozenset[str]) -> None:
        installation = settings.installation
        self._cluster = Cluster(
            mesh=MeshName(installation.mesh, installation.namespace, settings.former_mesh),
            image=settings.envoy_image,
            init_image=settings.init_image,
            audience=token_audience(installation.mesh),
            config_map=PROXY_FILES,
            native=has_native_sidecars(versions),
        )

    def cluster(self) -> Cluster:
        return self._cluster

    async def follow(self, server: ApiServer) -> None:
        while True:
            await asyncio.sleep(NODES_POLL_S)
            try:
                native = has_native_sidecars(await component_versions(server))
            except (Status, Unreachable, msgspec.MsgspecError) as error:
                log.warning("the nodes' versions are not known anew", error=str(error))
                continue
            if native != self._cluster.native:
                log.info("proxies of new pods start differently now", native_sidecars=native)
                self._cluster = msgspec.structs.replace(self._cluster, native=native)
