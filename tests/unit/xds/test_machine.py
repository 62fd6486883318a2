"""Whatever the order of events, a proxy ends up with what the catalog says, and with nothing else."""

from collections import deque
from itertools import count

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.xds.world import Client, Content, Seen, World, difference, render

from osm.core.derive.reads import Recorder
from osm.core.xds import types
from osm.core.xds.delta import DeltaStream
from osm.core.xds.distribution import Changes, Distribution
from osm.core.xds.resource import Resource
from osm.core.xds.stream_state import Response

CDS, EDS, VHDS = types.CLUSTER, types.ENDPOINT, types.VIRTUAL_HOST
PROXIES = ("p", "q")
SHARED = [(CDS, "a"), (EDS, "a"), (EDS, "b"), (VHDS, "a"), (VHDS, "b")]
ALIASES = {"a.long": "a", "a.red": "a", "b.long": "b"}
"""Other names of virtual hosts, each of which may come to stand for the other."""
OWN = [(CDS, "own-x")]
NAMED = [*SHARED, OWN[0], *((VHDS, alias) for alias in ALIASES)]
WHO = st.sampled_from(((0,), (1,), (0, 1)))


def value_for(seen: Seen, proxy: str, kind: str, name: str) -> Content | None:
    return seen.value(seen.scope(proxy, kind, name), kind, name)


EMPTIES = count(0, 1000)


class Peer:
    """A proxy with its stream: what `osm.ads.session` does, and what Envoy does, step by step."""

    def __init__(self, number: int, proxy: str, distribution: Distribution[str, Content]) -> None:
        self.number = number
        self.proxy = proxy
        self.distribution = distribution
        self.client = Client()
        self.subscribed: set[tuple[str, str]] = set()
        self.wildcard = False
        self.connect()

    def connect(self) -> None:
        self.stream = DeltaStream(empties=next(EMPTIES))
        self.asked: Changes = {}
        self.changed: Changes = {}
        self.wire: deque[Response] = deque()
        self.client.unacknowledged.clear()
        self.distribution.attach(self.number, self.proxy)

    def request(
        self,
        kind: str,
        *,
        subscribe: tuple[str, ...] = (),
        unsubscribe: tuple[str, ...] = (),
        nonce: str = "",
        error: str | None = None,
        held: dict[str, str] | None = None,
    ) -> None:
        received = self.stream.receive(
            kind,
            subscribe=subscribe,
            unsubscribe=unsubscribe,
            nonce=nonce,
            error=error,
            initial_versions=held,
        )
        self.distribution.release(self.number, kind, received.dropped)
        if "*" in unsubscribe:
            self.distribution.release_own(self.number, kind)
        self.asked.setdefault(kind, set()).update(received.asked)
        if received.everything:
            state = self.stream.types[kind]
            names = state.names | set(state.versions)
            if state.wildcard or kind in types.PUSHED_TYPES:
                names |= self.distribution.own_names(self.number, kind)
            self.changed.setdefault(kind, set()).update(names)

    def send(self) -> None:
        asked, self.asked = self.asked, {}
        changed, self.changed = self.changed, {}
        self.wire += self.stream.respond(
            lambda kind, name: self.distribution.lookup(self.number, kind, name),
            lambda kind: self.distribution.own_names(self.number, kind),
            asked=asked,
            changed=changed,
        )

    def settle(self) -> None:
        self.send()
        while self.wire:
            response = self.client.apply(self.wire.popleft().wire)
            self.request(response.type_url, nonce=response.nonce)
            self.client.unacknowledged.pop()
            self.send()


class Protocol(RuleBasedStateMachine):
    """Two proxies, a catalog that changes, and a wire that may be slow."""

    def __init__(self) -> None:
        super().__init__()
        own = {proxy: {OWN[0]: "1"} for proxy in PROXIES}
        self.world = World(dict.fromkeys(SHARED, "1"), own, ALIASES)
        self.built: list[Content] = []
        self.recorder = Recorder()
        self.distribution = Distribution[str, Content](
            Seen(self.world, self.recorder), self.render, self.recorder
        )
        self.peers = [Peer(n, proxy, self.distribution) for n, proxy in enumerate(PROXIES)]
        self.refused: set[tuple[int, str, str, str]] = set()

    def render(self, content: Content) -> Resource:
        self.built.append(content)
        return render(content)

    @rule(who=WHO, wanted=st.sets(st.sampled_from(NAMED), min_size=1))
    def subscribe(self, who: tuple[int, ...], wanted: set[tuple[str, str]]) -> None:
        for peer in (self.peers[number] for number in who):
            for kind, name in sorted(wanted):
                # A first request for clusters that names some is no wildcard.
                peer.request(kind, subscribe=(name,))
                peer.subscribed.add((kind, name))

    @rule(who=WHO, star=st.booleans())
    def want_everything(self, who: tuple[int, ...], star: bool) -> None:  # noqa: FBT001 - drawn
        for peer in (self.peers[number] for number in who):
            started = CDS in peer.stream.types
            peer.request(CDS, subscribe=("*",) if star or started else ())
            peer.wildcard = True

    @rule(who=st.sampled_from((0, 1)))
    def want_everything_no_more(self, who: int) -> None:
        peer = self.peers[who]
        if peer.wildcard:
            peer.request(CDS, unsubscribe=("*",))
            peer.wildcard = False
            # Envoy drops what it had only because of the wildcard.
            held = peer.client.held.get(CDS, {})
            for name in [n for n in held if (CDS, n) not in peer.subscribed]:
                del held[name]
            self.forget_unsent(peer, CDS)

    @rule(who=st.sampled_from((0, 1)), named=st.sampled_from(NAMED))
    def unsubscribe(self, who: int, named: tuple[str, str]) -> None:
        kind, name = named
        peer = self.peers[who]
        if named not in peer.subscribed or kind == VHDS:  # Envoy gives up no virtual host
            return
        peer.request(kind, unsubscribe=(name,))
        peer.subscribed.discard(named)
        if not (kind == CDS and peer.wildcard):
            peer.client.held.get(kind, {}).pop(name, None)
            peer.client.absent.discard(named)
            self.forget_unsent(peer, kind)

    def forget_unsent(self, peer: Peer, kind: str) -> None:
        """Envoy passes over resources that come late, for names it has dropped."""
        late = [r for r in peer.wire if r.type_url == kind]
        if late:
            peer.settle()
            held = peer.client.held.get(kind, {})
            for name in [n for n in held if not self.wants(peer, kind, n)]:
                del held[name]
            for named in [n for n in peer.client.absent if n not in peer.subscribed]:
                peer.client.absent.discard(named)

    def wants(self, peer: Peer, kind: str, name: str) -> bool:
        if (kind, name) in peer.subscribed:
            return True
        return kind == CDS and peer.wildcard and name in self.seen.names(peer.proxy, CDS)

    @property
    def seen(self) -> Seen:
        return Seen(self.world, Recorder())

    @rule(values=st.dictionaries(st.sampled_from(SHARED), st.sampled_from("12 "), min_size=1))
    def change_shared(self, values: dict[tuple[str, str], str]) -> None:
        shared = {n: text for n, text in {**self.world.shared, **values}.items() if text.strip()}
        self.publish(msgspec.structs.replace(self.world, shared=shared))

    @rule(proxy=st.sampled_from(PROXIES), text=st.sampled_from("12 "))
    def change_own(self, proxy: str, text: str) -> None:
        mine = {OWN[0]: text} if text.strip() else {}
        self.publish(msgspec.structs.replace(self.world, own={**self.world.own, proxy: mine}))

    @rule(aliases=st.dictionaries(st.sampled_from(sorted(ALIASES)), st.sampled_from("ab")))
    def change_aliases(self, aliases: dict[str, str]) -> None:
        self.publish(msgspec.structs.replace(self.world, aliases={**ALIASES, **aliases}))

    def publish(self, world: World) -> None:
        before, self.world = self.world, world
        old, new = Seen(before, Recorder()), Seen(world, Recorder())
        held = {
            peer.number: {
                (kind, name): value_for(old, peer.proxy, kind, name)
                for kind, state in peer.stream.types.items()
                for name in state.names
                | state.versions.keys()
                | (set(old.names(peer.proxy, kind)) if state.wildcard else set())
            }
            for peer in self.peers
        }
        seen = Seen(world, self.recorder)
        outcome = self.distribution.update(seen, difference(before, world))
        for number, changes in outcome.changes.items():
            peer = self.peers[number]
            for kind, names in changes.items():
                for name in names:
                    now = value_for(new, peer.proxy, kind, name)
                    known = held[number].get((kind, name))
                    assert known != now or name in set(old.names(peer.proxy, kind)) ^ set(
                        new.names(peer.proxy, kind)
                    ), f"stream {number} was told of {name}, which it does not hold"
                peer.changed.setdefault(kind, set()).update(names)

    @rule(who=st.sampled_from((0, 1)))
    def server_writes(self, who: int) -> None:
        self.peers[who].send()

    @precondition(lambda self: any(peer.wire for peer in self.peers))
    @rule(who=st.sampled_from((0, 1)))
    def client_reads(self, who: int) -> None:
        peer = self.peers[who]
        if peer.wire:
            peer.client.apply(peer.wire.popleft().wire)

    @rule(who=st.sampled_from((0, 1)))
    def client_acknowledges(self, who: int) -> None:
        peer = self.peers[who]
        if peer.client.unacknowledged:
            kind, nonce = peer.client.unacknowledged.pop(0)
            peer.request(kind, nonce=nonce)

    @rule(who=st.sampled_from((0, 1)), nonce=st.sampled_from(("0", "1", "5", "x")))
    def client_says_something_stale(self, who: int, nonce: str) -> None:
        peer = self.peers[who]
        pending = {n for kind in peer.stream.types.values() for n in kind.pending}
        if nonce not in pending:
            peer.request(EDS, nonce=nonce, error="stale")

    @rule(who=st.sampled_from((0, 1)))
    def reconnect(self, who: int) -> None:
        """What was on the wire is lost; the client says what it wants, and what it has."""
        peer = self.peers[who]
        self.distribution.detach(peer.number)
        peer.connect()
        for kind in (CDS, EDS, VHDS):
            names = sorted(name for k, name in peer.subscribed if k == kind)
            stars = ("*",) if kind == CDS and peer.wildcard else ()
            held = dict(peer.client.held.get(kind, {}))
            held |= {n: peer.client.empties[n] for k, n in peer.client.absent if k == kind}
            if names or stars or held:
                peer.request(kind, subscribe=(*stars, *names), held=held)

    @rule(who=WHO)
    def settle(self, who: tuple[int, ...]) -> None:
        for number in who:
            self.peers[number].settle()

    @rule()
    def everything_settles(self) -> None:
        for peer in self.peers:
            peer.settle()
            for kind in (CDS, EDS, VHDS):
                wanted = {name for k, name in peer.subscribed if k == kind}
                if kind == CDS and peer.wildcard:
                    wanted |= set(self.seen.names(peer.proxy, CDS))
                values = {name: value_for(self.seen, peer.proxy, kind, name) for name in wanted}
                expected = {v.name: render(v).version for v in values.values() if v}
                assert peer.client.held.get(kind, {}) == expected
                if kind == VHDS:
                    absent = {name for k, name in peer.client.absent}
                    assert absent.isdisjoint(name for name, value in values.items() if value)
            peer.send()
            assert not peer.wire, "there was something left to say"

    @invariant()
    def each_value_is_rendered_once_while_it_is_held(self) -> None:
        live = [held.value for held in self.distribution._held.values() if held.value]
        assert all(value in self.distribution._rendered for value in live)

    def teardown(self) -> None:
        self.everything_settles()
        assert self.distribution.built_total == len(self.built)


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(max_examples=250, stateful_step_count=40)
