"""One proxy's incremental xDS stream as a state machine (xDS protocol, "Incremental xDS").

The caller owns the socket. `receive` takes a request and says what the proxy wants to hold from then
on; `respond` turns the present resources into the responses that bring the proxy up to date.

A resource that was refused alone is not sent again; what the proxy had before stays in place, as Envoy
does by itself. But Envoy may refuse a response as a whole for one bad resource in it, good ones
included (measured: whatever fails when it is decoded). So what was refused together is sent again in
parts, until the bad ones have been refused alone and all others are in place.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet

from osm.core.xds import types
from osm.core.xds.blame import find_blamed, split_refused
from osm.core.xds.resource import EMPTY_VERSION, Resource, encode_response, make_empty
from osm.core.xds.stream_state import ABSENT, Pending, Received, Refusal, Response, TypeState

Lookup = Callable[[str, str], Resource | None]
"""The present resource of a type and name, or None when there is none for this proxy."""

Names = Mapping[str, AbstractSet[str]]
"""By type."""

NOTHING: frozenset[str] = frozenset()

REFUSALS_KEPT = 20
PENDING_KEPT = 1000
"""A proxy that acknowledges nothing must not take ever more memory."""


class DeltaStream:
    """The subscriptions of one stream and what has been sent on it.

    `now` is on a steady clock of the caller's, in seconds.
    """

    def __init__(
        self, *, empties: int = 0, name_limit: int = 10_000, claim_limit: int = 100_000
    ) -> None:
        """`empties` is a number above those of all empty resources that the proxy may have had."""
        self.types: dict[str, TypeState] = {}
        self._nonce = 0
        self._empties = empties
        self._name_limit = name_limit
        self._claim_limit = claim_limit

    def receive(
        self,
        type_url: str,
        *,
        nonce: str = "",
        error: str | None = None,
        subscribe: Collection[str] = (),
        unsubscribe: Collection[str] = (),
        initial_versions: Mapping[str, str] | None = None,
        now: float = 0.0,
    ) -> Received:
        """Take one request in. Names beyond the limit are cut; types that we do not serve count
        nothing.
        """
        state = self.types.get(type_url)
        if state is None:
            if type_url not in types.ORDER:
                return Received()
            state = self.types[type_url] = TypeState()
        refusal, took_s = None, None
        if nonce and (pending := state.pending.pop(nonce, None)) is not None:
            took_s = now - pending.sent_at
            refusal = self._settle(state, type_url, pending.names, error, now)
        if state.started and not subscribe and not unsubscribe:
            # Most requests: nothing but an answer.
            return Received(refusal=refusal, took_s=took_s, again=bool(state.again))
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
            claims = sorted((initial_versions or {}).items())
            for name, version in claims[: self._claim_limit]:
                if version.startswith(EMPTY_VERSION):
                    state.found[name] = ABSENT
                else:
                    state.versions[name] = version
            # After a reconnection what is held and unchanged is not sent again.
            asked = set()
        dropped = self._drop(state, unwanted)
        if state.wildcard:
            # Whether these are still held, as part of everything, the proxy cannot know.
            asked |= dropped
        everything = is_first or (state.wildcard and not had_everything)
        return Received(
            frozenset(asked), everything, bool(state.again), frozenset(dropped), refusal, took_s
        )

    @staticmethod
    def _drop(state: TypeState, unwanted: set[str]) -> set[str]:
        if "*" in unwanted:
            state.wildcard = False
            unwanted = unwanted | (state.versions.keys() - state.names)
        dropped = (unwanted - {"*"}) & (state.names | state.versions.keys())
        state.names -= dropped
        state.unknown -= dropped
        let_go = {state.found.pop(name, name) or name for name in dropped}
        for resource in let_go - set(state.found.values()):
            state.versions.pop(resource, None)
        state.refusals = tuple(rest for each in state.refusals if (rest := each - dropped))
        return dropped

    @staticmethod
    def _settle(
        state: TypeState, type_url: str, names: tuple[str, ...], error: str | None, now: float
    ) -> Refusal | None:
        # What was wrong is mended when any of what a refusal blames is accepted.
        if state.refusals:
            state.refusals = tuple(each for each in state.refusals if each.isdisjoint(names))
        if error is None:
            state.acknowledged += 1
            state.last_acknowledged = now
            if not state.refusals:
                state.last_error = ""
            return None
        state.refused += 1
        state.last_error = error
        blamed = find_blamed(names, error)
        if blamed:
            state.refusals = (*state.refusals[1 - REFUSALS_KEPT :], frozenset(blamed))
        state.again += split_refused(names, blamed)
        return Refusal(type_url, blamed, error)

    def respond(
        self,
        lookup: Lookup,
        own: Callable[[str], AbstractSet[str]],
        *,
        asked: Names,
        changed: Names,
        now: float = 0.0,
    ) -> list[Response]:
        """Responses that bring the proxy up to date: additions in order, then removals.

        `own` gives the names of a type that the proxy need not ask for. `asked` names are answered
        even when unchanged; of others only `changed` ones are looked at.
        """
        additions: list[Response] = []
        removals: list[Response] = []
        # A cluster that changes is warmed anew, and Envoy waits for its endpoints without asking for
        # them again, since it still holds them (measured): they go with it.
        with_clusters: set[str] = set()
        for type_url, state in self._in_order():
            must = asked.get(type_url, NOTHING)
            if type_url == types.ENDPOINT:
                must = must | (with_clusters & (state.names | state.versions.keys()))
            look = must | changed.get(type_url, NOTHING)
            # Envoy goes on only when "everything of mine" was answered, be it with nothing.
            unanswered = state.wildcard and not state.sent
            again, state.again = state.again, []
            if not (look or again or unanswered):
                continue  # a push of one resource costs nothing for the other types
            takes_own = state.wildcard or type_url in types.PUSHED_TYPES
            mine = own(type_url) if takes_own else NOTHING
            look = {n for n in look if n in state.names or n in state.versions or n in mine}
            fresh, gone = self._difference(state, type_url, look, must, mine, lookup)
            parts = [self._repeat(state, type_url, names, fresh, lookup) for names in again]
            if type_url == types.CLUSTER:
                sent = (fresh, *(present for present, _ in parts))
                with_clusters = {resource.endpoints for part in sent for resource in part}
            if state.wildcard:
                gone += tuple(sorted(must - look))
            if type_url in types.LEAF_TYPES:
                parts = [*_at_once(fresh, gone), *parts]
                gone = ()
            elif fresh or unanswered:
                additions.append(self._response(state, type_url, fresh, (), now))
            additions += [
                self._response(state, type_url, *part, now) for part in parts if any(part)
            ]
            if gone:
                removals.append(self._response(state, type_url, (), gone, now))
        return additions + removals[::-1]

    def _in_order(self) -> Iterator[tuple[str, TypeState]]:
        for type_url in types.ORDER:
            if type_url in self.types:
                yield type_url, self.types[type_url]

    def _difference(
        self,
        state: TypeState,
        type_url: str,
        look: AbstractSet[str],
        must: AbstractSet[str],
        own: AbstractSet[str],
        lookup: Lookup,
    ) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
        fresh: dict[str, Resource] = {}
        left: set[str] = set()
        gone: set[str] = set()
        for name in sorted(look):
            if name not in state.names and name not in own:
                left.add(name)  # held, and perhaps for a name that stood for it before
                continue
            resource = lookup(type_url, name)
            before = state.found.get(name)
            if resource is None:
                left.add(before or name)
                if name in state.names and (before is None or name in must):
                    if type_url == types.VIRTUAL_HOST:
                        # Envoy answers 404 at once; a removal leaves the request waiting (measured).
                        self._empties += 1
                        fresh[name] = make_empty(name, self._empties, aliases=(name,))
                    else:
                        gone.add(name)
            else:
                is_news = state.versions.get(resource.name) != resource.version or name in must
                if is_news and resource.wire:
                    fresh[resource.name] = resource
                    state.versions[resource.name] = resource.version
                if before and before != resource.name:
                    left.add(before)
            if name in state.names:
                _remember(state, name, resource)
        if left:
            left -= {*state.found.values(), *own}
            gone |= {resource for resource in left if state.versions.pop(resource, None)}
        return tuple(fresh.values()), tuple(sorted(gone))

    def _repeat(
        self,
        state: TypeState,
        type_url: str,
        names: tuple[str, ...],
        fresh: tuple[Resource, ...],
        lookup: Lookup,
    ) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
        """The present form of what was refused in company, without what has just changed and what
        is not held any more.
        """
        asked = {resource: name for name, resource in state.found.items()}
        anew = {resource.name for resource in fresh}
        present: list[Resource] = []
        absent: list[str] = []
        for name in names:
            if name in anew:
                continue
            if name in state.versions:
                resource = lookup(type_url, asked.get(name, name))
                if resource is not None and resource.name == name:
                    present.append(resource)
                    state.versions[name] = resource.version
            elif type_url == types.VIRTUAL_HOST and state.found.get(name) == ABSENT:
                self._empties += 1
                present.append(make_empty(name, self._empties, aliases=(name,)))
            else:
                absent.append(name)
        return tuple(present), tuple(absent)

    def _response(
        self,
        state: TypeState,
        type_url: str,
        fresh: tuple[Resource, ...],
        gone: tuple[str, ...],
        now: float,
    ) -> Response:
        self._nonce += 1
        nonce = str(self._nonce)
        names = tuple(resource.name for resource in fresh)
        state.pending[nonce] = Pending(names + gone, now)
        if len(state.pending) > PENDING_KEPT:
            del state.pending[next(iter(state.pending))]
        state.sent += 1
        state.last_sent = now
        return Response(type_url, nonce, encode_response(type_url, nonce, fresh, gone), names, gone)

    @property
    def unknown(self) -> int:
        """How many names the proxy has asked for that have nothing behind them."""
        return sum(len(state.unknown) for state in self.types.values())

    def refuses(self, type_url: str, name: str) -> bool:
        """Whether the proxy refused a resource, and has taken no newer one since."""
        state = self.types.get(type_url)
        return state is not None and any(name in each for each in state.refusals)

    @property
    def in_sync(self) -> bool:
        """Everything sent is acknowledged, and nothing is refused."""
        return all(not s.pending and not s.refusals for s in self.types.values())


def _at_once(
    fresh: tuple[Resource, ...], gone: tuple[str, ...]
) -> Iterator[tuple[tuple[Resource, ...], tuple[str, ...]]]:
    """What goes together with what comes, of types that nothing refers to: an added virtual host may
    have a domain of a removed one. What comes under a removed one's name follows, since no name may
    be in a response twice.
    """
    again = tuple(resource for resource in fresh if resource.name in gone)
    rest = tuple(resource for resource in fresh if resource.name not in gone)
    if rest or gone:
        yield rest, gone
    if again:
        yield again, ()


def _remember(state: TypeState, name: str, resource: Resource | None) -> None:
    """Note what a name that was asked for was answered with."""
    state.found[name] = resource.name if resource else ABSENT
    if resource is None or resource.placeholder:
        state.unknown.add(name)
    else:
        state.unknown.discard(name)
