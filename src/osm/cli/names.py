"""The names that people type, checked before anything is done with them.

A name becomes part of a path or of a URL only after it passed here.
"""

import re
from collections.abc import Iterable

import click

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MESH_LENGTH = 20
"""The mesh's name is part of the paths of unix sockets, which end at 107 bytes."""
DEFAULT_NAMESPACE = "default"
_SHOWN = 60


def is_label(text: str) -> bool:
    """Tell whether text is a DNS label: a namespace or a mesh."""
    return _LABEL.fullmatch(text) is not None


def is_object_name(text: str) -> bool:
    """Tell whether text can be the name of an object."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def shortened(text: str) -> str:
    """Quote a name for a message, however long it is."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return repr(shown)


class _Name(click.ParamType[str]):
    """A name that must pass a check."""

    def __init__(self, name: str, rule: str) -> None:
        self.name = name
        self.rule = rule

    def accepts(self, text: str) -> bool:
        return is_label(text)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not self.accepts(value):
            self.fail(
                f"{shortened(value)} is not the name of {self.name}: {self.rule}.", param, ctx
            )
        return value


class _MeshName(_Name):
    def accepts(self, text: str) -> bool:
        return is_label(text) and len(text) <= _MESH_LENGTH


class _ObjectName(_Name):
    def accepts(self, text: str) -> bool:
        return is_object_name(text)


class _WorkloadName(_Name):
    def accepts(self, text: str) -> bool:
        namespace, slash, name = text.rpartition("/")
        return is_object_name(name) and (is_label(namespace) if slash else True)


_LABEL_RULE = "use lower-case letters, digits and '-', at most {} characters"
NAMESPACE = _Name("a namespace", _LABEL_RULE.format(63))
MESH = _MeshName("a mesh", _LABEL_RULE.format(_MESH_LENGTH))
OBJECT = _ObjectName("an object", "use lower-case letters, digits, '-' and '.'")
WORKLOAD = _WorkloadName("a workload", "use NAME or NAMESPACE/NAME")
CLUSTER_MESH = _Name("a mesh", _LABEL_RULE.format(63))
"""A mesh on a cluster has no sockets, so its name may be longer."""


def split_namespaces(values: Iterable[str]) -> tuple[str, ...]:
    """The namespaces of an option that may be repeated, and name several each time: `a,b`."""
    names = dict.fromkeys(name.strip() for value in values for name in value.split(","))
    return tuple(NAMESPACE.convert(name, None, None) for name in names if name)
