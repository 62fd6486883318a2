"""How a connection's destination is understood: which ports speak HTTP, and where TCP is an exception."""

from osm.core.compile.options import CompileOptions
from osm.core.compile.tables import Tables
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.mesh import Destinations
from osm.core.model.route import Backend
from osm.core.model.service import PortName, ServicePort


def _tcp_service(_: Tables, __: PortName, port: ServicePort) -> ServicePort | None:
    return None if port.protocol.is_http or not port.addresses else port


def _destinations(tables: Tables, _: str, __: CompileOptions) -> Destinations:
    http_ports = tuple(sorted(tables.http_ports))
    tcp = sorted(tables.tcp_services.values())
    # Two services may claim one address and port: the first that is split has it.
    taken: set[tuple[int, str]] = set()
    splits: list[tuple[int, tuple[str, ...], PortName]] = []
    whole: list[ServicePort] = []
    for port in tcp:
        if tables.routes[port.name].rules[-1].backends == (Backend(port.name),):
            whole.append(port)
            continue
        addresses = tuple(ip for ip in port.addresses if (port.name.port, ip) not in taken)
        if addresses:
            splits.append((port.name.port, addresses, port.name))
            taken.update((port.name.port, ip) for ip in addresses)
    exceptions: dict[int, set[str]] = {}
    for port in whole:
        if port.name.port in tables.http_ports:
            free = {ip for ip in port.addresses if (port.name.port, ip) not in taken}
            exceptions.setdefault(port.name.port, set()).update(free)
    return Destinations(
        http_ports,
        tuple((port, tuple(sorted(ips))) for port, ips in sorted(exceptions.items()) if ips),
        tuple(splits),
    )


STAGES: tuple[Stage, ...] = (
    Group("http_ports", "services", lambda name, p: (name.port,) if p.protocol.is_http else ()),
    Derive("tcp_services", "services", _tcp_service),
    Group("tcp_ports", "tcp_services", lambda name, _: (name.port,)),
    Derive("destinations", "options", _destinations),
)
