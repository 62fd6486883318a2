"""How names are understood: who asks, which service port is meant, and what somebody may have meant."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

import msgspec

from osm.core.explain.explanation import Question, Step
from osm.core.model.directory import Directory
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.service import HTTP_PORT, ServiceName, ServicePort
from osm.core.model.workload import Explicit, PipeAddress, Workload

_MOST = 3
"""Suggestions."""


class Destination(msgspec.Struct, frozen=True):
    """What a question's destination means to its source."""

    called: str
    """The authority that decides, as `host[:port]`."""
    port: ServicePort | None = None
    steps: tuple[Step, ...] = ()
    problem: str = ""
    """Why it can mean nothing."""


def port_problem(destination: str) -> str:
    """What is wrong with the port of `host:port`; empty if nothing is."""
    _, colon, number = destination.rpartition(":")
    return f"{number[:40]!r} is not a port" if colon and not _is_port(number) else ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536


def find_destination(model: Model, question: Question, source: Workload) -> Destination:
    """The service port that the application reaches, by the rules of DNS in its namespace."""
    directory = Directory(model)
    port = directory.by_authority(question.destination, 0, source.namespace)
    steps: tuple[Step, ...] = ()
    if port is None and ":" not in question.destination:
        port = _only_port(model, directory, question.destination, source.namespace)
        steps = (_only_port_step(port),) if port else ()
    if question.authority == question.destination or not question.method:
        return Destination(question.destination, port, steps)
    if isinstance(source.capture, Explicit):
        text = "the proxy that HTTP_PROXY names goes by the URL, and passes over the header host"
        return Destination(question.destination, port, (Step("host", "info", text),))
    return _by_host_header(model, question, source, port)


def _by_host_header(
    model: Model, question: Question, source: Workload, connected: ServicePort | None
) -> Destination:
    """Proxies go by what the request says that it is for, and by the port of its connection."""
    number = connected.name.port if connected else _number(question.destination) or HTTP_PORT
    is_http = connected.protocol.is_http if connected else number in model.destinations.http_ports
    if not is_http:
        return Destination(question.destination, connected)
    written = question.authority
    if problem := port_problem(written):
        text = f"the header host is none: {problem}"
        return Destination("", None, (Step("host", "failed", text),), text)
    step = Step("host", "info", f"the header host says {written}, and that is what counts")
    called = written if _number(written) else f"{written}:{number}"
    port = Directory(model).by_authority(written, number, source.namespace)
    return Destination(called, port, (step,))


def elsewhere(model: Model, destination: str, namespace: str) -> ServicePort | None:
    """The one service of another namespace that somebody who asks may mean by a short name, which
    means nothing in his own.
    """
    host, _, number = destination.partition(":")
    if ServiceName(namespace, host.lower()) in model.ports_of:
        return None
    found = [
        port
        for port in model.services.values()
        if port.name.service.name == host
        and not port.name.service.subdomain
        and number in ("", str(port.name.port))
    ]
    return found[0] if len(found) == 1 else None


def whole_name(port: ServicePort) -> str:
    """A service port as every namespace can write it."""
    service = port.name.service
    return f"{service.host}.{service.namespace}:{port.name.port}"


def elsewhere_step(destination: str, namespace: str, port: ServicePort) -> Step:
    """What DNS would say to the short name, and what is explained instead."""
    service = port.name.service
    text = (
        f"namespace {namespace} has no service {destination.partition(':')[0]!r}; taken as "
        f"{service.name}.{service.namespace}, which is what an application there must write"
    )
    return Step("short name", "info", text)


def source_step(question: Question, found: tuple[Workload, ...]) -> Step:
    """Who asks; of several workloads by the name, the first."""
    source = found[0]
    text = f"workload {source.namespace}/{source.name}, identity {source.identity.spiffe_id}"
    others = [w for w in found[1:] if w.identity != source.identity]
    if others:
        names = ", ".join(f"{w.namespace}/{w.name}" for w in others[:3])
        text += f" (the name {question.source} also means {names}, with another identity)"
    elif len(found) > 1:
        text += f" (one of {len(found)} that are alike)"
    return Step("source", "ok", text, (Origin("Pod", source.namespace, source.name),))


def destination_steps(destination: Destination, source: Workload) -> tuple[Step, ...]:
    """What the name stands for, and which service port that is."""
    assert destination.port is not None
    port, name = destination.port, destination.port.name.service
    text = (
        f"service {name}, port {port.name.port} ({port.protocol}), target port {port.target_port}"
    )
    address = Origin("Service", name.namespace, name.name, "spec.clusterIP")
    origin = Origin("Service", name.namespace, name.name, "spec.ports")
    return (
        Step("name", "ok", _resolution(destination.called, port, source), (address,)),
        Step("destination", "ok", text, (origin,)),
    )


def _resolution(called: str, port: ServicePort, source: Workload) -> str:
    """What the application gets for the name, and so where its connection goes."""
    host = called.rpartition(":")[0] if _number(called) else called
    if isinstance(source.capture, Explicit):
        return _without_redirection(host, port, source.capture)
    if host in port.addresses:
        return f"{host} is an address of {port.name.service.fqdn}"
    where = "the hosts file of the pod" if _is_local(source) else "the cluster's DNS"
    if not port.headless:
        address = ", ".join(port.addresses) or "no address"
        return f"{host} is {port.name.service.fqdn}; {where} gives the virtual address {address}"
    pods = ", ".join(port.addresses)
    if not pods:
        return (
            f"{host} is {port.name.service.fqdn}, which is headless: without pods, without address"
        )
    return f"{host} is {port.name.service.fqdn}, which is headless: {where} gives its pods {pods}"


def _without_redirection(host: str, port: ServicePort, capture: Explicit) -> str:
    if port.protocol.is_http:
        place = f"{capture.ip}:{capture.http_port}"
        return f"the proxy at {place}, which HTTP_PROXY names, finds {port.name.service.fqdn}"
    listeners = dict(capture.tcp_ports)
    found = [
        f"{capture.ip}:{listeners[f'{address}:{port.name.port}']}"
        for address in port.addresses
        if f"{address}:{port.name.port}" in listeners
    ]
    if not found:
        return f"nothing listens for {host}: its variables name no address of {port.name}"
    prefix = re.sub("[-.]", "_", port.name.service.name.upper()) + "_SERVICE"
    return (
        f"{prefix}_HOST and {prefix}_PORT lead to {', '.join(found)}, where the proxy listens for "
        f"{port.name}"
    )


def _is_local(source: Workload) -> bool:
    return isinstance(source.inbound_address(1), PipeAddress)


def _only_port(model: Model, directory: Directory, host: str, namespace: str) -> ServicePort | None:
    """A service named without a port that has only one."""
    found = [
        port
        for port in model.services.values()
        if directory.by_authority(f"{host}:{port.name.port}", 0, namespace) == port
    ]
    return found[0] if len(found) == 1 else None


def _only_port_step(port: ServicePort) -> Step:
    text = f"none was given: taken as {port.name.port}, the only one of {port.name.service}"
    if port.protocol.is_http:
        text += f" (a program that writes none calls port {HTTP_PORT})"
    return Step("port", "info", text)


def _number(authority: str) -> int:
    """The port that is written; 0 for none."""
    _, colon, number = authority.rpartition(":")
    return int(number) if colon and _is_port(number) else 0


def suggested_sources(model: Model, name: str) -> list[str]:
    """Workloads whose names look like this one, as `<namespace>/<owner>`."""
    names = {f"{w.namespace}/{w.owner_name}" for w in model.workloads.values()}
    return _alike(name, sorted(names), lambda known: known.rpartition("/")[2])


def suggested_services(model: Model, destination: str) -> list[str]:
    """Service ports whose names look like this one, as `<service>.<namespace>:<port>`."""
    number = _number(destination)
    host = destination.rpartition(":")[0] if number else destination
    whole = host.lower().removesuffix(".")
    for suffix in (".svc.cluster.local", ".svc.cluster", ".svc"):
        whole = whole.removesuffix(suffix)
    ports: dict[str, list[int]] = {}
    for name in model.services:
        service = name.service
        ports.setdefault(f"{service.host}.{service.namespace}", []).append(name.port)
    found: list[str] = []
    meant = number or HTTP_PORT
    for host in _alike(whole, sorted(ports), lambda known: known.rpartition(".")[0] or known):
        found += [f"{host}:{p}" for p in ([meant] if meant in ports[host] else sorted(ports[host]))]
    return found[:_MOST]


def _alike(name: str, known: list[str], short: Callable[[str], str]) -> list[str]:
    """Names that somebody may have meant: the same in another place, else whole names that are alike,
    else names that are alike in any place.
    """
    by_short: dict[str, list[str]] = {}
    for each in known:
        by_short.setdefault(short(each), []).append(each)
    close = get_close_matches(short(name), by_short, n=_MOST, cutoff=0.7)
    return (
        ([name] if name in known else [])
        or by_short.get(short(name), [])
        or get_close_matches(name, known, n=_MOST, cutoff=0.8)
        or [each for found in close for each in by_short[found]]
    )[:_MOST]


def did_you_mean(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence with names, or nothing."""
    found = list(names)
    return (f"Did you mean {' or '.join(found)}?",) if found else ()
