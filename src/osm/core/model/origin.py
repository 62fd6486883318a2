"""Where a rule came from, and what is wrong with what people wrote."""

from enum import StrEnum

import msgspec

from osm.core.model.groups import CONFIG


class Origin(msgspec.Struct, frozen=True, order=True, gc=False):
    """The object and the field that something came from.

    `field` is a path such as `spec.rules[0].matches[1]`; empty means the whole object.
    """

    kind: str
    namespace: str
    name: str
    field: str = ""
    group: str = ""

    def __str__(self) -> str:
        name = "/".join(part for part in (self.namespace, self.name) if part)
        return " ".join(part for part in (self.kind, name, self.field) if part)


def mesh_config_origin(field: str) -> Origin:
    """A field of the one MeshConfig, wherever it stands."""
    return Origin("MeshConfig", "", "osm-mesh-config", field, CONFIG)


class Severity(StrEnum):
    """How bad a finding is. An error keeps the object (or the part it names) from taking effect."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(msgspec.Struct, frozen=True, order=True, gc=False):
    """One mistake in what people wrote: a stable code, where, what is wrong, and what to do.

    `where` is `file:line` when the object came from a file, and empty otherwise.
    """

    code: str
    severity: Severity
    origin: Origin | None
    message: str
    hint: str = ""
    where: str = ""

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where, str(self.origin or "")) if part)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} [{self.code}]" + (f"\n  {self.hint}" if self.hint else "")
