"""A mesh of one size with its controller and its simulated proxies, all ended together."""

import abc
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from bench.controller import Controller, ControllerProcess, controller
from bench.fleet import Fleet, Proxy, Subscription, Synced
from bench.mesh import NAMESPACE
from bench.mesh_files import PORT, TARGET_PORT, MeshFiles, block
from osm.core.envoy import names
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.xds import types
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.runtime.settings import TRUST_DOMAIN, ads_name

SYNC_LIMIT_S = 300.0
ROUTES = names.outbound_routes(PORT)
PROBE = f"{ROUTES}/probe.{NAMESPACE}"
"""A service that does not exist. That is answered at once, and after all that was asked before."""


class Setting(msgspec.Struct, frozen=True, order=True):
    """The size of a mesh. `mute` proxies are added: they ask for `mute_names` services, and never read."""

    services: int
    replicas: int
    proxies: int
    mute: int = 0
    mute_names: int = 0
    file_for_each_pod: bool = False


def cluster(number: int) -> str:
    """The name of a service's cluster, and of its endpoints."""
    return f"{NAMESPACE}/s{number}|{TARGET_PORT}"


def virtual_host(number: int) -> str:
    """The name of what a request to a service is matched against."""
    return f"{ROUTES}/s{number}.{NAMESPACE}"


def identity(number: int, setting: Setting) -> ProxyIdentity:
    """Whose proxy the stream of a number is: a service's first pod, then its second, and so on."""
    replica, service = divmod(number, setting.services)
    return ProxyIdentity(Identity(TRUST_DOMAIN, NAMESPACE, f"s{service}"), f"s{service}-{replica}")


def stages(number: int, setting: Setting) -> tuple[tuple[Subscription, ...], ...]:
    """What an Envoy asks for: at its start, and when its application calls ten services."""
    called = block(number % setting.services, setting.services)
    clusters = tuple(cluster(each) for each in called)
    return (
        (Subscription(types.RUNTIME, (names.RUNTIME_LAYER,)), Subscription(types.CLUSTER)),
        (Subscription(types.LISTENER),),
        (
            Subscription(types.SECRET, (names.SERVICE_CERTIFICATE, names.ROOT_CERTIFICATES)),
            Subscription(types.ROUTE, (names.inbound_routes(TARGET_PORT), ROUTES)),
        ),
        (Subscription(types.VIRTUAL_HOST, tuple(virtual_host(each) for each in called)),),
        (Subscription(types.CLUSTER, clusters),),
        (Subscription(types.ENDPOINT, clusters),),
        (Subscription(types.VIRTUAL_HOST, (PROBE,)),),
    )


def mute_stages(setting: Setting) -> tuple[tuple[Subscription, ...], ...]:
    """So much that a proxy that does not read it keeps its stream full."""
    wanted = range(setting.mute_names)
    clusters = tuple(cluster(each) for each in wanted)
    return (
        (
            Subscription(types.CLUSTER, clusters),
            Subscription(types.ENDPOINT, clusters),
            Subscription(types.VIRTUAL_HOST, tuple(virtual_host(each) for each in wanted)),
        ),
    )


class MeshObjects(Protocol):
    """What the controller reads. Each returns the monotonic clock in ns right before it is written."""

    def set_endpoints(self, number: int, unready: frozenset[int]) -> int:
        """Say which pods of a service are not ready."""
        ...

    def set_service(self, number: int, *, path: str = "/.*", note: str = "") -> int:
        """Change the path that callers may use, or only an annotation."""
        ...

    def set_split(self, number: int, other: int, weight: int) -> int:
        """Share a service's requests with another one."""
        ...


class RunningMesh(abc.ABC):
    """A mesh with its controller and its proxies, wherever its objects are."""

    def __init__(
        self, setting: Setting, objects: MeshObjects, osm: ControllerProcess, fleet: Fleet
    ) -> None:
        self.setting = setting
        self.objects = objects
        self.controller = osm
        self.fleet = fleet

    @abc.abstractmethod
    def introduce(self) -> None:
        """Give every proxy what it proves itself by. None holds anything yet."""

    @property
    def streams(self) -> range:
        """The proxies that read."""
        return range(self.setting.proxies)

    def subscribers(self, service: int) -> list[int]:
        """The streams that hold a service."""
        members = block(service, self.setting.services)
        return [n for n in self.streams if n % self.setting.services in members]

    def sync(self, limit_s: float = SYNC_LIMIT_S) -> Synced:
        """Wait until every proxy that reads has all that it asked for."""
        found = self.fleet.sync(self.setting.proxies, limit_s)
        if not found.complete:
            raise RuntimeError(
                f"{len(found.synced)} of {self.setting.proxies} proxies are in sync after "
                f"{limit_s:.0f} s: {found.last_error}\n{self.controller.log_text()}"
            )
        return found

    def settle(self, quiet_s: float = 1.0, limit_s: float = 120.0) -> None:
        """Wait until nothing has arrived anywhere, and the controller has idled, for a while."""
        deadline = time.monotonic() + limit_s
        before, cpu = self.fleet.counts().total(), self.controller.cpu_ns()
        while time.monotonic() < deadline:
            time.sleep(quiet_s)
            now, used = self.fleet.counts().total(), self.controller.cpu_ns() - cpu
            if now == before and used < quiet_s * 0.3e9:
                return
            before, cpu = now, cpu + used
        raise RuntimeError("the control plane does not come to rest")


class Rig(RunningMesh):
    """What a case works with: a mesh whose objects are files."""

    controller: Controller

    def __init__(
        self, setting: Setting, directory: Path, files: MeshFiles, osm: Controller, fleet: Fleet
    ) -> None:
        super().__init__(setting, files, osm, fleet)
        self.directory = directory
        self.files = files

    def tresor(self) -> Tresor:
        """The mesh's root, made by the controller or here, whoever comes first."""
        return Tresor.open(
            self.controller.state / "ca",
            trust_domain=TRUST_DOMAIN,
            leaf_validity=timedelta(hours=24),
            clock=SystemClock(),
        )

    def introduce(self) -> None:
        asyncio.run(self._introduce())

    async def _introduce(self) -> None:
        tresor = self.tresor()
        proxies = []
        for number in range(self.setting.proxies + self.setting.mute):
            who = identity(number, self.setting)
            pair = await tresor.issue(who)
            mute = number >= self.setting.proxies
            proxies.append(
                Proxy(
                    node=who.name,
                    cluster=f"{who.identity.service_account}.{who.identity.namespace}",
                    certificate=pair.certificate.decode(),
                    private_key=pair.private_key.decode(),
                    stages=mute_stages(self.setting) if mute else stages(number, self.setting),
                    mute=mute,
                )
            )
        self.fleet.play(
            self.controller.ads,
            ads_name(TRUST_DOMAIN),
            tresor.trust_bundle.decode(),
            PROBE,
            proxies,
        )


@contextmanager
def rig(setting: Setting, *, connected: bool = True) -> Iterator[Rig]:
    """Write a mesh; with `connected` also start its controller and connect its proxies."""
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="osm-b-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        osm = stack.enter_context(controller(directory))
        files = MeshFiles(
            osm.objects,
            setting.services,
            setting.replicas,
            file_for_each_pod=setting.file_for_each_pod,
        )
        files.write()
        fleet = stack.enter_context(Fleet(directory / "fleet.log"))
        made = Rig(setting, directory, files, osm, fleet)
        if connected:
            osm.start()
            made.introduce()
            fleet.connect(0, setting.proxies)
            made.sync()
            made.settle()
        yield made


def chosen(services: int, rounds: int) -> Sequence[int]:
    """Which service changes in which round: another one each time, from all over the mesh."""
    step = max(1, services // rounds) | 1
    return [number * step % services for number in range(rounds)]
