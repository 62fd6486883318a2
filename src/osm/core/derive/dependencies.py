"""Who looked at what, turned around: from what changed to who must look again."""

from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from osm.core.derive.few import Few, joined, parted
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
        self.nodes: Few[N] = ()


class Dependencies(Generic[N]):
    """The reads of each computation ("node"), in both directions."""

    def __init__(self) -> None:
        self._reads: dict[N, tuple[_Place[N], ...]] = {}
        self._places: dict[str, dict[Hashable, _Place[N]]] = {}

    def record(self, node: N, reads: Iterable[Read]) -> None:
        """Replace what a node has looked at. No read is given twice."""
        before = self._reads.get(node)
        after = []
        # Most of what a cold build does: it is worth a few lines.
        for table, key in reads:
            places = self._places.get(table)
            if places is None:
                places = self._places[table] = {}
            place = places.get(key)
            if place is None:
                place = places[key] = _Place(table, key)
            place.nodes = joined(place.nodes, node)
            after.append(place)
        if before:
            self._leave(node, set(before).difference(after))
        if after:
            self._reads[node] = tuple(after)
        elif before:
            del self._reads[node]

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
                found.update(place.nodes)
        return found

    def tables(self) -> set[str]:
        """The tables that nodes look at."""
        return {table for table, places in self._places.items() if places}

    def _leave(self, node: N, places: Iterable[_Place[N]]) -> None:
        for place in places:
            place.nodes = parted(place.nodes, node)
            if not place.nodes:
                del self._places[place.table][place.key]
