"""Front end: Services of type ExternalName, which are aliases.

An alias of a service of the mesh is called as that service is, at its ports; an alias of something
beyond the mesh is called by who may call that. Where it leads is followed through other aliases to the
end. One that leads to the caller's own machine, or in a circle, leads nowhere.
"""

from collections.abc import Callable

import msgspec

from osm.core.api.hosts import check_host, is_loopback
from osm.core.api.kubernetes import Service
from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.tables import AliasRead, Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.alias import Alias
from osm.core.model.directory import service_names
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.service import ServiceName
from osm.core.model.way_out import is_unreachable

Find = Callable[[ServiceName], str | None]
"""The external name of a service, empty when it has none; None when there is no such service."""


class End(msgspec.Struct, frozen=True):
    """Where an alias leads: to a service, to a host, or (`circle`, `forbidden`) nowhere."""

    via: tuple[ServiceName, ...]
    service: ServiceName | None = None
    host: str = ""
    circle: bool = False
    forbidden: bool = False


def follow(start: ServiceName, external_name: str, find: Find) -> End:
    """Follow an alias to its end. Names are understood as in the namespace where they stand."""
    via: list[ServiceName] = []
    place, text = start, external_name
    while place not in via:
        via.append(place)
        host = text.lower().removesuffix(".")
        found = next(
            ((name, known) for name in service_names(host, place.namespace)
             if (known := find(name)) is not None),
            None,
        )  # fmt: skip
        passed = tuple(via[1:])
        if found is None:
            return End(passed, host=host, forbidden=_is_forbidden(host))
        if not found[1]:
            return End(passed, service=found[0])
        place, text = found
    return End(tuple(via[1:]), circle=True)


def _is_forbidden(host: str) -> bool:
    if check_host(host) is not None or is_loopback(host):
        return True
    is_address = host.replace(".", "").isdecimal()
    return is_address and is_unreachable(host)


def _read(tables: Tables, key: Key, service: Written[Service]) -> AliasRead | None:
    spec = service.object.spec
    if (
        spec.type != "ExternalName"
        or not spec.external_name
        or not is_meshed(tables, key.namespace)
    ):
        return None
    origin = Origin("Service", key.namespace, key.name, "spec.externalName")
    end = follow(
        ServiceName(key.namespace, key.name), spec.external_name, lambda n: _find(tables, n)
    )
    if end.circle:
        return AliasRead(None, (_circle(origin, end, service.where),))
    if end.forbidden:
        return AliasRead(None, (_forbidden(origin, end, service.where),))
    return AliasRead(Alias(origin, end.service, end.host, end.via))


def _find(tables: Tables, name: ServiceName) -> str | None:
    """What is not in the mesh is beyond it."""
    found = tables.service_objects.get(Key("", "Service", name.namespace, name.name))
    if found is None or not is_meshed(tables, name.namespace):
        return None
    spec = found.object.spec
    if spec.type != "ExternalName":
        return ""
    return None if name.subdomain else spec.external_name or None


def _circle(origin: Origin, end: End, where: str) -> Finding:
    passed = " and ".join(str(name) for name in end.via)
    return Finding(
        codes.ALIAS_CIRCLE,
        Severity.ERROR,
        origin,
        f"it leads back to itself{' by ' + passed if passed else ''}, so it stands for nothing",
        "Name the service or the host that is meant.",
        where,
    )


def _forbidden(origin: Origin, end: End, where: str) -> Finding:
    passed = f" (by {' and '.join(str(name) for name in end.via)})" if end.via else ""
    return Finding(
        codes.ALIAS_FORBIDDEN,
        Severity.ERROR,
        origin,
        f"{end.host[:80]!r}{passed} is no host that a call can leave the mesh for: the caller's own "
        "machine, an address of one link only, or no host name",
        "Name a host beyond the mesh, or a service of it. What runs beside a program is its localhost.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    Derive("aliases_read", "service_objects", _read),
    Derive("alias_findings", "aliases_read", lambda _, __, read: read.findings or None),
    Group(
        "alias_owners",
        "aliases_read",
        lambda key, read: (ServiceName(key.namespace, key.name),) if read.alias else (),
    ),
    Derive("aliases", "alias_owners", lambda tables, _, keys: tables.aliases_read[keys[0]].alias),
)
