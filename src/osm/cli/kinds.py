"""The kinds that people name on the command line."""

import click

from osm.cli.names import OBJECT, shortened
from osm.core.api.registry import KINDS, Kind, find_kind

_ALL = "all"
_NOT_IN_ALL = frozenset({"Namespace", "ServiceAccount", "ConfigMap", "Secret", "Endpoints"})


def parse_kinds(text: str) -> tuple[Kind, ...]:
    """Find the kinds in `tt,services`, or every kind that a mesh acts on in `all`."""
    found: dict[tuple[str, str], Kind] = {}
    for name in text.split(","):
        if name.strip().lower() == _ALL:
            kinds = tuple(kind for kind in KINDS if kind.kind not in _NOT_IN_ALL)
        else:
            kind = find_kind(name)
            if kind is None:
                raise click.BadParameter(
                    f"{shortened(name)} is not a kind of object. There are: {_known()}.",
                    param_hint="'KIND'",
                )
            kinds = (kind,)
        found |= {(kind.group, kind.kind): kind for kind in kinds}
    return tuple(found.values())


def split_reference(text: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Read `KIND/NAME`, which is what `apply` and `-o name` print, as a kind and its first name."""
    kind, slash, name = text.partition("/")
    return (kind, (OBJECT.convert(name, None, None), *names)) if slash else (text, names)


def is_pod(kind: Kind) -> bool:
    """Tell whether the kind's objects are the workloads that run."""
    return (kind.group, kind.kind) == ("", "Pod")


def kind_reference(kind: Kind) -> str:
    """Write `traffictarget.access.smi-spec.io`, or `service`."""
    name = kind.kind.lower()
    return f"{name}.{kind.group}" if kind.group else name


def _known() -> str:
    return ", ".join(kind.plural for kind in KINDS if kind.supported)
