"""Servers that proxies tell something, as people write them, and what is wrong with where they are."""

from osm.core.api.duration import parse_duration
from osm.core.api.extension_service import ExtensionService, ExtensionServiceSpec
from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.tables import Tables, Written
from osm.core.model.directory import service_names
from osm.core.model.extension import ExtensionServer
from osm.core.model.groups import CONFIG
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.service import PortName

_CLUSTER_NAMES = (".svc", ".svc.cluster", ".svc.cluster.local")


def extension_service(
    tables: Tables, namespace: str, name: str
) -> Written[ExtensionService] | None:
    """The ExtensionService of this name, in whatever namespace: it need not be part of the mesh."""
    return tables.extension_services.get(Key(CONFIG, "ExtensionService", namespace, name))


def extension_server(spec: ExtensionServiceSpec) -> ExtensionServer:
    """Where the server is. What speaks gRPC needs HTTP/2, which is spoken unless `http1` is written."""
    return ExtensionServer(
        spec.host,
        spec.port,
        http2=spec.protocol != "http1",
        connect_timeout_ns=parse_duration(spec.connect_timeout) if spec.connect_timeout else 0,
    )


def unreachable(
    tables: Tables, server: ExtensionServer, origin: Origin, where: str
) -> Finding | None:
    """A server that is named as a service of the mesh, where there is no such HTTP port.

    Names that do not say that they are a service's mean a host beyond the mesh: who knows whether
    there is one.
    """
    is_service = server.host.rstrip(".").endswith(_CLUSTER_NAMES)
    for service in service_names(server.host.lower().rstrip("."), ""):
        port = tables.services.get(PortName(service, server.port))
        if port is not None and port.protocol.is_http:
            return None
        if port is not None:
            problem = f"{port.name} is treated as {port.protocol}, and only HTTP ports can be told"
            return _not_there(origin, problem, "Write `appProtocol` at its port.", where)
        if is_service and is_meshed(tables, service.namespace):
            problem = f"the mesh has no service {service} with port {server.port}"
            return _not_there(origin, problem, "Create it, or correct host and port.", where)
    return None


def _not_there(origin: Origin, problem: str, hint: str, where: str) -> Finding:
    return Finding(
        codes.EXTENSION_NOT_THERE,
        Severity.WARNING,
        origin,
        f"{problem}, so proxies cannot reach it",
        hint,
        where,
    )
