"""Who holds which resource, and what a change of the model changes for whom.

Resources are kept under their *scope*: whatever of a proxy the answer depends on. A resource that is
the same for all is looked up and rendered once, however many proxies hold it. What each answer was
made from is recorded (`osm.core.derive`), so that a change leads straight to the resources that it
may concern; all others are not even looked at.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from osm.core.derive.dependencies import Changed, Dependencies
from osm.core.derive.few import Few, joined, parted
from osm.core.derive.reads import Recorder
from osm.core.xds import types
from osm.core.xds.resource import Resource

Q_contra = TypeVar("Q_contra", contravariant=True)
Q = TypeVar("Q", bound=Hashable)
V = TypeVar("V", bound=Hashable)
V_co = TypeVar("V_co", bound=Hashable, covariant=True)


class Catalog(Protocol[Q_contra, V_co]):
    """What `Distribution` asks of a model: `osm.core.envoy.catalog` is the one that there is.

    `names` and `value` look at nothing but what the distribution's recorder sees. What a scope is,
    is the catalog's business: it takes back what it gave; but all catalogs give the same.
    """

    def names(self, proxy: Q_contra, type_url: str, /) -> tuple[str, ...]: ...

    def value(self, scope: Any, type_url: str, name: str, /) -> V_co | None: ...

    def scope(self, proxy: Q_contra, type_url: str, name: str, /) -> Hashable: ...

    def is_known(self, proxy: Q_contra, /) -> bool: ...


Key = tuple[str, str, Hashable]
"""Type, name and scope of a resource."""
Changes = dict[str, set[str]]
"""Names by type."""


class Rendered(msgspec.Struct, Generic[V]):
    """A value with its resource, and how many scopes share them."""

    value: V
    resource: Resource
    used: int = 0


class Held(msgspec.Struct, Generic[V]):
    """What somebody holds under a name: nothing, when there is nothing behind it."""

    key: Key
    rendered: Rendered[V] | None = None
    holders: Few[int] = ()

    @property
    def value(self) -> V | None:
        return self.rendered.value if self.rendered else None

    @property
    def resource(self) -> Resource | None:
        return self.rendered.resource if self.rendered else None


class Own(msgspec.Struct):
    """The names of a type that are a proxy's own, and the streams that were told."""

    names: frozenset[str]
    holders: Few[int] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What an update did: the streams that must be told, how much was looked at and built."""

    changes: Mapping[int, Changes]
    compared: int
    built: int


class Distribution(Generic[Q, V]):
    """The resources that streams hold under the present catalog. Streams are numbers."""

    def __init__(
        self, catalog: Catalog[Q, V], render: Callable[[V], Resource], recorder: Recorder
    ) -> None:
        self._catalog = catalog
        self._render = render
        self._recorder = recorder
        self._held: dict[Key, Held[V]] = {}
        self._own: dict[tuple[Q, str], Own] = {}
        self._dependencies: Dependencies[Key] = Dependencies()
        self._own_dependencies: Dependencies[tuple[Q, str]] = Dependencies()
        self._proxies: dict[int, Q] = {}
        self._keys: dict[int, set[Key]] = {}
        self._rendered: dict[V, Rendered[V]] = {}
        self.built_total = 0
        self.failures: dict[Key, str] = {}
        """Resources that cannot be built from what the model says, and why."""

    def attach(self, stream: int, proxy: Q) -> None:
        self._proxies[stream] = proxy
        self._keys[stream] = set()

    def detach(self, stream: int) -> None:
        """Forget a stream and what only it held."""
        for key in self._keys.pop(stream, set()):
            self._release(stream, key)
        proxy = self._proxies.pop(stream, None)
        if proxy is not None:
            for type_url in types.ORDER:
                self._release_own(stream, (proxy, type_url))

    def own_names(self, stream: int, type_url: str) -> frozenset[str]:
        """What a stream gets of a type without asking by name; it is told when that changes."""
        place = self._proxies[stream], type_url
        own = self._own.get(place)
        if own is None:
            own = self._own[place] = Own(self._find_names(place))
        own.holders = joined(own.holders, stream)
        return own.names

    def lookup(self, stream: int, type_url: str, name: str) -> Resource | None:
        """The present resource, held for this stream from now on.

        There is none for a proxy that is not known any more: what it sees must not become what
        others see, who share the resource with it.
        """
        proxy = self._proxies[stream]
        if not self._catalog.is_known(proxy):
            return None
        key = (type_url, name, self._catalog.scope(proxy, type_url, name))
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = Held(key)
            self._refresh(held)
        held.holders = joined(held.holders, stream)
        self._keys[stream].add(held.key)
        return held.resource

    def release(self, stream: int, type_url: str, names: Iterable[str]) -> None:
        """A stream no longer holds these."""
        proxy, keys = self._proxies[stream], self._keys[stream]
        for name in names:
            key = (type_url, name, self._catalog.scope(proxy, type_url, name))
            keys.discard(key)
            self._release(stream, key)

    def release_own(self, stream: int, type_url: str) -> None:
        """A stream no longer wants everything of a type that is its own."""
        self._release_own(stream, (self._proxies[stream], type_url))

    def update(self, catalog: Catalog[Q, V], changed: Changed) -> Outcome:
        """Take a new catalog that differs in what `changed` says; say which streams that concerns."""
        self._catalog = catalog
        changes: dict[int, Changes] = {}
        built_before = self.built_total
        # What could not be built is tried again whatever changes.
        keys = self._dependencies.affected(changed) | self.failures.keys()
        for key in keys:
            held = self._held[key]
            if self._refresh(held):
                for stream in held.holders:
                    changes.setdefault(stream, {}).setdefault(key[0], set()).add(key[1])
        places = self._own_dependencies.affected(changed)
        for place in places:
            own = self._own[place]
            before, own.names = own.names, self._find_names(place)
            difference = own.names ^ before
            for stream in own.holders if difference else ():
                changes.setdefault(stream, {}).setdefault(place[1], set()).update(difference)
        return Outcome(changes, len(keys) + len(places), self.built_total - built_before)

    def _find_names(self, place: tuple[Q, str]) -> frozenset[str]:
        reads = self._recorder.fresh()
        names = frozenset(self._catalog.names(*place))
        self._own_dependencies.record(place, reads)
        return names

    def _refresh(self, held: Held[V]) -> bool:
        """Bring one resource up to date; whether it changed. One that cannot be built stays as it is,
        and is tried again.
        """
        type_url, name, scope = held.key
        reads = self._recorder.fresh()
        before = held.rendered
        try:
            value = self._catalog.value(scope, type_url, name)
            if value != held.value:
                held.rendered = self._share(value)
        except Exception as error:  # noqa: BLE001 - a builder's mistake must harm nothing else
            self.failures[held.key] = f"{type(error).__name__}: {error}"
            return False
        finally:
            self._dependencies.record(held.key, reads)
        self.failures.pop(held.key, None)
        if held.rendered is before:
            return False
        self._unshare(before)
        return True

    def _share(self, value: V | None) -> Rendered[V] | None:
        """The one resource of equal values, built when the value is the first of its kind."""
        if value is None:
            return None
        known = self._rendered.get(value)
        if known is None:
            known = self._rendered[value] = Rendered(value, self._render(value))
            self.built_total += 1
        known.used += 1
        return known

    def _unshare(self, known: Rendered[V] | None) -> None:
        if known is None:
            return
        known.used -= 1
        if not known.used:
            del self._rendered[known.value]

    def _release(self, stream: int, key: Key) -> None:
        held = self._held.get(key)
        if held is None:
            return
        held.holders = parted(held.holders, stream)
        if not held.holders:
            del self._held[key]
            self._unshare(held.rendered)
            self._dependencies.forget(key)
            self.failures.pop(key, None)

    def _release_own(self, stream: int, place: tuple[Q, str]) -> None:
        own = self._own.get(place)
        if own is None:
            return
        own.holders = parted(own.holders, stream)
        if not own.holders:
            del self._own[place]
            self._own_dependencies.forget(place)
