"""One proxy's incremental xDS stream as a state machine (xDS protocol, "Incremental xDS").

The caller owns the socket. `receive` takes a request and says what the proxy wants to hold from then
on; `respond` turns the present resources into the responses that bring the proxy up to date. A
refused version is not sent again; what the proxy had before stays in place, as Envoy does by itself.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from osm.core.xds import types
from osm.core.xds.resource import Resource, encode_response, make_empty

Lookup = Callable[[str, str], Resource | None]
"""The present resource of a type and name, or None when there is none for this proxy."""

ABSENT = ""
"""The version of a resource that was asked for and does not exist."""


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
    refused_names: frozenset[str] = frozenset()
    """What the last refusal was about; empty as soon as a later response was accepted."""


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
    ) -> tuple[set[str], Refusal | None]:
        """Take one request in. Returns the names newly asked for, which must be answered whatever
        their version, and the refusal if it was one. Requests beyond the name limit are cut.
        """
        state = self.types.setdefault(type_url, TypeState())
        refusal = self._settle(state, type_url, nonce, error) if nonce else None
        asked = set(subscribe)
        if type_url in types.WILDCARD_TYPES:
            # A first request that names nothing asks for everything (legacy wildcard).
            if "*" in asked or (not state.started and not asked):
                state.wildcard = True
        asked.discard("*")
        asked = set(sorted(asked - state.names)[: max(0, self._name_limit - len(state.names))]) | (
            asked & state.names
        )
        state.started = True
        state.names |= asked
        for name, version in (initial_versions or {}).items():
            state.versions.setdefault(name, version)
        gone = set(unsubscribe)
        if "*" in gone:
            state.wildcard = False
        state.names -= gone
        for name in gone:
            state.versions.pop(name, None)
        if initial_versions:
            # After a reconnection what is held and unchanged is not sent again.
            asked = {name for name in asked if name not in initial_versions}
        return asked, refusal

    def _settle(
        self, state: TypeState, type_url: str, nonce: str, error: str | None
    ) -> Refusal | None:
        names = state.pending.pop(nonce, None)
        if names is None:
            return None  # not ours, or settled before
        if error is None:
            state.acknowledged += 1
            if not state.refused_names or state.refused_names & set(names):
                state.refused_names = frozenset()
                state.last_error = ""
            return None
        state.refused += 1
        state.last_error = error
        state.refused_names = frozenset(names)
        return Refusal(type_url, names, error)

    def respond(
        self,
        lookup: Lookup,
        wildcard: Callable[[str], tuple[str, ...]],
        *,
        asked: Mapping[str, set[str]] | None = None,
        changed: Mapping[str, set[str]] | None = None,
    ) -> list[Response]:
        """Responses that bring the proxy up to date: additions in order, then removals.

        `asked` names are answered even when unchanged. With `changed`, only those names are looked at.
        """
        additions: list[Response] = []
        removals: list[Response] = []
        for type_url in types.ORDER:
            state = self.types.get(type_url)
            if state is None:
                continue
            must = (asked or {}).get(type_url, set())
            look = self._candidates(state, type_url, wildcard, changed, must)
            fresh, gone = self._difference(state, type_url, look, must, lookup)
            # Envoy goes on only when "everything of mine" was answered, be it with nothing.
            unanswered = state.wildcard and not state.sent
            if fresh or unanswered:
                additions.append(self._response(state, type_url, fresh, ()))
            if gone:
                removals.append(self._response(state, type_url, (), gone))
        return additions + removals[::-1]

    def _candidates(
        self,
        state: TypeState,
        type_url: str,
        wildcard: Callable[[str], tuple[str, ...]],
        changed: Mapping[str, set[str]] | None,
        must: set[str],
    ) -> list[str]:
        held = state.names | set(state.versions)
        if state.wildcard:
            held |= set(wildcard(type_url))
        if changed is not None:
            held &= changed.get(type_url, set()) | must
        return sorted(held | must)

    @staticmethod
    def _difference(
        state: TypeState, type_url: str, look: list[str], must: set[str], lookup: Lookup
    ) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
        fresh: list[Resource] = []
        gone: list[str] = []
        for name in look:
            resource = lookup(type_url, name)
            had = state.versions.get(name)
            if resource is not None:
                if had != resource.version or name in must:
                    fresh.append(resource)
                    state.versions[name] = resource.version
            elif had in (None, ABSENT) and name in must and type_url == types.VIRTUAL_HOST:
                # Envoy answers 404 at once; after a removal the request would wait (measured).
                fresh.append(make_empty(name, aliases=(name,)))
                state.versions[name] = ABSENT
            elif had not in (None, ABSENT) or name in must:
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
        state.sent += 1
        return Response(type_url, nonce, encode_response(type_url, nonce, fresh, gone), names, gone)

    @property
    def in_sync(self) -> bool:
        """Everything sent is acknowledged, and nothing is refused."""
        return all(not s.pending and not s.refused_names for s in self.types.values())
