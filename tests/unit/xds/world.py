"""A small world of resources for tests of the protocol, and a client that does as Envoy does."""

from collections.abc import Hashable, Mapping

import msgspec

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.xds import types
from osm.core.xds.resource import EMPTY_VERSION, Resource, make_resource

Named = tuple[str, str]


class Content(msgspec.Struct, frozen=True):
    """What stands behind a name."""

    name: str
    text: str
    type_url: str = types.CLUSTER


def resource(name: str, text: str = "1", type_url: str = types.CLUSTER) -> Resource:
    return render(Content(name, text, type_url))


def render(content: Content) -> Resource:
    """Any message will do; Envoy would look at its type, the protocol does not."""
    message = cluster_pb2.Cluster(name=content.name, alt_stat_name=content.text)
    return make_resource(content.name, message)


class World(msgspec.Struct, frozen=True):
    """A catalog: shared resources by type and name, and those that are a proxy's own."""

    shared: Mapping[Named, str] = {}
    own: Mapping[str, Mapping[Named, str]] = {}
    """By proxy; a proxy that is not in here is not known."""

    def names(self, proxy: str, type_url: str, /) -> tuple[str, ...]:
        found = self.own.get(proxy, {})
        return tuple(sorted(name for kind, name in found if kind == type_url))

    def value(self, proxy: str, type_url: str, name: str, /) -> Content | None:
        if proxy not in self.own:
            return None
        text = self.own[proxy].get((type_url, name)) or self.shared.get((type_url, name))
        return None if text is None else Content(name, text, type_url)

    def scope(self, proxy: str, _type_url: str, name: str, /) -> Hashable:
        return proxy if name.startswith("own-") else None

    def is_known(self, proxy: str, /) -> bool:
        return proxy in self.own


class Client:
    """Applies responses as Envoy does: what it holds, by type."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, str]] = {}
        self.absent: set[Named] = set()
        """Virtual hosts that it was told do not exist."""
        self.unacknowledged: list[tuple[str, str]] = []
        """Types and nonces."""

    def apply(self, wire: bytes) -> discovery_pb2.DeltaDiscoveryResponse:
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(wire)
        held = self.held.setdefault(response.type_url, {})
        names = [each.name for each in response.resources]
        assert len(names) == len(set(names)), "Envoy refuses a response with a name twice"
        for each in response.resources:
            if each.HasField("resource"):
                held[each.name] = each.version
                self.absent.discard((response.type_url, each.name))
            else:
                assert each.version == EMPTY_VERSION and list(each.aliases) == [each.name]
                self.absent.add((response.type_url, each.name))
        for name in response.removed_resources:
            held.pop(name, None)
        self.unacknowledged.append((response.type_url, response.nonce))
        return response
