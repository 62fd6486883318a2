"""Values as people give them, put together and checked; the messages name what is meant."""

import difflib
import re
from collections.abc import Iterator, Mapping

import msgspec

from osm.core.install.former_values import FORMER, Former
from osm.core.install.settings_check import refuse_wrong_settings
from osm.core.install.values import Values
from osm.errors import ConfigError

Tree = Mapping[str, object]
"""Values as `values.yaml` writes them. None takes a default away."""
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_HINTS: Mapping[str, str] = {
    "osm.certificateProvider.kind": "Vault and cert-manager come with a later release; use tresor.",
}


class Remark(msgspec.Struct, frozen=True, order=True):
    """A value that has no effect: its name, why, and what to do instead."""

    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path} has no effect: {self.message}" + (f" {self.hint}" if self.hint else "")


class Reading(msgspec.Struct, frozen=True):
    """The values, and what is to be said about them. `given` is what differs from the defaults."""

    values: Values
    remarks: tuple[Remark, ...]
    given: Tree


def merged(*trees: Tree) -> dict[str, object]:
    """Trees put into one, as Helm does: mappings are merged, anything else is replaced by the later."""
    result: dict[str, object] = {}
    for tree in trees:
        for name, value in tree.items():
            old = result.get(name)
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                result[name] = merged(old, value)
            else:
                result[name] = merged(value) if isinstance(value, Mapping) else value
    return result


def read_values(given: Tree) -> Reading:
    """The defaults with what is given. Raises `ConfigError` for what nobody knows or cannot be."""
    mine, remarks = _without_former(given, "")
    defaults = Values().tree()
    _refuse_unknown(mine, defaults, "")
    full = _without_none(merged(defaults, mine), "")
    _refuse_missing(full, defaults, "")
    try:
        values = msgspec.convert(full, Values)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None
    refuse_wrong_settings(full)
    return Reading(values, tuple(sorted(remarks)), mine)


def _without_former(tree: Tree, above: str) -> tuple[dict[str, object], list[Remark]]:
    kept: dict[str, object] = {}
    remarks: list[Remark] = []
    for name, value in tree.items():
        path = f"{above}{name}"
        former = FORMER.get(path)
        if former is not None:
            remarks += _remarks(path, former, value)
        elif isinstance(value, Mapping) and path in _PARENTS:
            kept[name], found = _without_former(value, f"{path}.")
            remarks += found
        else:
            kept[name] = value
    return kept, remarks


def _remarks(path: str, former: Former, value: object) -> Iterator[Remark]:
    """None when the value says that the thing is not wanted."""
    if value:
        yield Remark(path, former.why, former.instead)


def _parents() -> frozenset[str]:
    found: set[str] = set()
    for path in FORMER:
        while "." in path:
            path = path.rpartition(".")[0]  # noqa: PLW2901 walks upwards
            found.add(path)
    return frozenset(found)


_PARENTS = _parents()
FREE = frozenset(
    {
        "osm.osmController.affinity",
        "osm.osmController.nodeSelector",
        "osm.osmController.podLabels",
        "osm.osmController.resource.limits",
        "osm.osmController.resource.requests",
    }
)
"""Mappings whose keys are people's own."""


def _refuse_unknown(tree: Tree, known: Tree, above: str) -> None:
    for name, value in tree.items():
        path = f"{above}{name}"
        if name not in known:
            raise ConfigError(f"there is no value {path}", hint=_nearest(name, above, known))
        inner = known[name]
        if isinstance(inner, Mapping) and path not in FREE:
            if not isinstance(value, Mapping):
                names = ", ".join(f"{path}.{each}" for each in list(inner)[:3])
                raise ConfigError(
                    f"{path} holds other values and has none itself", hint=f"Set {names} …"
                )
            _refuse_unknown(value, inner, f"{path}.")


def _nearest(name: str, above: str, known: Tree) -> str:
    here = [*known, *(p.rpartition(".")[2] for p in FORMER if p.rpartition(".")[0] + "." == above)]
    near = difflib.get_close_matches(name, here, 1, 0.6) or _elsewhere(name)
    if near:
        full = near[0] if "." in near[0] else f"{above}{near[0]}"
        return f"Did you mean {full}?"
    return f"There are: {', '.join(f'{above}{each}' for each in sorted(known))}."


def _elsewhere(name: str) -> list[str]:
    """The paths of all values, and of what holds some, that end in this name."""
    paths = [path.split(".") for path in all_paths(Values().tree())]
    return [".".join(path[: path.index(name) + 1]) for path in paths if name in path]


def all_paths(tree: Tree, above: str = "") -> Iterator[str]:
    """The name of each value."""
    for name, value in tree.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and path not in FREE:
            yield from all_paths(value, f"{path}.")
        else:
            yield path


def _without_none(tree: Tree, above: str) -> dict[str, object]:
    """What is taken away is not there; of mappings with people's own keys, nothing is left."""
    result: dict[str, object] = {}
    for name, value in tree.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            result[name] = _without_none(value, f"{path}.")
        elif value is not None or path in FREE:
            result[name] = {} if value is None else value
    return result


def _refuse_missing(tree: Tree, defaults: Tree, above: str) -> None:
    """Of what was taken away: a mapping with people's own keys may be empty, and nothing else."""
    for name, default in defaults.items():
        path = f"{above}{name}"
        value = tree.get(name)
        if isinstance(default, Mapping) and isinstance(value, Mapping) and path not in FREE:
            _refuse_missing(value, default, f"{path}.")
        elif value is None:
            raise ConfigError(f"{path} cannot be null", hint="Leave it out for its default.")


def _explained(text: str) -> ConfigError:
    match = _PLACE.fullmatch(text)
    assert match is not None
    path = match["path"] or ""
    hint = _HINTS.get(path, "")
    if not hint and match["what"].startswith("Expected `str`, got `"):
        hint = f"Quote it, or use --set-string {path}=…"
    return ConfigError(f"the value {path} cannot be used: {match['what']}", hint=hint)
