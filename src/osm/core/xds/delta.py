"""One proxy's incremental xDS stream as a state machine (xDS protocol, "Incremental xDS").

The caller owns the socket. `receive` takes a request and says what the proxy wants to hold from then
on; `respond` turns the present resources into the responses that bring the proxy up to date. A
refused version is not sent again; what the proxy had before stays in place, as Envoy does by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from osm.core.xds import types
from osm.core.xds.resource import EMPTY_VERSION, Resource, encode_response, make_empty

Lookup = Callable[[str, str], Resource | None]
"""The present resource of a type and name, or None when there is none for this proxy."""

ABSENT = ""
"""The version of a resource that was asked for and does not exist."""

REFUSALS_KEPT = 20
PENDING_KEPT = 1000
"""A proxy that acknowledges nothing must not take ever more memory."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A proxy refused a response: the resources in it, and Envoy's words."""

    type_url: str
    resources: tuple[str, ...]
    message: str


class Response(msgspec.Struct, frozen=True, gc=False):
    """Bytes to send, and what they carry."""

    type_url: str
    nonce: str
    wire: bytes
    names: tuple[str, ...]
    removed: tuple[str, ...]


class Received(msgspec.Struct, frozen=True, gc=False):
    """What a request means for its type. `dropped` is no longer held, whoever asked for it."""

    asked: frozenset[str] = frozenset()
    """Names that must be answered, whatever their version."""
    everything: bool = False
    """The type must be looked at whole: its first request, or "everything that is mine" anew."""
    dropped: frozenset[str] = frozenset()
    refusal: Refusal | None = None


class TypeState(msgspec.Struct):
    """What a proxy holds of one type."""

    wildcard: bool = False
    names: set[str] = msgspec.field(default_factory=set)
    """Asked for by name."""
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    """What the proxy was sent, or said to hold when it connected; `ABSENT` when there was none."""
    pending: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Resources of the responses that are not acknowledged yet, by nonce."""
    started: bool = False
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    last_error: str = ""
    refusals: tuple[frozenset[str], ...] = ()
    """What was refused, response by response, until something of it was accepted or dropped."""


class DeltaStream:
    """The subscriptions of one stream and what has been sent on it."""

    def __init__(self, *, name_limit: int = 10_000) -> None:
        self.types: dict[str, TypeState] = {}
        self._nonce = 0
        self._name_limit = name_limit

    def receive(
        self,
        type_url: str,
        *,
        nonce: str = "",
        error: str | None = None,
        subscribe: Iterable[str] = (),
        unsubscribe: Iterable[str] = (),
        initial_versions: Mapping[str, str] | None = None,
    ) -> Received:
        """Take one request in. Names beyond the limit are cut; types that we do not serve count
        nothing.
        """
        if type_url not in types.ORDER:
            return Received()
        state = self.types.setdefault(type_url, TypeState())
        refusal = self._settle(state, type_url, nonce, error) if nonce else None
        is_first, state.started = not state.started, True
        wanted, unwanted = set(subscribe), set(unsubscribe)
        had_everything = state.wildcard
        # A first request that names nothing asks for everything (legacy wildcard).
        if type_url in types.WILDCARD_TYPES and ("*" in wanted or (is_first and not wanted)):
            state.wildcard = True
        wanted -= unwanted | {"*"}
        room = max(0, self._name_limit - len(state.names))
        asked = wanted & state.names | set(sorted(wanted - state.names)[:room])
        state.names |= asked
        if is_first:
            for name in sorted(initial_versions or {})[: self._name_limit]:
                version = (initial_versions or {})[name]
                state.versions[name] = ABSENT if version == EMPTY_VERSION else version
            # After a reconnection what is held and unchanged is not sent again.
            asked -= state.versions.keys()
        dropped = self._drop(state, unwanted)
        if state.wildcard:
            # Whether these are still held, as part of everything, the proxy cannot know.
            asked |= dropped
        everything = is_first or (state.wildcard and not had_everything)
        return Received(frozenset(asked), everything, frozenset(dropped), refusal)

    @staticmethod
    def _drop(state: TypeState, unwanted: set[str]) -> set[str]:
        if "*" in unwanted:
            state.wildcard = False
            unwanted = unwanted | (state.versions.keys() - state.names)
        dropped = (unwanted - {"*"}) & (state.names | state.versions.keys())
        state.names -= dropped
        for name in dropped:
            state.versions.pop(name, None)
        state.refusals = tuple(rest for each in state.refusals if (rest := each - dropped))
        return dropped

    def _settle(
        self, state: TypeState, type_url: str, nonce: str, error: str | None
    ) -> Refusal | None:
        names = state.pending.pop(nonce, None)
        if names is None:
            return None  # not ours, or settled before
        # A response is refused as a whole: what was wrong is mended when any of it is accepted.
        state.refusals = tuple(each for each in state.refusals if not each & set(names))
        if error is None:
            state.acknowledged += 1
            if not state.refusals:
                state.last_error = ""
            return None
        state.refused += 1
        state.last_error = error
        if names:
            state.refusals = (*state.refusals[1 - REFUSALS_KEPT :], frozenset(names))
        return Refusal(type_url, names, error)

    def respond(
        self,
        lookup: Lookup,
        wildcard: Callable[[str], tuple[str, ...]],
        *,
        asked: Mapping[str, AbstractSet[str]] | None = None,
        changed: Mapping[str, AbstractSet[str]] | None = None,
    ) -> list[Response]:
        """Responses that bring the proxy up to date: additions in order, then removals.

        `asked` names are answered even when unchanged. With `changed`, only those are looked at.
        """
        additions: list[Response] = []
        removals: list[Response] = []
        # A cluster that changes is warmed anew, and Envoy waits for its endpoints without asking for
        # them again, since it still holds them (measured): they go with it.
        with_clusters: set[str] = set()
        for type_url in types.ORDER:
            state = self.types.get(type_url)
            if state is None:
                continue
            held = state.names | state.versions.keys()
            if state.wildcard:
                held |= set(wildcard(type_url))
            must = set((asked or {}).get(type_url, ()))
            if type_url == types.ENDPOINT:
                must |= with_clusters & held
            look = held if changed is None else held & (must | changed.get(type_url, set()))
            fresh, gone = self._difference(state, type_url, sorted(look), must & held, lookup)
            if type_url == types.CLUSTER:
                with_clusters = {resource.endpoints for resource in fresh}
            if state.wildcard:
                gone += tuple(sorted(must - held))
            # Envoy goes on only when "everything of mine" was answered, be it with nothing.
            unanswered = state.wildcard and not state.sent
            if fresh or unanswered:
                additions.append(self._response(state, type_url, fresh, ()))
            if gone:
                removals.append(self._response(state, type_url, (), gone))
        return additions + removals[::-1]

    @staticmethod
    def _difference(
        state: TypeState, type_url: str, look: list[str], must: set[str], lookup: Lookup
    ) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
        fresh: list[Resource] = []
        gone: list[str] = []
        for name in look:
            resource = lookup(type_url, name)
            had = state.versions.get(name, ABSENT)
            if resource is not None:
                if had != resource.version or name in must:
                    fresh.append(resource)
                    state.versions[name] = resource.version
                continue
            if name in must and type_url == types.VIRTUAL_HOST:
                # Envoy answers 404 at once; after a removal the request would wait (measured).
                fresh.append(make_empty(name, aliases=(name,)))
            if had != ABSENT or (name in must and type_url != types.VIRTUAL_HOST):
                gone.append(name)
            if name in state.names:
                state.versions[name] = ABSENT
            else:
                state.versions.pop(name, None)
        return tuple(fresh), tuple(gone)

    def _response(
        self,
        state: TypeState,
        type_url: str,
        fresh: tuple[Resource, ...],
        gone: tuple[str, ...],
    ) -> Response:
        self._nonce += 1
        nonce = str(self._nonce)
        names = tuple(resource.name for resource in fresh)
        state.pending[nonce] = names + gone
        if len(state.pending) > PENDING_KEPT:
            del state.pending[next(iter(state.pending))]
        state.sent += 1
        return Response(type_url, nonce, encode_response(type_url, nonce, fresh, gone), names, gone)

    @property
    def in_sync(self) -> bool:
        """Everything sent is acknowledged, and nothing is refused."""
        return all(not s.pending and not s.refusals for s in self.types.values())
