"""What is wrong with a Service by itself, in a mesh."""

from collections.abc import Iterator

from osm.core.api.kubernetes import Service, ServicePortSpec
from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.findings.labels import unknown_keys
from osm.core.compile.findings.places import origin_of
from osm.core.compile.kubernetes import APPLICATION_PROTOCOLS, name_protocol, port_protocol
from osm.core.compile.tables import ServiceShape, Tables
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.origin import Finding, Severity
from osm.core.model.reserved import reserved_for

_KNOWN_PORTS = {
    21: ("FTP", "tcp-server-first"),
    22: ("SSH", "tcp-server-first"),
    25: ("SMTP", "tcp-server-first"),
    53: ("DNS", "tcp"),
    110: ("POP3", "tcp-server-first"),
    143: ("IMAP", "tcp-server-first"),
    389: ("LDAP", "tcp"),
    443: ("HTTPS", "tls"),
    465: ("SMTP over TLS", "tls"),
    587: ("SMTP", "tcp-server-first"),
    636: ("LDAP over TLS", "tls"),
    993: ("IMAP over TLS", "tls"),
    995: ("POP3 over TLS", "tls"),
    1433: ("SQL Server", "tcp"),
    1521: ("Oracle", "tcp"),
    1883: ("MQTT", "tcp"),
    2181: ("ZooKeeper", "tcp"),
    3306: ("MySQL", "tcp-server-first"),
    3389: ("RDP", "tcp"),
    4222: ("NATS", "tcp-server-first"),
    5432: ("PostgreSQL", "tcp"),
    5671: ("AMQP over TLS", "tls"),
    5672: ("AMQP", "tcp"),
    6379: ("Redis", "tcp"),
    8443: ("HTTPS", "tls"),
    8883: ("MQTT over TLS", "tls"),
    9042: ("Cassandra", "tcp"),
    9092: ("Kafka", "tcp"),
    11211: ("memcached", "tcp"),
    27017: ("MongoDB", "tcp"),
}
"""What is mostly spoken on ports that have a name for it, and the `appProtocol` of that."""


def _findings(tables: Tables, key: Key, _: ServiceShape) -> tuple[Finding, ...] | None:
    written = tables.service_objects[key]
    service: Service = written.object
    where = written.where
    found = [
        finding
        for index, port in enumerate(service.spec.ports)
        for finding in _port_findings(key, index, port, where)
    ]
    if service.metadata.labels or service.metadata.annotations:
        found += unknown_keys(key.kind, origin_of(key, "metadata"), service.metadata, where)
    return tuple(found) or None


def _port_findings(key: Key, index: int, port: ServicePortSpec, where: str) -> Iterator[Finding]:
    if port.protocol not in ("", "TCP"):
        yield _not_tcp(key, index, port, where)
        return
    said = name_protocol(port.name)
    meant = port_protocol(port)
    if meant is None:
        yield _unknown_protocol(key, index, port, where)
    elif said and port.app_protocol and said.is_http != meant.is_http:
        yield _contradiction(key, index, port, where)
    elif not said and not port.app_protocol:
        yield from _looks_otherwise(key, index, port, where)
    if isinstance(port.target_port, int) and (use := reserved_for(port.target_port)):
        yield Finding(
            codes.RESERVED_PORT,
            Severity.ERROR,
            origin_of(key, f"spec.ports[{index}].targetPort"),
            f"port {port.target_port} of a pod is its proxy's ({use}), so nobody reaches a program "
            "there",
            "Let the program listen on another port.",
            where,
        )


def _unknown_protocol(key: Key, index: int, port: ServicePortSpec, where: str) -> Finding:
    return Finding(
        codes.APP_PROTOCOL,
        Severity.WARNING,
        origin_of(key, f"spec.ports[{index}].appProtocol"),
        f"appProtocol {port.app_protocol!r} is not known; the port is treated as tcp",
        "Use one of: " + ", ".join(sorted(APPLICATION_PROTOCOLS)),
        where,
    )


def _contradiction(key: Key, index: int, port: ServicePortSpec, where: str) -> Finding:
    return Finding(
        codes.PROTOCOL_CONTRADICTION,
        Severity.WARNING,
        origin_of(key, f"spec.ports[{index}]"),
        f"the port's name, {port.name!r}, says one protocol and its appProtocol, "
        f"{port.app_protocol!r}, another; appProtocol counts",
        "Give the port another name, or correct appProtocol.",
        where,
    )


def _looks_otherwise(key: Key, index: int, port: ServicePortSpec, where: str) -> Iterator[Finding]:
    numbers = (port.port, port.target_port)
    number = next((n for n in numbers if isinstance(n, int) and n in _KNOWN_PORTS), None)
    if number is not None:
        known, protocol = _KNOWN_PORTS[number]
        yield Finding(
            codes.NOT_HTTP,
            Severity.WARNING,
            origin_of(key, f"spec.ports[{index}]"),
            f"port {number} mostly speaks {known}, and without a protocol it is treated as HTTP",
            f"Add `appProtocol: {protocol}`; or `appProtocol: http`, if it does speak HTTP.",
            where,
        )


def _not_tcp(key: Key, index: int, port: ServicePortSpec, where: str) -> Finding:
    return Finding(
        codes.NOT_TCP,
        Severity.INFO,
        origin_of(key, f"spec.ports[{index}].protocol"),
        f"port {port.port} is {port.protocol}, which is not part of the mesh: no proxy sees it",
        "Nothing encrypts it, and no access rule guards it. A NetworkPolicy can.",
        where,
    )


STAGES: tuple[Stage, ...] = (Derive("service_findings", "service_shapes", _findings),)
