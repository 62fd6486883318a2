"""Every resource that a proxy can get: what it gets unasked, and what it would ask for."""

from collections.abc import Iterator

from osm.core.envoy import names
from osm.core.envoy.catalog import Catalog, Certificate, Present, Value
from osm.core.envoy.render import render
from osm.core.model.egress import EgressRules
from osm.core.model.identity import ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.xds import types

Named = tuple[str, str]


def catalog_of(model: Model) -> Catalog:
    """A catalog in which every identity has a (made up) certificate."""
    certificate = Certificate(b"chain", b"key", "1")
    certificates = {w.identity: certificate for w in model.workloads.values()}
    return Catalog(model, Present(certificates, b"roots"))


def value_of(catalog: Catalog, proxy: ProxyIdentity, type_url: str, name: str) -> Value | None:
    """What a proxy that is known gets for a name."""
    if not catalog.is_known(proxy):
        return None
    return catalog.value(catalog.scope(proxy, type_url, name), type_url, name)


def all_names(model: Model, catalog: Catalog, proxy: ProxyIdentity) -> list[Named]:
    """Types and names of all that exists in a model, for one proxy."""
    found = [(kind, name) for kind in types.WILDCARD_TYPES for name in catalog.names(proxy, kind)]
    found += [
        (types.SECRET, names.SERVICE_CERTIFICATE),
        (types.SECRET, names.ROOT_CERTIFICATES),
        (types.RUNTIME, names.RUNTIME_LAYER),
        (types.ROUTE, names.outbound_routes(0)),
    ]
    for port in model.services.values():
        clusters = [port.cluster_name, *(f"{ip}:{port.name.port}" for ip in port.addresses)]
        for cluster in clusters:
            found += [(types.CLUSTER, cluster), (types.ENDPOINT, cluster)]
        routes = names.outbound_routes(port.name.port)
        found.append((types.ROUTE, routes))
        found.append((types.VIRTUAL_HOST, f"{routes}/{port.name.service.fqdn}"))
        found.append((types.ROUTE, names.inbound_routes(port.target_port)))
        found.append((types.ROUTE, names.ingress_routes(port.target_port)))
        found.append((types.EXTENSION, names.tcp_access(port.target_port)))
    found += [(types.CLUSTER, cluster) for cluster in model.egress_clusters]
    for egress in model.egress.get(proxy.identity, EgressRules()).http:
        for routes in {names.outbound_routes(number) for number in (egress.port, 0)}:
            found.append((types.ROUTE, routes))
            found.append((types.VIRTUAL_HOST, f"{routes}/{egress.host}:{egress.port}"))
    return sorted(set(found))


def all_values(model: Model) -> Iterator[tuple[ProxyIdentity, Named, Value]]:
    """Everything that exists, for every proxy of a model."""
    catalog = catalog_of(model)
    for workload in model.workloads.values():
        for kind, name in all_names(model, catalog, workload.proxy):
            value = value_of(catalog, workload.proxy, kind, name)
            if value is not None:
                yield workload.proxy, (kind, name), value


def rendered(model: Model) -> dict[tuple[ProxyIdentity, Named], bytes]:
    """The bytes of everything that exists."""
    return {(proxy, named): render(value).wire for proxy, named, value in all_values(model)}
