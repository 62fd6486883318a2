"""Who looked at what, turned around: from what changed to who must look again."""

from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from osm.core.derive.reads import WHOLE, Read

N = TypeVar("N", bound=Hashable)

Changed = Mapping[str, AbstractSet[Hashable]]
"""Keys that changed, appeared or went, by table."""


class Dependencies(Generic[N]):
    """The reads of each computation ("node"), in both directions."""

    def __init__(self) -> None:
        self._reads: dict[N, frozenset[Read]] = {}
        self._readers: dict[str, dict[Hashable, set[N]]] = {}

    def record(self, node: N, reads: Iterable[Read]) -> None:
        """Replace what a node has looked at."""
        after = frozenset(reads)
        before = self._reads.get(node, frozenset())
        if after == before:
            return
        self._unlink(node, before - after)
        for table, key in after - before:
            self._readers.setdefault(table, {}).setdefault(key, set()).add(node)
        if after:
            self._reads[node] = after
        else:
            self._reads.pop(node, None)

    def forget(self, node: N) -> None:
        """Drop a node that is not computed any more."""
        self._unlink(node, self._reads.pop(node, frozenset()))

    def affected(self, changed: Changed) -> set[N]:
        """Nodes that looked at something that changed."""
        found: set[N] = set()
        for table, keys in changed.items():
            readers = self._readers.get(table)
            if not readers or not keys:
                continue
            if len(keys) < len(readers):
                for key in keys:
                    found.update(readers.get(key, ()))
            else:
                for key, nodes in readers.items():
                    if key in keys:
                        found |= nodes
            found.update(readers.get(WHOLE, ()))
        return found

    def tables(self) -> set[str]:
        """The tables that nodes look at."""
        return {table for table, readers in self._readers.items() if readers}

    def _unlink(self, node: N, reads: Iterable[Read]) -> None:
        for table, key in reads:
            readers = self._readers[table]
            nodes = readers[key]
            nodes.discard(node)
            if not nodes:
                del readers[key]
