"""From the objects of a snapshot to what runs here: addresses, pods, hosts files. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from osm.core.api.kubernetes import Deployment, Pod, Service, StatefulSet
from osm.core.model.origin import Finding
from osm.local import addresses, explicit, pods
from osm.local.container import Isolation
from osm.local.hosts import HostedService, render_hosts


class Addresses(msgspec.Struct, frozen=True):
    """Who has which address, by `<namespace>/<name>`. Give it to the next plan, and it stays so."""

    services: Mapping[str, str] = {}
    pods: Mapping[str, str] = {}
    tcp_ports: Mapping[str, int] = {}
    """Where proxies listen for TCP services when nothing is redirected."""


_NOBODY_YET = Addresses()


class Plan(msgspec.Struct, frozen=True):
    """What shall run. `services` have their addresses filled in; `hosts` is by namespace."""

    services: tuple[Service, ...]
    pods: tuple[Pod, ...]
    hosts: Mapping[str, str]
    addresses: Addresses
    findings: tuple[Finding, ...] = ()


def make_plan(
    objects: Iterable[object], isolation: Isolation, held: Addresses = _NOBODY_YET
) -> Plan:
    """Plan for all objects of a snapshot; those of other kinds are passed over."""
    everything = list(objects)
    wanted, findings = pods.wanted_pods(
        each for each in everything if isinstance(each, Deployment | StatefulSet | Pod)
    )
    written = sorted(
        (each for each in everything if isinstance(each, Service)),
        key=lambda service: (service.metadata.namespace, service.metadata.name),
    )
    redirected = isolation is not Isolation.NONE
    given = Addresses(
        addresses.assign(
            [_name(each) for each in written if not each.spec.cluster_ip],
            addresses.SERVICES,
            held.services,
        ),
        addresses.assign(
            [each.name for each in wanted],
            addresses.PODS if redirected else addresses.LOOPBACK_PODS,
            held.pods,
        ),
    )
    services = tuple(_with_address(each, given.services) for each in written)
    behind = {
        _name(each): _pods_behind(each, wanted, given.pods)
        for each in services
        if each.spec.cluster_ip == "None"
    }
    targets = explicit.tcp_targets(
        services, {name: [ip for _, ip in found] for name, found in behind.items()}
    )
    given = msgspec.structs.replace(given, tcp_ports=explicit.assign_ports(targets, held.tcp_ports))
    made = tuple(
        pods.complete(
            each,
            given.pods[each.name],
            services,
            None
            if redirected
            else explicit.tell(
                each.metadata.namespace, given.pods[each.name], targets, given.tcp_ports
            ),
        )
        for each in wanted
    )
    hosted = [
        HostedService(
            each.metadata.namespace,
            each.metadata.name,
            "" if each.spec.cluster_ip == "None" else each.spec.cluster_ip,
            behind.get(_name(each), ()),
        )
        for each in services
    ]
    namespaces = sorted({pod.metadata.namespace for pod in made})
    hosts = {namespace: render_hosts(namespace, hosted) for namespace in namespaces}
    return Plan(services, made, hosts, given, findings)


def _name(service: Service) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"


def _with_address(service: Service, given: Mapping[str, str]) -> Service:
    if service.spec.cluster_ip or service.spec.type == "ExternalName":
        return service
    spec = msgspec.structs.replace(service.spec, cluster_ip=given[_name(service)])
    return msgspec.structs.replace(service, spec=spec)


def _pods_behind(
    service: Service, wanted: Sequence[pods.Wanted], given: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Host names and addresses of a headless service's pods. An empty selector selects nothing."""
    selector = service.spec.selector.items()
    return tuple(
        (pod.spec.hostname or pod.metadata.name, given[pod.name])
        for pod in wanted
        if selector
        and pod.metadata.namespace == service.metadata.namespace
        and all(pod.metadata.labels.get(name) == value for name, value in selector)
    )
