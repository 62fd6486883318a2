"""A pod's probes, asked of its proxy: the kubelet has no certificate of the mesh.

A probe by HTTP becomes a request to the proxy, which makes the same one of the application. So does one
by HTTPS: OSM forwarded its bytes, one probe of each kind in a pod, and with them a whole port that no
policy guards. A probe by TCP becomes a question whether the port is open, since the proxy itself takes
every connection. Commands and gRPC are left alone, and so is what names another host than the pod.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from osm.core.inject.pod import Container, Document, HttpGet, Pod, Probe, TcpSocket
from osm.core.model.probe import (
    HEALTH_PORT,
    TCP_HEADER,
    TCP_PATH,
    HttpProbe,
    ProbeKind,
    Probes,
    TcpProbe,
)

_DEFAULT_PERIOD_S = 10
_IN_PATHS = "!$%&'()*+,-./:;=?@[]_~"
_SHORTEST_S = 1
"""Also Kubernetes' default for how long a probe may take."""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A pod whose probes ask its proxy, and what the proxy must know to answer."""

    document: Document
    probes: Probes


Question = HttpProbe | TcpProbe


def ask_proxy(document: Document, pod: Pod) -> Asked:
    """Rewrite the probes of all containers. `pod` is what was read of the document."""
    spec = document.get("spec")
    assert isinstance(spec, Mapping), "a pod that was read has a spec"
    questions: list[Question] = []
    changed: dict[str, object] = {}
    for field, containers in (
        ("containers", pod.spec.containers),
        ("initContainers", pod.spec.init_containers),
    ):
        if field in spec:
            found = [_container(*both) for both in zip(spec[field], containers, strict=True)]
            changed[field] = [container for container, _ in found]
            questions += [question for _, asked in found for question in asked]
    return Asked({**document, "spec": {**spec, **changed}}, _united(questions))


def _container(document: Document, container: Container) -> tuple[Document, Sequence[Question]]:
    changed: dict[str, object] = {}
    questions: list[Question] = []
    for kind, probe in (
        (ProbeKind.LIVENESS, container.liveness_probe),
        (ProbeKind.READINESS, container.readiness_probe),
        (ProbeKind.STARTUP, container.startup_probe),
    ):
        question = _question(kind, container, probe) if probe else None
        if question is not None:
            name = f"{kind}Probe"
            before = document[name]
            assert isinstance(before, Mapping), "a probe that was read is an object"
            changed[name] = _rewritten(before, question)
            questions.append(question)
    return {**document, **changed}, questions


def _question(kind: ProbeKind, container: Container, probe: Probe) -> Question | None:
    """What the proxy is to be asked; None when the probe stays as it is."""
    action = probe.http_get or probe.tcp_socket
    port = resolved(container, action.port) if action and not action.host else 0
    timeout_s = max(probe.timeout_seconds, _SHORTEST_S)
    if not port:
        return None
    match action:
        case HttpGet(path=path, scheme=scheme):
            tls = scheme.upper() == "HTTPS"
            return HttpProbe(kind, container.name, port, _absolute(path), tls, timeout_s)
        case TcpSocket():
            period_s = max(probe.period_seconds or _DEFAULT_PERIOD_S, _SHORTEST_S)
            return TcpProbe(port, period_s, timeout_s)
    return None


def _absolute(path: str) -> str:
    """The path and query as the kubelet sends them: it escapes, and drops what follows a `#`."""
    return "/" + quote(path.partition("#")[0].removeprefix("/"), safe=_IN_PATHS)


def resolved(container: Container, port: int | str) -> int:
    """The port's number, found as the kubelet finds it; 0 when there is none."""
    if isinstance(port, str):
        named = (each.container_port for each in container.ports if each.name and each.name == port)
        digits = port.isascii() and port.isdecimal() and len(port) <= 5
        port = next(named, int(port) if digits else 0)
    return port if 0 < port < 65536 else 0


def _rewritten(probe: Document, question: Question) -> Document:
    """The probe with another action; how often it is asked stays."""
    if isinstance(question, HttpProbe):
        before = probe["httpGet"]
        assert isinstance(before, Mapping), "an action that was read is an object"
        action = {**before, "port": question.kind.port, "path": question.asked_path}
        if question.tls:
            action["scheme"] = "HTTP"
        return {**probe, "httpGet": action}
    header = {"name": TCP_HEADER, "value": str(question.port)}
    action = {"port": HEALTH_PORT, "path": TCP_PATH, "httpHeaders": [header]}
    rest = {name: value for name, value in probe.items() if name != "tcpSocket"}
    return {**rest, "httpGet": action}


def _united(questions: Sequence[Question]) -> Probes:
    """Probes of one port by TCP are one: as often, and as patient, as any of them."""
    ports: dict[int, TcpProbe] = {}
    for each in questions:
        if isinstance(each, TcpProbe):
            other = ports.get(each.port, each)
            period_s = min(each.period_s, other.period_s)
            ports[each.port] = TcpProbe(each.port, period_s, max(each.timeout_s, other.timeout_s))
    http = {each for each in questions if isinstance(each, HttpProbe)}
    return Probes(tuple(sorted(http)), tuple(ports[port] for port in sorted(ports)))
