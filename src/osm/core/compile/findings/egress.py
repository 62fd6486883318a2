"""What is wrong with an Egress or a Retry, seen with workloads, services and other objects."""

from collections.abc import Iterator
from ipaddress import IPv4Network

from osm.core.api.manifest import Key
from osm.core.api.policy import Egress, Retry
from osm.core.compile import codes
from osm.core.compile.findings.identities import Of, absent
from osm.core.compile.findings.places import origin_of
from osm.core.compile.tables import ONE, EgressRead, Tables, Written
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.directory import service_names
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Severity
from osm.core.model.retry import RetryKey
from osm.core.model.service import PortName


def _of_egress(tables: Tables, key: Key, written: Written[Egress]) -> tuple[Finding, ...] | None:
    read = tables.egress_read.get(key)
    if read is None or not (read.http or read.connections):
        return None  # it has no effect, and its front end says why
    egress, where = written.object, written.where
    domain = tables.options[ONE].trust_domain
    sources = [
        (f"spec.sources[{index}]", Identity(domain, each.namespace, each.name))
        for index, each in enumerate(egress.spec.sources)
    ]
    of = Of(key, where, "nobody may leave because of it")
    found = list(absent(tables, codes.EGRESS_SOURCE, sources, of))
    found += _in_mesh(tables, key, egress, where)
    found += _overruled(tables, key, read, where)
    return tuple(dict.fromkeys(found)) or None


def _in_mesh(tables: Tables, key: Key, egress: Egress, where: str) -> Iterator[Finding]:
    ports = [port.number for port in egress.spec.ports if port.protocol == "http"]
    spaces = sorted({source.namespace for source in egress.spec.sources})
    for index, host in enumerate(egress.spec.hosts):
        named = (
            PortName(service, port)
            for space in spaces
            for service in service_names(host, space)
            for port in ports
        )
        found = next((name for name in named if name in tables.services), None)
        if found is not None:
            yield Finding(
                codes.EGRESS_IN_MESH,
                Severity.WARNING,
                origin_of(key, f"spec.hosts[{index}]"),
                f"{host} is service {found} of the mesh, which comes first: this Egress allows "
                "nothing there",
                "A TrafficTarget says who may call a service of the mesh.",
                where,
            )


def _overruled(tables: Tables, key: Key, read: EgressRead, where: str) -> Iterator[Finding]:
    """Where a caller may open any connection to a port, hosts of requests and of TLS mean nothing."""
    mine = {e.port: (e.matches[0].ranges, "http") for e in read.http if e.matches}
    mine |= {each.port: (each.ranges, "https") for each in read.connections if each.tls}
    for source in read.sources:
        for other in tables.egress_of.get(source, ()):
            for open_ in tables.egress_read[other].connections:
                ranges, spoken = mine.get(open_.port, ((), ""))
                if open_.tls or not spoken or not _overlap(open_.ranges, ranges):
                    continue
                place = ", ".join(open_.ranges) or "every address"
                yield Finding(
                    codes.EGRESS_TCP,
                    Severity.WARNING,
                    origin_of(key, "spec.ports"),
                    f"{open_.origin} lets {source.short} open any connection to port {open_.port} of "
                    f"{place}, so the hosts and matches for {spoken} here limit nothing there",
                    "Give the tcp port `ipAddresses` of its own, or take it out.",
                    where,
                )


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return True
    return any(IPv4Network(a).overlaps(IPv4Network(b)) for a in one for b in other)


def _of_retry(tables: Tables, key: Key, _: tuple[RetryKey, ...]) -> tuple[Finding, ...] | None:
    if not tables.settings[ONE].retries:
        return None
    retry: Retry = tables.retry_objects[key].object
    source = Identity(tables.options[ONE].trust_domain, *_source(retry))
    of = Of(key, tables.retry_objects[key].where, "nothing is retried because of it")
    return tuple(absent(tables, codes.RETRY_SOURCE, [("spec.source", source)], of)) or None


def _source(retry: Retry) -> tuple[str, str]:
    return retry.spec.source.namespace, retry.spec.source.name


STAGES: tuple[Stage, ...] = (
    Derive("egress_effect_findings", "egress_objects", _of_egress),
    Derive("retry_effect_findings", "retry_pairs", _of_retry),
)
