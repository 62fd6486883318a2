"""One connected proxy: its stream's state, and what waits to be sent to it."""

import asyncio
from collections.abc import Iterable, Mapping

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.envoy.catalog import Value
from osm.core.model.identity import ProxyIdentity
from osm.core.xds.delta import DeltaStream, Refusal, Response
from osm.core.xds.distribution import Changes, Distribution


class Session:
    """What a proxy asked for and what it must be told. Filled by the reader, emptied by the writer.

    Whatever changes while a slow proxy's connection is full is merged: it gets the newest state once.
    """

    def __init__(
        self,
        number: int,
        proxy: ProxyIdentity,
        distribution: Distribution[ProxyIdentity, Value],
        connected_at: float,
        *,
        is_reconnect: bool = False,
    ) -> None:
        self.is_reconnect = is_reconnect
        self.identity = proxy.identity.dns_name
        self.number = number
        self.proxy = proxy
        self.connected_at = connected_at
        self.version = ""
        self.sent_at: dict[str, float] = {}
        """When each response went out that is not answered yet, by nonce, on a steady clock."""
        self.stream = DeltaStream()
        self._distribution = distribution
        self._asked: Changes = {}
        self._changed: Changes = {}
        self._whole: set[str] = set()
        self._expired = False
        self._wake = asyncio.Event()
        distribution.attach(number, proxy)

    def take_request(self, request: discovery_pb2.DeltaDiscoveryRequest) -> Refusal | None:
        """Record one request of the proxy. Returns its refusal, if it is one."""
        if request.HasField("node"):
            version = request.node.user_agent_build_version.version
            self.version = f"{version.major_number}.{version.minor_number}.{version.patch}"
        received = self.stream.receive(
            request.type_url,
            nonce=request.response_nonce,
            error=request.error_detail.message if request.HasField("error_detail") else None,
            subscribe=request.resource_names_subscribe,
            unsubscribe=request.resource_names_unsubscribe,
            initial_versions=dict(request.initial_resource_versions),
        )
        self._distribution.release(self.number, request.type_url, received.dropped)
        if "*" in request.resource_names_unsubscribe:
            self._distribution.release_own(self.number, request.type_url)
        if received.asked:
            self._asked.setdefault(request.type_url, set()).update(received.asked)
        if received.everything:
            self._whole.add(request.type_url)
        if received.asked or received.everything:
            self._wake.set()
        return received.refusal

    def mark_changed(self, changes: Mapping[str, Iterable[str]]) -> None:
        """Resources that this proxy holds have changed."""
        for type_url, names in changes.items():
            self._changed.setdefault(type_url, set()).update(names)
        self._wake.set()

    async def next_responses(self) -> list[Response]:
        """Wait until there is something to say, and return all of it, in order."""
        await self._wake.wait()
        self._wake.clear()
        asked, self._asked = self._asked, {}
        changed, self._changed = self._changed, {}
        whole, self._whole = self._whole, set()
        for type_url in whole:
            # A type's first request is answered in full: everything of the proxy's own, and (after a
            # reconnection) whatever differs from the versions that it said it holds.
            state = self.stream.types[type_url]
            names = state.names | set(state.versions)
            if state.wildcard:
                names |= set(self._distribution.own_names(self.number, type_url))
            changed.setdefault(type_url, set()).update(names)
        return self.stream.respond(
            lambda type_url, name: self._distribution.lookup(self.number, type_url, name),
            lambda type_url: self._distribution.own_names(self.number, type_url),
            asked=asked,
            changed=changed,
        )

    @property
    def is_expired(self) -> bool:
        return self._expired

    def expire(self) -> None:
        """The workload is gone: the stream must end, for its certificate proves nothing any more."""
        self._expired = True
        self._wake.set()

    def close(self) -> None:
        self._distribution.detach(self.number)
