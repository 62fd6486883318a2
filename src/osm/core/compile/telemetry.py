"""Front end: Telemetry becomes the access log of workloads (`reference/osm.md` §7.10).

One Telemetry counts for a workload: one whose selector fits its labels, else one of its namespace,
else one of the mesh's namespace, which is about everybody. Of several the oldest counts.
"""

from collections.abc import Iterator

from osm.core.api.log_format import needs_req_without_query
from osm.core.api.manifest import Key
from osm.core.api.policy import AccessLog as WrittenLog
from osm.core.api.policy import OpenTelemetry, Telemetry
from osm.core.compile import codes
from osm.core.compile.extension import extension_server, extension_service, unreachable
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.precedence import oldest
from osm.core.compile.tables import (
    ONE,
    Tables,
    TelemetryChoice,
    TelemetryReach,
    Written,
)
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.extension import ExtensionServer
from osm.core.model.groups import POLICY
from osm.core.model.mesh import WorkloadKey
from osm.core.model.observation import AccessLog
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.workload import Workload

EVERYWHERE = ""
SERVICE_FIELD = "spec.accessLog.openTelemetry.extensionService"


def _reach(tables: Tables, key: Key, telemetry: Written[Telemetry]) -> TelemetryReach | None:
    """Whom it is about. The mesh's own namespace counts whether or not it is part of the mesh."""
    is_global = key.namespace == tables.options[ONE].namespace
    if not is_global and not is_meshed(tables, key.namespace):
        return None
    selector = tuple(sorted(telemetry.object.spec.selector.items()))
    label, value = selector[0] if selector else ("", "")
    where = EVERYWHERE if is_global else key.namespace
    return TelemetryReach((where, label, value), selector)


def _log(tables: Tables, key: Key, _: TelemetryReach) -> AccessLog:
    """What it says. One without `accessLog` means OSM's default format."""
    spec = tables.telemetry_objects[key].object.spec.access_log or WrittenLog()
    written = spec.open_telemetry
    server = _collector(tables, written) if written else None
    attributes = tuple(sorted(written.attributes.items())) if written and server else ()
    return AccessLog(
        origin=_origin(key, "spec.accessLog"),
        format=spec.format,
        collector=server,
        attributes=attributes,
        without_query=any(
            needs_req_without_query(text)
            for text in (spec.format, *(value for _, value in attributes))
        ),
    )


def _collector(tables: Tables, written: OpenTelemetry) -> ExtensionServer | None:
    """Where entries go, when that is a server which can take them."""
    name = written.extension_service
    service = extension_service(tables, name.namespace, name.name)
    server = extension_server(service.object.spec) if service else None
    return server if server and server.http2 else None


def _choice(tables: Tables, _: WorkloadKey, workload: Workload) -> TelemetryChoice | None:
    for rank in _ranks(tables, workload):
        winner = oldest(tables.telemetry_objects, rank) if len(rank) > 1 else rank[0]
        if winner is not None:
            return TelemetryChoice(winner, tuple(each for each in rank if each != winner))
    return None


def _ranks(tables: Tables, workload: Workload) -> Iterator[tuple[Key, ...]]:
    """The Telemetries that fit a workload, the most particular ones first; no rank is empty."""
    places = (workload.namespace, EVERYWHERE)
    labels = set(workload.labels)
    found = [
        tuple(
            key
            for label, value in workload.labels
            for key in tables.telemetries_at.get((place, label, value), ())
            if labels.issuperset(tables.telemetry_reach[key].selector)
        )
        for place in places
    ]
    found += [tables.telemetries_at.get((place, "", ""), ()) for place in places]
    yield from (rank for rank in found if rank)


def _findings(tables: Tables, key: Key, reach: TelemetryReach) -> tuple[Finding, ...] | None:
    telemetry = tables.telemetry_objects[key]
    log, where = telemetry.object.spec.access_log, telemetry.where
    found: list[Finding] = []
    if log and log.open_telemetry:
        found += _collector_findings(tables, key, log.open_telemetry, where)
    users = tables.telemetry_users.get(key, ())
    winners = {tables.telemetry_choices[user].winner for user in users} - {key}
    found += [_second(key, winner, where) for winner in sorted(winners)]
    if reach.selector and not users:
        found.append(_nobody(key, reach, where))
    return tuple(found) or None


def _collector_findings(
    tables: Tables, key: Key, written: OpenTelemetry, where: str
) -> list[Finding]:
    name, origin = written.extension_service, _origin(key, SERVICE_FIELD)
    service = extension_service(tables, name.namespace, name.name)
    if service is None:
        return [_no_service(origin, name.namespace, name.name, where)]
    server = extension_server(service.object.spec)
    if not server.http2:
        return [_http1(origin, name.namespace, name.name, where)]
    there = unreachable(tables, server, origin, where)
    return [there] if there else []


def _origin(key: Key, field: str) -> Origin:
    return Origin("Telemetry", key.namespace, key.name, field, POLICY)


def _no_service(origin: Origin, namespace: str, name: str, where: str) -> Finding:
    return Finding(
        codes.TELEMETRY_NO_SERVICE,
        Severity.ERROR,
        origin,
        f"ExtensionService {namespace}/{name} does not exist, so no collector gets the access logs; "
        "the proxies print them all the same",
        "Create it, or correct namespace and name.",
        where,
    )


def _http1(origin: Origin, namespace: str, name: str, where: str) -> Finding:
    return Finding(
        codes.TELEMETRY_HTTP1,
        Severity.ERROR,
        origin,
        f"ExtensionService {namespace}/{name} has protocol http1, and OpenTelemetry's access logs "
        "are sent by gRPC, which needs HTTP/2: no collector gets them",
        "Write `protocol: h2c`, and the collector's port for OTLP over gRPC (mostly 4317).",
        where,
    )


def _second(key: Key, winner: Key, where: str) -> Finding:
    return Finding(
        codes.TELEMETRY_TWICE,
        Severity.WARNING,
        _origin(key, "spec.selector"),
        f"{winner}, which is older, is about the same workloads, and counts for them",
        "Keep one of them, or let their selectors be about different workloads.",
        where,
    )


def _nobody(key: Key, reach: TelemetryReach, where: str) -> Finding:
    labels = ", ".join(f"{name}={value}" for name, value in reach.selector)
    place = f"in namespace {reach.place[0]} " if reach.place[0] else ""
    return Finding(
        codes.TELEMETRY_NOBODY,
        Severity.WARNING,
        _origin(key, "spec.selector"),
        f"no workload {place}has the labels {labels}, so this object has no effect",
        "Correct the labels, or wait for the workload.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    Derive("telemetry_reach", "telemetry_objects", _reach),
    Group("telemetries_at", "telemetry_reach", lambda _, reach: (reach.place,)),
    Derive("telemetry_logs", "telemetry_reach", _log),
    Derive("telemetry_choices", "workloads", _choice),
    Group(
        "telemetry_users",
        "telemetry_choices",
        lambda _, choice: (choice.winner, *choice.others),
    ),
    Derive(
        "access_logs",
        "telemetry_choices",
        lambda tables, _, choice: tables.telemetry_logs[choice.winner],
    ),
    Derive("telemetry_findings", "telemetry_reach", _findings),
)
