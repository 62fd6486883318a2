"""What programs must be told where nothing is redirected: the fallback without namespaces.

HTTP finds its way by `HTTP_PROXY`. A TCP service gets a port of the pod's own loopback address,
where the pod's proxy listens, and the program learns it from the variables that Kubernetes has for
services. `BIND_ADDRESS` is what the program must listen on, since all pods share one loopback.
"""

from collections.abc import Mapping, Sequence

import msgspec

from osm.core.api.kubernetes import Service, ServicePortSpec
from osm.core.compile.kubernetes import port_protocol
from osm.local import variables

HTTP_PORT = 15001
FIRST_TCP_PORT = 16000


class Told(msgspec.Struct, frozen=True):
    """Variables for the program, and the `capture` annotation for the control plane."""

    environment: Mapping[str, str]
    capture: str


class TcpTarget(msgspec.Struct, frozen=True, order=True):
    """One TCP port of a service, and one of the addresses that clients call it by."""

    namespace: str
    service: str
    port: int
    address: str

    @property
    def key(self) -> str:
        """Its name in what is held from one plan to the next."""
        return f"{self.namespace}/{self.service}:{self.port}@{self.address}"


def tcp_targets(
    services: Sequence[Service], pods_behind: Mapping[str, Sequence[str]]
) -> tuple[TcpTarget, ...]:
    """Every TCP service port, by the service's address.

    A headless service has those of its pods: `pods_behind` is by `<namespace>/<name>`.
    """
    targets: list[TcpTarget] = []
    for service in services:
        namespace, name = service.metadata.namespace, service.metadata.name
        addresses: Sequence[str] = (service.spec.cluster_ip,)
        if service.spec.cluster_ip in ("", "None"):
            addresses = pods_behind.get(f"{namespace}/{name}", ())
        targets += [
            TcpTarget(namespace, name, port.port, address)
            for port in service.spec.ports
            if not speaks_http(port)
            for address in addresses
        ]
    return tuple(sorted(targets))


def speaks_http(port: ServicePortSpec) -> bool:
    """Whether clients reach a service port through an HTTP proxy, as the compiler sees it."""
    protocol = port_protocol(port)
    return protocol is not None and protocol.is_http


def assign_ports(
    targets: Sequence[TcpTarget], held: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Give each target a port; what is held is kept, since running programs know it."""
    assigned = dict(held or {})
    for target in targets:
        assigned.setdefault(target.key, FIRST_TCP_PORT + len(assigned))
    return assigned


def tell(
    namespace: str,
    address: str,
    targets: Sequence[TcpTarget],
    ports: Mapping[str, int],
    excluded_ranges: Sequence[str] = (),
) -> Told:
    """What the program of one pod must know. `ports` are those of `assign_ports`; calls to
    `excluded_ranges` go around its proxy.

    A service of its own namespace wins over one of the same name elsewhere;
    `<SERVICE>_<NAMESPACE>_…` names each without doubt.
    """
    proxy = f"http://{address}:{HTTP_PORT}"
    # Fewer programs understand a range than an address.
    around = [each.removesuffix("/32") for each in excluded_ranges]
    directly = ",".join(["localhost", "127.0.0.1", *around])
    environment = {
        "BIND_ADDRESS": address,
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": directly,
        "no_proxy": directly,
    }
    for target in sorted(targets, key=lambda each: (each.namespace != namespace, each)):
        for name in (target.service, f"{target.service}-{target.namespace}"):
            prefix = variables.prefix_of(name)
            environment.setdefault(f"{prefix}_HOST", address)
            environment.setdefault(f"{prefix}_PORT", str(ports[target.key]))
    capture = {
        "ip": address,
        "http_port": HTTP_PORT,
        "tcp_ports": [(f"{target.address}:{target.port}", ports[target.key]) for target in targets],
    }
    return Told(environment, msgspec.json.encode(capture).decode())
