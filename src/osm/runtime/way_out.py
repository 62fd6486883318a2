"""How what runs in a local mesh's pods gets beyond the mesh: the gateway, and who learns which names."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from random import sample

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key, Manifest
from osm.core.api.policy import Egress
from osm.core.compile.local_annotations import local_redirection
from osm.core.model.directory import Directory
from osm.core.model.egress import EgressRules
from osm.core.model.groups import CONFIG, POLICY
from osm.core.model.mesh import Model
from osm.core.model.way_out import HOST_ADDRESS, HOST_NAME, is_unreachable
from osm.local.addresses import MESH
from osm.local.gateway import Gateway, look_up
from osm.local.platform import LocalPlatform
from osm.local.relay import Connection


class WayOut:
    """`model` gives the present one. Tell it the objects with `take` whenever they change."""

    def __init__(self, model: Callable[[], Model]) -> None:
        self._model = model
        self._gateway: Gateway | None = None
        self.platform: LocalPlatform | None = None
        """Where pods are that others call around the proxies; set as soon as there is one."""
        self.host_ports: frozenset[int] = frozenset()
        """Of this machine's loopback, that are open to pods."""

    def gateway(self, path: Path) -> Gateway:
        """The gateway of the mesh; use it as an async context manager."""
        self._gateway = Gateway(path, lambda: self.host_ports, look_up)
        return self._gateway

    def take(self, objects: Iterable[Manifest]) -> None:
        """A port of this machine's loopback is open when an object names the machine and the port."""
        self.host_ports = frozenset(port for each in objects for port in _host_ports(each))

    async def look_up(self, pod: Pod, name: str) -> Sequence[str]:
        """The addresses of a name, when the pod may leave by it, or by going around its proxy."""
        model = self._model()
        name = Directory(model).host_beyond(_plain(name), pod.metadata.namespace)
        workload = model.workloads.get((pod.metadata.namespace, pod.metadata.name))
        if workload is None:
            return ()
        rules = model.egress.get(workload.identity, EgressRules())
        goes_around = local_redirection(pod.metadata.annotations).lets_out
        if not (model.settings.egress or goes_around or rules.may_look_up(name)):
            return ()
        if name == HOST_NAME:
            return (HOST_ADDRESS,)
        return [each for each in await look_up(name) if not is_unreachable(each)]

    async def around(self, _: Pod, address: str, port: int) -> Connection:
        """A call around the proxy: to what is beyond the mesh, or to a port of a pod which calls may
        reach around its own proxy.
        """
        if self._gateway is None or self.platform is None:
            raise ConnectionRefusedError(f"{address}:{port}")
        if address == HOST_ADDRESS or IPv4Address(address) not in MESH:
            return await self._gateway.connect(address, port)
        for namespace, name, target in _pods_at(self._model(), address, port):
            shown = self.platform.pods.get(Key("", "Pod", namespace, name))
            said = shown.object.metadata.annotations if shown else {}
            if target in local_redirection(said).inbound_ports:
                connection = await self.platform.dial(namespace, name, target)
                return await asyncio.open_connection(sock=connection)
        raise ConnectionRefusedError(f"nobody takes calls around the proxy at {address}:{port}")


def _pods_at(model: Model, address: str, port: int) -> Sequence[tuple[str, str, int]]:
    """Who answers at an address of the mesh, and at which of their ports; in any order."""
    found: set[tuple[str, str, int]] = set()
    for name in model.by_address.get((address, port), ()):
        target, headless = model.services[name].target_port, model.services[name].headless
        found |= {
            (each.namespace, each.workload, target)
            for each in model.endpoints.get(name, ())
            if not headless or model.workloads[each.namespace, each.workload].ip == address
        }
    if not found:
        found = {(w.namespace, w.name, port) for w in model.workloads.values() if w.ip == address}
    return sample(sorted(found), len(found))


def _host_ports(manifest: Manifest) -> Iterator[int]:
    """Of an Egress, and of whatever object of ours names a server, such as a collector."""
    if isinstance(manifest.object, Egress):
        if HOST_NAME in map(_plain, manifest.object.spec.hosts):
            yield from (port.number for port in manifest.object.spec.ports)
    elif manifest.key.group in (CONFIG, POLICY):
        yield from _servers_here(manifest.raw)


def _servers_here(value: object) -> Iterator[int]:
    """The `port` beside each `host` or `address` that is this machine."""
    if isinstance(value, Mapping):
        named = (value.get("host"), value.get("address"))
        port = value.get("port")
        if isinstance(port, int) and any(
            isinstance(n, str) and _plain(n) == HOST_NAME for n in named
        ):
            yield port
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _servers_here(each)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
