"""Who holds which resource, and what a new model changes for whom.

Resources are kept under their *scope*: whatever of a proxy the answer depends on. A resource that is
the same for all is looked up, rendered and compared once, however many proxies hold it.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from osm.core.xds.resource import Resource

Q_contra = TypeVar("Q_contra", contravariant=True)
Q = TypeVar("Q")
V = TypeVar("V", bound=Hashable)
V_co = TypeVar("V_co", bound=Hashable, covariant=True)


class Catalog(Protocol[Q_contra, V_co]):
    """What `Distribution` asks of a model: `osm.core.envoy.catalog` is the one that there is."""

    def names(self, proxy: Q_contra, type_url: str, /) -> tuple[str, ...]: ...

    def value(self, proxy: Q_contra, type_url: str, name: str, /) -> V_co | None: ...

    def scope(self, proxy: Q_contra, type_url: str, name: str, /) -> Hashable: ...

    def is_known(self, proxy: Q_contra, /) -> bool: ...


Key = tuple[str, str, Hashable]
Changes = dict[str, set[str]]
"""Names by type."""


class Held(msgspec.Struct, Generic[V]):
    """One resource that somebody holds."""

    value: V | None
    resource: Resource | None
    holders: set[int] = msgspec.field(default_factory=set)


class Outcome(msgspec.Struct, frozen=True):
    """What an update did: the streams that must be told, how much was looked at and built."""

    changes: Mapping[int, Changes]
    compared: int
    built: int


class Distribution(Generic[Q, V]):
    """The resources that streams hold under the present catalog. Streams are numbers."""

    def __init__(self, catalog: Catalog[Q, V], render: Callable[[V], Resource]) -> None:
        self._catalog = catalog
        self._render = render
        self._held: dict[Key, Held[V]] = {}
        self._proxies: dict[int, Q] = {}
        self._keys: dict[int, dict[tuple[str, str], Key]] = {}
        self._own: dict[tuple[int, str], tuple[str, ...]] = {}
        self._rendered: dict[V, Resource] = {}
        self.built_total = 0
        self.failures: dict[tuple[str, str], str] = {}
        """Resources, by type and name, that cannot be built from what the model says, and why."""

    def attach(self, stream: int, proxy: Q) -> None:
        self._proxies[stream] = proxy
        self._keys[stream] = {}

    def detach(self, stream: int) -> None:
        """Forget a stream and what only it held."""
        for key in self._keys.pop(stream, {}).values():
            self._release(stream, key)
        self._proxies.pop(stream, None)
        for own in [own for own in self._own if own[0] == stream]:
            del self._own[own]

    def own_names(self, stream: int, type_url: str) -> tuple[str, ...]:
        """What a stream gets of a type without asking by name, remembered for the next comparison."""
        names = self._catalog.names(self._proxies[stream], type_url)
        self._own[stream, type_url] = names
        return names

    def lookup(self, stream: int, type_url: str, name: str) -> Resource | None:
        """The present resource, held for this stream from now on.

        There is none for a proxy that is not known any more: what it sees must not become what
        others see, who share the resource with it.
        """
        if not self._catalog.is_known(self._proxies[stream]):
            return None
        key = self._keys[stream].get((type_url, name))
        if key is None:
            key = (type_url, name, self._catalog.scope(self._proxies[stream], type_url, name))
            self._keys[stream][type_url, name] = key
        held = self._held.get(key)
        if held is None:
            value = self._catalog.value(self._proxies[stream], type_url, name)
            held = self._held[key] = Held(None, None)
            self._set(key, held, value)
        held.holders.add(stream)
        return held.resource

    def release(self, stream: int, type_url: str, names: Iterable[str]) -> None:
        """A stream no longer holds these."""
        for name in names:
            key = self._keys[stream].pop((type_url, name), None)
            if key is not None:
                self._release(stream, key)

    def release_own(self, stream: int, type_url: str) -> None:
        """A stream no longer wants everything of a type that is its own."""
        self._own.pop((stream, type_url), None)

    def update(self, catalog: Catalog[Q, V]) -> Outcome:
        """Take a new catalog; say which streams hold something that it changes."""
        self._catalog = catalog
        changes: dict[int, Changes] = {}
        built_before = self.built_total
        compared = len(self._held)
        for key, held in list(self._held.items()):
            type_url, name, _ = key
            proxies = (self._proxies[stream] for stream in held.holders)
            proxy = next((p for p in proxies if catalog.is_known(p)), None)
            if proxy is None:
                # Nobody who may see it holds it: whoever asks next must not find what these saw.
                for stream in held.holders:
                    self._keys[stream].pop((type_url, name))
                self._forget(key)
            else:
                value = catalog.value(proxy, type_url, name)
                if value == held.value or not self._set(key, held, value):
                    continue
            for stream in held.holders:
                changes.setdefault(stream, {}).setdefault(type_url, set()).add(name)
        for (stream, type_url), before in list(self._own.items()):
            names = self.own_names(stream, type_url)
            if names != before:
                difference = set(names) ^ set(before)
                changes.setdefault(stream, {}).setdefault(type_url, set()).update(difference)
        live = {held.value for held in self._held.values()}
        self._rendered = {v: r for v, r in self._rendered.items() if v in live}
        return Outcome(changes, compared, self.built_total - built_before)

    def _set(self, key: Key, held: Held[V], value: V | None) -> bool:
        """Whether the value could be rendered. If not, what is held stays, and is tried again."""
        try:
            held.resource = self._resource(value)
        except Exception as error:  # noqa: BLE001 - a builder's mistake must harm nothing else
            self.failures[key[:2]] = f"{type(error).__name__}: {error}"
            return False
        held.value = value
        self.failures.pop(key[:2], None)
        return True

    def _resource(self, value: V | None) -> Resource | None:
        if value is None:
            return None
        known = self._rendered.get(value)
        if known is None:
            known = self._rendered[value] = self._render(value)
            self.built_total += 1
        return known

    def _release(self, stream: int, key: Key) -> None:
        held = self._held.get(key)
        if held is None:
            return
        held.holders.discard(stream)
        if not held.holders:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        del self._held[key]
        self.failures.pop(key[:2], None)
