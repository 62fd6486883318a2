"""A small world of resources for tests of the protocol, and a client that does as Envoy does."""

from collections.abc import Mapping

import msgspec

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.derive.dependencies import Changed
from osm.core.derive.reads import Recorder, Watched
from osm.core.xds import types
from osm.core.xds.resource import EMPTY_VERSION, Resource, make_resource

Named = tuple[str, str]


class Content(msgspec.Struct, frozen=True):
    """What stands behind a name. A virtual host has all the names that it is asked for by."""

    name: str
    text: str
    type_url: str = types.CLUSTER
    aliases: tuple[str, ...] = ()


def resource(name: str, text: str = "1", type_url: str = types.CLUSTER) -> Resource:
    return render(Content(name, text, type_url))


def render(content: Content) -> Resource:
    """Any message will do; Envoy would look at its type, the protocol does not."""
    text = ",".join((content.text, *content.aliases))
    message = cluster_pb2.Cluster(name=content.name, alt_stat_name=text)
    return make_resource(content.name, message, aliases=content.aliases)


class World(msgspec.Struct, frozen=True):
    """Resources by type and name: shared ones, and those that are a proxy's own."""

    shared: Mapping[Named, str] = {}
    own: Mapping[str, Mapping[Named, str]] = {}
    """By proxy; a proxy that is not in here is not known."""
    aliases: Mapping[str, str] = {}
    """Other names of virtual hosts."""


class Seen:
    """A catalog: a world, each look at which is recorded."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._shared = Watched("shared", world.shared, recorder)
        self._own = Watched("own", world.own, recorder)
        self._aliases = Watched("aliases", world.aliases, recorder)

    def names(self, proxy: str, type_url: str, /) -> tuple[str, ...]:
        found = self._own.get(proxy, {})
        return tuple(sorted(name for kind, name in found if kind == type_url))

    def value(self, scope: str | None, type_url: str, name: str, /) -> Content | None:
        if scope is not None:
            text = self._own.get(scope, {}).get((type_url, name))
            return None if text is None else Content(name, text, type_url)
        aliases: tuple[str, ...] = ()
        if type_url == types.VIRTUAL_HOST:
            name = self._aliases.get(name, name)
            others = (alias for alias, host in self._aliases.items() if host == name)
            aliases = (name, *sorted(others))
        text = self._shared.get((type_url, name))
        return None if text is None else Content(name, text, type_url, aliases)

    def scope(self, proxy: str, _type_url: str, name: str, /) -> str | None:
        return proxy if name.startswith("own-") else None

    def is_known(self, proxy: str, /) -> bool:
        return proxy in self._own


def difference(before: World, after: World) -> Changed:
    """What changed between two worlds."""
    return {
        field: {
            key
            for key in getattr(before, field).keys() | getattr(after, field).keys()
            if getattr(before, field).get(key) != getattr(after, field).get(key)
        }
        for field in World.__struct_fields__
    }


class Client:
    """Applies responses as Envoy does: what it holds, by type."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, str]] = {}
        self.absent: set[Named] = set()
        """Virtual hosts that it was told do not exist."""
        self.aliases: dict[str, frozenset[str]] = {}
        """Of the virtual hosts that it holds: no two may claim one name, as with Envoy's domains."""
        self.empties: dict[str, str] = {}
        """The version of each name that it was told does not exist."""
        self.unacknowledged: list[tuple[str, str]] = []
        """Types and nonces."""

    def apply(self, wire: bytes) -> discovery_pb2.DeltaDiscoveryResponse:
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(wire)
        held = self.held.setdefault(response.type_url, {})
        names = [each.name for each in response.resources]
        names += response.removed_resources
        assert len(names) == len(set(names)), "Envoy refuses a response with a name twice"
        for each in response.resources:
            if each.HasField("resource"):
                held[each.name] = each.version
                self.absent -= {(response.type_url, n) for n in (each.name, *each.aliases)}
                self.aliases[each.name] = frozenset(each.aliases)
            else:
                assert each.version.startswith(EMPTY_VERSION)
                assert each.version != self.empties.get(each.name), "Envoy sees a heartbeat"
                assert list(each.aliases) == [each.name]
                self.empties[each.name] = each.version
                self.absent.add((response.type_url, each.name))
        for name in response.removed_resources:
            held.pop(name, None)
        if response.type_url == types.VIRTUAL_HOST:
            claimed = [alias for name in held for alias in self.aliases[name]]
            assert len(claimed) == len(set(claimed)), "Envoy refuses hosts with one same domain"
        self.unacknowledged.append((response.type_url, response.nonce))
        return response
