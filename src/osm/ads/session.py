"""One connected proxy: its stream's state, and what waits to be sent to it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.envoy.catalog import Value
from osm.core.model.identity import ProxyIdentity
from osm.core.xds import types
from osm.core.xds.delta import DeltaStream
from osm.core.xds.distribution import Changes, Distribution
from osm.core.xds.stream_state import Received, Response, TypeState

REQUEST = "request"
"""The trigger of what a proxy asked for; other triggers are what changed."""
REFUSAL = "refusal"
"""The trigger of what is sent again in parts, since a proxy refused it in company."""

UNKNOWN_LIMIT = 256
"""Names that do not exist which a proxy may ask for before it is told all that do. An unknown address
costs it 26 kB, an unknown host 1 kB (measured with Envoy 1.40)."""

TOGETHER_S = 0.002
"""Names of one type that are asked for within so long of an answer are answered together: Envoy works on
all that it holds of a type for each response (measured: 100 at once take 126 ms in place of 560)."""


class TypeStatus(msgspec.Struct, frozen=True, gc=False):
    """What a proxy has of one type, and how its talk with us went."""

    type_url: str
    subscribed: int
    """Names that it asked for."""
    wildcard: bool
    """It also has everything of the type that is its own."""
    held: int
    bytes: int
    """Size on the wire of what it holds."""
    sent: int
    acknowledged: int
    refused: int
    pending: int
    """Responses that it has not answered yet."""
    sent_ago_s: float | None
    acknowledged_ago_s: float | None
    last_error: str


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Everything that there is to say at one moment, in order, and why."""

    responses: tuple[Response, ...] = ()
    queued_at: float = 0.0
    """When the first of it was asked for or changed, on the steady clock."""
    triggers: Mapping[str, AbstractSet[str]] = {}
    """By type, why there is something to say."""

    def why(self, type_url: str) -> AbstractSet[str]:
        """Return the triggers of a type's response. Endpoints that go with a cluster have its."""
        return self.triggers.get(type_url) or self.triggers.get(types.CLUSTER) or frozenset()


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
        guard: Callable[[ProxyIdentity], object],
        is_reconnect: bool = False,
    ) -> None:
        """`guard` is called when the proxy asks for too many names that do not exist."""
        self._guard = guard
        self._is_guarded = False
        self.is_reconnect = is_reconnect
        self.identity = proxy.identity.dns_name
        self.number = number
        self.proxy = proxy
        self.connected_at = connected_at
        self.version = ""
        self.writing_since: float | None = None
        """Since when a response waits for the proxy to take it, on the steady clock."""
        self.wake = asyncio.Event()
        """Set when there is something to say, or the stream must end."""
        self.stream = DeltaStream(empties=time.time_ns() // 1000)
        self._distribution = distribution
        self._asked: Changes = {}
        self._changed: Changes = {}
        self._whole: set[str] = set()
        self._triggers: dict[str, set[str]] = {}
        self._sizes: dict[str, tuple[tuple[int, int], int]] = {}
        self._queued_at: float | None = None
        self._expired = False
        self._closed = False
        distribution.attach(number, proxy)

    def take_request(self, request: discovery_pb2.DeltaDiscoveryRequest) -> Received:
        """Record one request of the proxy, and return what it meant."""
        if request.HasField("node"):
            version = request.node.user_agent_build_version.version
            self.version = f"{version.major_number}.{version.minor_number}.{version.patch}"
        # The one text that all proxies share.
        type_url = types.KNOWN.get(request.type_url, request.type_url)
        unsubscribe = request.resource_names_unsubscribe
        received = self.stream.receive(
            type_url,
            nonce=request.response_nonce,
            error=request.error_detail.message if request.HasField("error_detail") else None,
            subscribe=request.resource_names_subscribe,
            unsubscribe=unsubscribe,
            initial_versions=request.initial_resource_versions,
            now=time.monotonic(),
        )
        if unsubscribe:
            self._distribution.release(self.number, type_url, received.dropped)
            if "*" in unsubscribe:
                self._distribution.release_own(self.number, type_url)
        if received.asked:
            self._asked.setdefault(type_url, set()).update(received.asked)
        if received.everything:
            self._whole.add(type_url)
        if received.asked or received.everything:
            self._rouse(type_url, REQUEST)
        if received.again:
            self._rouse(type_url, REFUSAL)
        return received

    def mark_changed(self, changes: Mapping[str, Iterable[str]], *, trigger: str = "") -> None:
        """Resources that this proxy holds have changed, because of a change of kind `trigger`."""
        for type_url, names in changes.items():
            self._changed.setdefault(type_url, set()).update(names)
            self._rouse(type_url, trigger)

    def _rouse(self, type_url: str, trigger: str) -> None:
        if self._queued_at is None:
            self._queued_at = time.monotonic()
        self._triggers.setdefault(type_url, set()).add(trigger)
        self.wake.set()

    def pause_s(self, now: float) -> float:
        """How long to wait for more of the same before answering; 0 when the proxy waits for this alone.

        A first request asks for one type after the other, and is never held up.
        """
        sent = [
            state.last_sent
            for type_url in self._triggers
            if (state := self.stream.types.get(type_url)) is not None
        ]
        if not sent or None in sent:
            return 0.0
        return max(0.0, TOGETHER_S - (now - min(each for each in sent if each is not None)))

    def take_responses(self) -> Batch:
        """Return all there is to say now."""
        self.wake.clear()
        now = time.monotonic()
        queued_at, self._queued_at = self._queued_at, None
        if queued_at is None:
            return Batch()
        asked, self._asked = self._asked, {}
        changed, self._changed = self._changed, {}
        whole, self._whole = self._whole, set()
        triggers, self._triggers = self._triggers, {}
        for type_url in whole:
            # A type's first request is answered in full: everything of the proxy's own, and (after a
            # reconnection) whatever differs from the versions that it said it holds.
            state = self.stream.types[type_url]
            names = state.names | set(state.versions)
            if state.wildcard or type_url in types.PUSHED_TYPES:
                names |= self._distribution.own_names(self.number, type_url)
            changed.setdefault(type_url, set()).update(names)
        responses = self.stream.respond(
            lambda type_url, name: self._distribution.lookup(self.number, type_url, name),
            lambda type_url: self._distribution.own_names(self.number, type_url),
            asked=asked,
            changed=changed,
            now=now,
        )
        if self.stream.unknown > UNKNOWN_LIMIT and not self._is_guarded:
            self._is_guarded = True
            self._guard(self.proxy)
        return Batch(tuple(responses), queued_at, triggers)

    def type_status(self, now: float) -> tuple[TypeStatus, ...]:
        """Return the state of each type, in the order of delivery. `now` is on the steady clock."""
        statuses = []
        for type_url in types.ORDER:
            state = self.stream.types.get(type_url)
            if state is None:
                continue
            statuses.append(
                TypeStatus(
                    type_url=type_url,
                    subscribed=len(state.names),
                    wildcard=state.wildcard,
                    held=len(state.versions),
                    bytes=self._size(type_url, state),
                    sent=state.sent,
                    acknowledged=state.acknowledged,
                    refused=state.refused,
                    pending=len(state.pending),
                    sent_ago_s=_ago(now, state.last_sent),
                    acknowledged_ago_s=_ago(now, state.last_acknowledged),
                    last_error=state.last_error,
                )
            )
        return tuple(statuses)

    def _size(self, type_url: str, state: TypeState) -> int:
        """Size of what the proxy holds; summed anew only when it was sent or dropped something."""
        changed_at = (state.sent, len(state.versions))
        known = self._sizes.get(type_url)
        if known is not None and known[0] == changed_at:
            return known[1]
        asked = {resource: name for name, resource in state.found.items()}
        names = (asked.get(resource, resource) for resource in state.versions)
        present = (self._distribution.lookup(self.number, type_url, name) for name in names)
        size = sum(len(resource.wire) for resource in present if resource)
        self._sizes[type_url] = changed_at, size
        return size

    @property
    def is_expired(self) -> bool:
        return self._expired

    @property
    def is_closed(self) -> bool:
        return self._closed

    def expire(self) -> None:
        """The workload is gone: the stream must end, for its certificate proves nothing any more."""
        self._expired = True
        self.wake.set()

    def end(self) -> None:
        """The proxy says nothing any more: there is nobody to write to."""
        self._closed = True
        self.wake.set()

    def close(self) -> None:
        self._distribution.detach(self.number)


def _ago(now: float, then: float | None) -> float | None:
    return None if then is None else max(0.0, now - then)
