"""A mesh as people write it, and what applications can know of it."""

from collections.abc import Sequence

import msgspec

from osm.core.api.decode import decode
from osm.core.api.manifest import Manifest
from osm.core.model.origin import Severity
from osm.testing.builders import (
    Document,
    pod,
    service,
)

SPACES, APPS = ("red", "blue"), ("a", "b", "c")
ACCOUNTS = (*APPS, "shared")


class Pod(msgspec.Struct, frozen=True):
    """What of a pod others depend on. `home` is where its proxy listens: a directory; else redirected.
    `explicit`: its application is told where the proxy is.
    """

    namespace: str
    name: str
    app: str
    account: str
    ip: str
    ports: tuple[tuple[str, int], ...] = (("web", 8080),)
    ready: bool = True
    subdomain: str = ""
    home: str = ""
    explicit: str = ""
    eager: bool = False

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class Port(msgspec.Struct, frozen=True):
    """A service's port. `spoken` is the protocol in words of a port's name."""

    number: int
    spoken: str
    target: int | str

    @property
    def is_http(self) -> bool:
        return self.spoken in ("http", "http2", "grpc")


class Service(msgspec.Struct, frozen=True):
    """`ip` may be `None` (headless) or empty. `app` is what it selects."""

    namespace: str
    name: str
    app: str
    ip: str
    ports: tuple[Port, ...]


class Mesh(msgspec.Struct, frozen=True):
    """Everything that there is, and what applications can know of it."""

    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    policies: tuple[Manifest, ...]
    ignored: frozenset[str] = frozenset()
    """Namespaces that are not in the mesh."""

    def members(self, of: Service) -> list[Pod]:
        return [p for p in self.pods if (p.namespace, p.app) == (of.namespace, of.app)]

    @property
    def objects(self) -> tuple[Manifest, ...]:
        written = [self._pod(p) for p in self.pods] + [self._service(s) for s in self.services]
        return (*accepted(written), *self.policies)

    def _pod(self, it: Pod) -> Document:
        notes = {}
        local = "local.openservicemesh.io/"
        if it.home:
            notes[local + "inbound-address"] = f"unix:{it.home}/in.{{port}}.sock"
            notes[local + "ingress-address"] = f"unix:{it.home}/outside.{{port}}.sock"
        if it.explicit:
            capture = {
                "ip": it.explicit,
                "http_port": 15001,
                "tcp_ports": list(self.local_ports().items()),
            }
            notes[local + "capture"] = msgspec.json.encode(capture).decode()
        if it.eager:
            notes["openservicemesh.io/discovery"] = "eager"
        return pod(
            it.name,
            namespace=it.namespace,
            app=it.app,
            account=it.account,
            ip=it.ip,
            ports=dict(it.ports),
            ready=it.ready,
            subdomain=it.subdomain,
            annotations=notes,
        )

    def local_ports(self) -> dict[str, int]:
        """Where an application that is told finds each TCP address of the mesh."""
        found = sorted(
            {
                f"{ip}:{port.number}"
                for each in self.services
                for port in each.ports
                if not port.is_http and each.namespace not in self.ignored
                for ip in ([p.ip for p in self.members(each)] if each.ip == "None" else [each.ip])
                if ip
            }
        )
        return {address: 20000 + index for index, address in enumerate(found)}

    def addresses(self, of: Service) -> list[str]:
        """What DNS answers; pods that are not ready are left out of a headless service's answer."""
        if of.ip != "None":
            return [of.ip] if of.ip else []
        members = self.members(of)
        return sorted(p.ip for p in members if p.ready) or sorted(p.ip for p in members)

    def _service(self, it: Service) -> Document:
        ports: list[int | Document] = [
            {"port": p.number, "name": f"{p.spoken}-p{p.number}", "targetPort": p.target}
            for p in it.ports
        ]
        return service(it.name, *ports, namespace=it.namespace, app=it.app, ip=it.ip)


def accepted(documents: Sequence[Document]) -> tuple[Manifest, ...]:
    """Those that are not refused, as a mesh takes them."""
    found = [decode(document) for document in documents]
    return tuple(
        each.manifest
        for each in found
        if each.manifest and not any(f.severity is Severity.ERROR for f in each.findings)
    )
