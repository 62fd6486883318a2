"""Notes what a computation looks at."""

from collections.abc import Hashable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from enum import Enum
from typing import TypeVar, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class Whole(Enum):
    """Stands for a table's key when all of the table was looked at."""

    WHOLE = "whole"


WHOLE = Whole.WHOLE

Read = tuple[str, Hashable]
"""A table's name, and a key in it or `WHOLE`."""


class Recorder:
    """Collects the reads of one computation after the other."""

    __slots__ = ("reads",)

    def __init__(self) -> None:
        self.reads: set[Read] = set()

    def fresh(self) -> set[Read]:
        """Begin with a new computation: the set that its reads go to from now on."""
        self.reads = set()
        return self.reads


class Watched(Mapping[K, V]):
    """A table as a computation sees it: read-only, and each look is noted."""

    __slots__ = ("_name", "_recorder", "_table")

    def __init__(self, name: str, table: Mapping[K, V], recorder: Recorder) -> None:
        self._name = name
        self._table = table
        self._recorder = recorder

    def __getitem__(self, key: K) -> V:
        self._recorder.reads.add((self._name, key))
        return self._table[key]

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D, /) -> V | D: ...
    def get(self, key: K, default: V | D | None = None, /) -> V | D | None:
        self._recorder.reads.add((self._name, key))
        return self._table.get(key, default)

    def __contains__(self, key: object) -> bool:
        self._recorder.reads.add((self._name, key))
        return key in self._table

    def __iter__(self) -> Iterator[K]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    # The inherited views would note each key by itself.
    def keys(self) -> KeysView[K]:
        return self._all().keys()

    def values(self) -> ValuesView[V]:
        return self._all().values()

    def items(self) -> ItemsView[K, V]:
        return self._all().items()

    def _all(self) -> Mapping[K, V]:
        self._recorder.reads.add((self._name, WHOLE))
        return self._table
