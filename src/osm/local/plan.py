"""From the objects of a snapshot to what runs here: addresses, pods, hosts files. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from osm.core.api.kubernetes import Deployment, Pod, Service, StatefulSet
from osm.core.api.manifest import Key, Manifest
from osm.core.compile.external_name import follow
from osm.core.model.origin import Finding
from osm.core.model.service import ServiceName
from osm.local import addresses, explicit, pods
from osm.local.around import around_proxies
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
            [
                _name(each)
                for each in written
                if not each.spec.cluster_ip and each.spec.type != "ExternalName"
            ],
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
    around = around_proxies(everything, wanted, redirected=redirected)

    def told(each: pods.Wanted) -> explicit.Told:
        namespace, address = each.metadata.namespace, given.pods[each.name]
        excluded = around.redirections[each.name].excluded_ranges
        return explicit.tell(namespace, address, targets, given.tcp_ports, excluded)

    made = tuple(
        pods.complete(
            each,
            given.pods[each.name],
            services,
            None if redirected else told(each),
            around.redirections[each.name],
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
        if each.spec.type != "ExternalName"
    ]
    hosted += _aliases(services, hosted)
    namespaces = sorted({pod.metadata.namespace for pod in made})
    hosts = {namespace: render_hosts(namespace, hosted) for namespace in namespaces}
    return Plan(services, made, hosts, given, (*findings, *around.findings))


def _aliases(
    services: Sequence[Service], hosted: Sequence[HostedService]
) -> Iterator[HostedService]:
    """Aliases of services have their addresses. Those of hosts beyond the mesh are names to ask for."""
    named = {ServiceName(each.metadata.namespace, each.metadata.name): each for each in services}
    targets = {ServiceName(each.namespace, each.name): each for each in hosted}

    def find(name: ServiceName) -> str | None:
        found = named.get(ServiceName(name.namespace, name.name))
        if found is None:
            return None
        return found.spec.external_name if found.spec.type == "ExternalName" else ""

    for name, service in named.items():
        if service.spec.type != "ExternalName":
            continue
        end = follow(name, service.spec.external_name, find).service
        target = targets.get(ServiceName(end.namespace, end.name)) if end else None
        if end is None or target is None:
            continue
        pods = [ip for host, ip in target.pods if end.subdomain in ("", host)]
        for address in pods if end.subdomain or not target.address else [target.address]:
            yield HostedService(name.namespace, name.name, address)


def compiled_objects(objects: Mapping[Key, Manifest], plan: Plan) -> list[Manifest]:
    """The objects for the compiler: services with the addresses that this machine gives them.

    Pods are left out: what runs is told by the platform.
    """
    services = {_name(service): service for service in plan.services}
    return [
        msgspec.structs.replace(manifest, object=services[_name(manifest.object)])
        if isinstance(manifest.object, Service)
        else manifest
        for manifest in objects.values()
        if not isinstance(manifest.object, Pod)
    ]


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
