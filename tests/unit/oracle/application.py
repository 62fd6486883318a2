"""What applications do when somebody asks about a call: look a name up, and connect.

Names are looked up as Kubernetes' DNS does it, from what was written, not from the model.
"""

from collections.abc import Sequence

import msgspec
from tests.unit.oracle.written import Mesh, Pod, Port, Service

from osm.core.explain.explanation import Question
from osm.core.explain.simulation.answer import Answer, ends, mixed
from osm.core.explain.simulation.call import Call, Certificate
from osm.core.explain.simulation.sent import Sent
from osm.core.explain.simulation.walk import from_application, from_outside
from osm.core.model.mesh import Model

ELSEWHERE = "192.0.2.7"
"""Where every name leads that is none of the cluster's."""
SUFFIXES = (".svc.cluster.local", ".svc.cluster", ".svc", "")


class Found(msgspec.Struct, frozen=True):
    """What a name stands for: a service, or one pod of it, with its addresses."""

    service: Service
    addresses: tuple[str, ...]


def look_up(mesh: Mesh, host: str, namespace: str) -> Found | None:
    """A name as an application in a namespace writes it."""
    plain = host.lower().removesuffix(".")
    for service in sorted(mesh.services, key=lambda s: s.namespace != namespace):
        names = {f"{service.name}.{service.namespace}{suffix}" for suffix in SUFFIXES}
        if plain in names or (service.namespace, service.name) == (namespace, plain):
            return Found(service, tuple(mesh.addresses(service)))
    for service in sorted(mesh.services, key=lambda s: s.namespace != namespace):
        for pod in mesh.members(service):
            if service.ip != "None" or pod.subdomain != service.name:
                continue
            short = f"{pod.name}.{service.name}"
            names = {f"{short}.{service.namespace}{suffix}" for suffix in SUFFIXES}
            if plain in names or (service.namespace, short) == (namespace, plain):
                return Found(service, (pod.ip,))
    return None


class Done(msgspec.Struct, frozen=True):
    """What an application does: `call`, from the pod `source`; empty: from outside of the mesh."""

    source: str
    call: Call


def ask(mesh: Mesh, model: Model, sent: Sent, question: Question) -> Answer | None:
    """What the configuration does with what somebody asks about; None where nobody can connect."""
    done = calls_of(mesh, model, question)
    return mixed((1, simulate(sent, each)) for each in done) if done else None


def simulate(sent: Sent, done: Done) -> Answer:
    if not done.source:
        return from_outside(sent, done.call)
    if not done.call.address:
        return ends("closed", reason="nothing listens for this address")
    return from_application(sent, done.source, done.call)


def calls_of(mesh: Mesh, model: Model, question: Question) -> list[Done]:
    """All that may be done by one who does it: a name may have several addresses."""
    pod = next((pod for pod in mesh.pods if pod.key == question.source), None)
    if pod is None:
        return [Done("", call) for call in _outside(mesh, model, question)]
    authority, port, found = _meant(mesh, pod, question)
    identity = model.workloads[pod.namespace, pod.name].identity
    if authority != question.destination and found and "." not in question.destination:
        is_short = look_up(mesh, question.destination.partition(":")[0], pod.namespace) is None
        if is_short and (model.settings.egress or identity in model.egress):
            return []  # a name that leads nowhere may still be taken for one beyond the mesh
    host, _, written = authority.partition(":")
    method = question.method
    if not method and port is not None and port.is_http:
        method = "GET"  # about a port that speaks HTTP, a request is explained
    call = Call(
        "",
        port.number if port else int(written or 80),
        authority=authority,
        method=method,
        target=question.path if question.method else "/",
        headers=question.headers if question.method else (),
        source=pod.ip,
    )
    if port is None and _depends_on_address(model, pod, host.lower(), call):
        return []
    addresses: Sequence[str] = found.addresses if found else [_address(host)]
    if found is None and not method:
        name = "" if host.replace(".", "").isdecimal() else host.lower()
        call = msgspec.structs.replace(call, server_name=name)
    calls = [msgspec.structs.replace(call, address=ip) for ip in addresses]
    if pod.explicit:
        calls = [_told(mesh, pod, each) for each in calls]
    return [Done(pod.key, each) for each in calls]


def _depends_on_address(model: Model, pod: Pod, host: str, call: Call) -> bool:
    """Whether a name may leave the mesh to some addresses only, and nobody knows which it has."""
    identity = model.workloads[pod.namespace, pod.name].identity
    rules = model.egress.get(identity)
    if rules is None or host.replace(".", "").isdecimal():
        return False
    http = rules.host(host, call.port)
    matches = http.matches if http else ()
    connections = [each for each in rules.connections if each.port == call.port]
    return any(m.ranges for m in matches) or any(c.ranges for c in connections)


def _address(host: str) -> str:
    return host if host.replace(".", "").isdecimal() else ELSEWHERE


def _told(mesh: Mesh, pod: Pod, call: Call) -> Call:
    """An application that is told where its proxy is: HTTP there, TCP at a port for each address."""
    local = mesh.local_ports().get(f"{call.address}:{call.port}")
    if local is not None:
        return msgspec.structs.replace(call, address=pod.explicit, port=local)
    is_http = bool(call.method)
    return msgspec.structs.replace(call, address=pod.explicit if is_http else "", port=15001)


def _meant(mesh: Mesh, pod: Pod, question: Question) -> tuple[str, Port | None, Found | None]:
    """The authority that an application has to write, the port that this is, and where it leads.

    Of a service that has one port, people leave it out; and they write short names of services of
    other namespaces.
    """
    host, _, written = question.destination.partition(":")
    found = look_up(mesh, host, pod.namespace) or _by_address(mesh, host, written)
    if found is None and "." not in host:
        candidates = [
            (service, port)
            for service in mesh.services
            for port in service.ports
            if service.name == host
            and written in ("", str(port.number))
            and service.namespace not in mesh.ignored
        ]
        if len(candidates) == 1:
            ((service, port),) = candidates
            authority = f"{host}.{service.namespace}:{port.number}"
            return authority, port, look_up(mesh, authority.partition(":")[0], pod.namespace)
    if found is None or found.service.namespace in mesh.ignored:
        return question.destination, None, found
    ports = {port.number: port for port in found.service.ports}
    if host in found.addresses:
        ports = {p.number: p for s in _at(mesh, host) for p in reversed(s.ports)}
    if written:
        return question.destination, ports.get(int(written)), found
    if 80 not in ports and len(ports) == 1:
        (number,) = ports
        return f"{host}:{number}", ports[number], found
    return host, ports.get(80), found


def _by_address(mesh: Mesh, host: str, written: str) -> Found | None:
    for service in _at(mesh, host):
        if not written or any(p.number == int(written) for p in service.ports):
            return Found(service, (host,))
    return None


def _at(mesh: Mesh, host: str) -> list[Service]:
    services = sorted(mesh.services, key=lambda s: (s.namespace, s.name))
    return [service for service in services if host in mesh.addresses(service)]


def _outside(mesh: Mesh, model: Model, question: Question) -> list[Call]:
    """A call to each pod behind a service, as its rule demands it: with TLS, with a certificate."""
    host, _, number = question.destination.partition(":")
    name, _, space = host.partition(".")
    service = next(s for s in mesh.services if (s.name, s.namespace) == (name, space))
    calls = []
    for pod in mesh.members(service):
        rules = model.ingress.get((pod.namespace, pod.name), ())
        rule = next((rule for rule in rules if rule.port == int(number)), None)
        call = Call(
            f"{pod.home}/outside.{number}.sock" if pod.home else pod.ip,
            int(number),
            authority=question.destination,
            method=question.method,
            target=question.path,
            headers=question.headers,
            source=question.source,
        )
        if rule is not None and rule.tls:
            principal = next(iter(rule.principals or ()), "")
            shown = Certificate(
                uris=(principal,) if "://" in principal else (),
                names=(principal,) if principal and "://" not in principal else (),
            )
            server = next(iter(rule.server_names), "shop.test")
            call = msgspec.structs.replace(call, server_name=server, certificate=shown)
        calls.append(call)
    return calls
