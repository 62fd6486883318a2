"""Who looked at what, turned around: from what changed to who must look again."""

from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from osm.core.derive.reads import WHOLE, Read

N = TypeVar("N", bound=Hashable)

Changed = Mapping[str, AbstractSet[Hashable]]
"""Keys that changed, appeared or went, by table."""


class _Place(Generic[N]):
    """One key of one table, and who looked at it. There is one for all who did, since they are many."""

    __slots__ = ("key", "nodes", "table")

    def __init__(self, table: str, key: Hashable) -> None:
        self.table = table
        self.key = key
        self.nodes: set[N] = set()


class Dependencies(Generic[N]):
    """The reads of each computation ("node"), in both directions."""

    def __init__(self) -> None:
        self._reads: dict[N, tuple[_Place[N], ...]] = {}
        self._places: dict[str, dict[Hashable, _Place[N]]] = {}

    def record(self, node: N, reads: Iterable[Read]) -> None:
        """Replace what a node has looked at."""
        before = set(self._reads.get(node, ()))
        after = {self._place(table, key) for table, key in reads}
        for place in after - before:
            place.nodes.add(node)
        self._leave(node, before - after)
        if after:
            self._reads[node] = tuple(after)
        else:
            self._reads.pop(node, None)

    def forget(self, node: N) -> None:
        """Drop a node that is not computed any more."""
        self._leave(node, self._reads.pop(node, ()))

    def affected(self, changed: Changed) -> set[N]:
        """Nodes that looked at something that changed."""
        found: set[N] = set()
        for table, keys in changed.items():
            places = self._places.get(table)
            if not places or not keys:
                continue
            if len(keys) < len(places):
                touched = [places[key] for key in keys if key in places]
            else:
                touched = [place for key, place in places.items() if key in keys]
            if WHOLE in places:
                touched.append(places[WHOLE])
            for place in touched:
                found |= place.nodes
        return found

    def tables(self) -> set[str]:
        """The tables that nodes look at."""
        return {table for table, places in self._places.items() if places}

    def _place(self, table: str, key: Hashable) -> _Place[N]:
        places = self._places.setdefault(table, {})
        place = places.get(key)
        if place is None:
            place = places[key] = _Place(table, key)
        return place

    def _leave(self, node: N, places: Iterable[_Place[N]]) -> None:
        for place in places:
            place.nodes.discard(node)
            if not place.nodes:
                del self._places[place.table][place.key]
