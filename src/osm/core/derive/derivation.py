"""Tables that are computed from other tables, kept right as their inputs change.

Stages run in the order in which they are given, and each reads only what stands before it; so one
pass brings everything up to date, and what is computed is computed once.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from osm.core.derive.dependencies import Changed, Dependencies
from osm.core.derive.reads import Recorder, Watched

V = TypeVar("V")

Table = dict[Any, Any]


class Derive(msgspec.Struct, frozen=True):
    """A value for each key of the table `over`, or none: `compute(view, key, value)`.

    Other tables are read through the view. When a computation raises, the key keeps its last value,
    or with `closed` has none, and the mistake is among the derivation's failures.
    """

    name: str
    over: str
    compute: Callable[[Any, Any, Any], Any]
    closed: bool = False


class Group(msgspec.Struct, frozen=True):
    """The keys of the table `over` by what `groups(key, value)` says: a sorted tuple for each group."""

    name: str
    over: str
    groups: Callable[[Any, Any], Iterable[Hashable]]


Stage = Derive | Group


class Derivation(Generic[V]):
    """All tables, inputs and derived ones. `make_view` gives computations their typed view of them."""

    def __init__(
        self,
        inputs: Sequence[str],
        stages: Sequence[Stage],
        make_view: Callable[[Mapping[str, Watched[Any, Any]]], V],
    ) -> None:
        self._stages = tuple(stages)
        self.tables: dict[str, Table] = {
            name: {} for name in (*inputs, *(stage.name for stage in stages))
        }
        self._recorder = Recorder()
        self._view = make_view(
            {name: Watched(name, table, self._recorder) for name, table in self.tables.items()}
        )
        self._dependencies = {stage.name: Dependencies[Hashable]() for stage in stages}
        self._grouped: dict[str, dict[Hashable, frozenset[Hashable]]] = {
            stage.name: {} for stage in stages if isinstance(stage, Group)
        }
        self.failures: dict[tuple[str, Hashable], str] = {}
        """Computations that raised, by table and key, and why."""

    def update(self, inputs: Mapping[str, Mapping[Any, Any]]) -> Changed:
        """Take new values of inputs (None: gone), and say what changed of all tables."""
        changed: dict[str, set[Hashable]] = {}
        for name, values in inputs.items():
            for key, value in values.items():
                self._set(changed, name, key, value)
        for stage in self._stages:
            if isinstance(stage, Group):
                self._regroup(stage, changed)
            else:
                self._recompute(stage, changed)
        return changed

    def _set(
        self, changed: dict[str, set[Hashable]], name: str, key: Hashable, value: object
    ) -> None:
        table = self.tables[name]
        if table.get(key) == value:
            return
        if value is None:
            del table[key]
        else:
            table[key] = value
        changed.setdefault(name, set()).add(key)

    def _recompute(self, stage: Derive, changed: dict[str, set[Hashable]]) -> None:
        dependencies = self._dependencies[stage.name]
        # A computation that raised is tried again with whatever changes next: it may have read little.
        keys = dependencies.affected(changed) | changed.get(stage.over, set())
        keys |= {key for table, key in self.failures if table == stage.name}
        source, table = self.tables[stage.over], self.tables[stage.name]
        for key in keys:
            value = None
            reads = self._recorder.fresh()
            given = source.get(key)
            if self.failures:
                self.failures.pop((stage.name, key), None)
            if given is not None:
                try:
                    value = stage.compute(self._view, key, given)
                except Exception as error:  # noqa: BLE001 - one mistake must harm nothing else
                    self.failures[stage.name, key] = f"{type(error).__name__}: {error}"
                    value = None if stage.closed else table.get(key)
            dependencies.record(key, reads)
            if value is not None or key in table:
                self._set(changed, stage.name, key, value)

    def _groups_of(self, stage: Group, key: Hashable, value: object) -> frozenset[Hashable]:
        """The groups of a key. One whose groups cannot be told is in none, until it changes."""
        self.failures.pop((stage.name, key), None)
        if value is None:
            return frozenset()
        try:
            return frozenset(stage.groups(key, value))
        except Exception as error:  # noqa: BLE001 - one mistake must harm nothing else
            self.failures[stage.name, key] = f"{type(error).__name__}: {error}"
            return frozenset()

    def _regroup(self, stage: Group, changed: dict[str, set[Hashable]]) -> None:
        source, table = self.tables[stage.over], self.tables[stage.name]
        grouped = self._grouped[stage.name]
        joined: dict[Hashable, list[Any]] = {}
        left: dict[Hashable, set[Hashable]] = {}
        for key in changed.get(stage.over, ()):
            value = source.get(key)
            before = grouped.pop(key, frozenset())
            after = self._groups_of(stage, key, value)
            if after:
                grouped[key] = after
            for group in after - before:
                joined.setdefault(group, []).append(key)
            for group in before - after:
                left.setdefault(group, set()).add(key)
        for group in joined.keys() | left.keys():
            gone = left.get(group, set())
            stay = (member for member in table.get(group, ()) if member not in gone)
            members = tuple(sorted([*stay, *joined.get(group, ())]))
            self._set(changed, stage.name, group, members or None)
