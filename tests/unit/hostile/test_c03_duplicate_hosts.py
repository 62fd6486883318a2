"""C3: several objects claim one host. Envoy compares domains in any case, and refuses all of a route
configuration in which one stands twice; so each belongs to one, whatever the order of the objects.
"""

from collections.abc import Mapping
from pathlib import Path
from random import Random

import msgspec
import pytest
from tests.unit.envoy.asking import all_names, catalog_of, rendered, value_of
from tests.unit.envoy.static import StaticEnvoy

from osm.core.api.manifest import Key, Manifest
from osm.core.envoy import names
from osm.core.envoy.route import OutboundHost
from osm.core.model.mesh import Model
from osm.core.model.service import PortName
from osm.core.xds import types
from osm.testing.builders import (
    Document,
    egress,
    manifests,
    mesh_config,
    model,
    pod,
    proxy,
    service,
    split,
    upstream,
)

CLIENT = pod("client", ip="10.0.0.1")
SHOP = pod("shop", ip="10.0.0.2")
EVERYTHING = mesh_config(traffic={"enableEgress": True})
EAGER = mesh_config(sidecar={"discovery": "Eager"})


def limit(name: str, host: str) -> Document:
    requests = {"requests": 1, "unit": "second"}
    return upstream(name, host, {"rateLimit": {"local": {"http": requests}}})


def leave(name: str, *hosts: str, ports: tuple[str, ...] = ("http:80",)) -> Document:
    return egress(name, ["client"], ports, *hosts)


def headless_pod(name: str, app: str, ip: str) -> Document:
    return pod(name, app=app, subdomain=app, ip=ip)


# what is claimed; the objects; an authority that the client writes, and who answers (nobody: the
# mesh's own TCP service has the address); codes of findings
CLAIMS: dict[str, tuple[list[Document], str, str, list[str]]] = {
    "a name in two cases": (
        [leave("a", "HTTPBIN.org"), leave("b", "httpbin.ORG")],
        "httpbin.org", "httpbin.org:80", []),
    "a name with and without final dot": (
        [leave("a", "httpbin.org."), leave("b", "httpbin.org")],
        "httpbin.org", "httpbin.org:80", []),
    "a name twice in one object": (
        [leave("a", "httpbin.org", "Httpbin.org.")], "httpbin.org", "httpbin.org:80", []),
    "a name on two ports": (
        [leave("a", "httpbin.org", ports=("http:80", "http:8080"))],
        "httpbin.org:80", "httpbin.org:80", []),
    "a name for HTTP and for TLS": (
        [leave("a", "httpbin.org", ports=("http:80", "https:443")),
         leave("b", "*.httpbin.org", "httpbin.org", ports=("https:443",))],
        "httpbin.org", "httpbin.org:80", []),
    "the whole name of a service": (
        [service("shop", 80), leave("a", "Shop.Default.svc.cluster.local.")],
        "shop.default.svc.cluster.local", "default/shop:80", []),
    "the short name of a service": (
        [service("shop", 80), leave("a", "shop")], "SHOP", "default/shop:80", []),
    "a service's name with a final dot": (
        [service("shop", 80)], "shop.default.svc.cluster.local.", "default/shop:80", []),
    "a service's address": (
        [service("shop", 80, ip="10.1.0.7"), leave("a", "10.1.0.7")],
        "10.1.0.7", "default/shop:80", []),
    "an address that a TCP service has": (
        [service("shop", {"port": 80, "name": "tcp-x"}, ip="10.1.0.7"), leave("a", "10.1.0.7")],
        "10.1.0.7", "", []),
    "a service of a namespace called svc": (
        [service("shop", 80), service("shop", 80, namespace="svc", ip="10.1.0.2")],
        "shop.svc", "svc/shop:80", []),
    "a pod of a service called svc, and a service of a namespace called svc": (
        [headless_pod("b", "svc", "10.0.0.3"), service("svc", 80, ip="None"),
         service("b", 80, namespace="svc", ip="10.1.0.2")],
        "b.svc", "default/b.svc:80", []),
    "the same, by its whole name": (
        [service("shop", 80), service("shop", 80, namespace="svc", ip="10.1.0.2")],
        "shop.svc.svc", "svc/shop:80", []),
    "a service called svc of a namespace called cluster": (
        [service("svc", 80, namespace="cluster"), service("cluster", 80, ip="10.1.0.2")],
        "svc.cluster", "cluster/svc:80", []),
    "a pod's stable name and a service of another namespace": (
        [headless_pod("b", "a", "10.0.0.3"), service("a", 80, ip="None"),
         service("b", 80, namespace="a")],
        "b.a", "default/b.a:80", []),
    "the same, by the whole name": (
        [headless_pod("b", "a", "10.0.0.3"), service("a", 80, ip="None"),
         service("b", 80, namespace="a")],
        "b.a.svc", "a/b:80", []),
    "a pod with the name of its service": (
        [headless_pod("db", "db", "10.0.0.3"), service("db", 80, ip="None")],
        "db.db", "default/db.db:80", []),
    "a service and one of the same name elsewhere": (
        [service("shop", 80), service("shop", 80, namespace="other", ip="10.1.0.2")],
        "shop", "default/shop:80", []),
    "two services at one address": (
        [service("one", 80, app="shop"), service("two", 80, app="shop")],
        "10.1.0.1", "default/one:80", []),
    "an HTTP and a TCP service at one address": (
        [service("b", 80, app="shop"), service("a", {"port": 80, "name": "tcp-x"}, app="shop")],
        "b", "default/b:80", []),
    "a service at the address of a pod of another": (
        [service("pods", 80, app="shop", ip="None"), service("same", 80, app="shop", ip="10.0.0.2")],
        "10.0.0.2", "default/pods:80", []),
    "mesh-wide egress and an Egress": (
        [EVERYTHING, leave("a", "httpbin.org"), service("shop", 80)],
        "shop", "default/shop:80", ["OSM331"]),
    "two settings of one host, in two cases": (
        [service("shop", 80), limit("b", "SHOP.default.svc.cluster.local"),
         limit("a", "shop.default.svc.cluster.local")],
        "shop", "default/shop:80", ["OSM372"]),
    "two limited services of one pod at one address": (
        [service("shop", 80), service("zoo", 80, app="shop"),
         limit("a", "shop.default.svc.cluster.local"), limit("b", "zoo.default.svc.cluster.local")],
        "zoo", "default/zoo:80", []),
    "two splits of one root, in two spellings": (
        [service("shop", 80), split("b", "shop", {"shop": 1}), split("a", "shop.default", {"shop": 1})],
        "shop", "default/shop:80", ["OSM312"]),
}  # fmt: skip
each_claim = pytest.mark.parametrize("claim", CLAIMS)


def mesh_of(claim: str) -> list[Document]:
    return [CLIENT, SHOP, *CLAIMS[claim][0]]


def hosts_of(found: Model, workload: str) -> list[tuple[str, OutboundHost]]:
    """Every virtual host that a proxy may hold, with the route configuration that it is part of."""
    who, catalog = proxy(found, workload), catalog_of(found)
    wanted = {name for kind, name in all_names(found, catalog, who) if kind == types.VIRTUAL_HOST}
    wanted |= set(catalog.names(who, types.VIRTUAL_HOST))
    values = ((name, value_of(catalog, who, types.VIRTUAL_HOST, name)) for name in sorted(wanted))
    return [(n.partition("/")[0], v) for n, v in values if isinstance(v, OutboundHost)]


@each_claim
@pytest.mark.parametrize("is_eager", [False, True], ids=["on demand", "eager"])
def test_no_domain_stands_in_two_virtual_hosts(claim: str, is_eager: bool) -> None:  # noqa: FBT001
    objects = mesh_of(claim)
    if is_eager and EVERYTHING not in objects:
        objects.append(EAGER)
    objects.append(service("control", 80, app="shop", ip="10.1.0.99"))
    owners: dict[tuple[str, str], set[str]] = {}
    for routes, host in hosts_of(model(*objects), "client"):
        for domain in host.domains:
            assert domain == domain.lower()
            owners.setdefault((routes, domain), set()).add(host.name)
    assert owners["rds-outbound.80", "control"]
    assert {where: which for where, which in owners.items() if len(which) > 1} == {}


@each_claim
def test_who_answers_is_certain(claim: str) -> None:
    _, authority, winner, codes = CLAIMS[claim]
    found = model(*mesh_of(claim))
    name = f"{names.outbound_routes(80)}/{authority}"
    who, catalog = proxy(found, "client"), catalog_of(found)
    host = value_of(catalog, who, types.VIRTUAL_HOST, name)
    rules = host.rules if isinstance(host, OutboundHost) else ()
    clusters = {cluster for rule in rules for cluster, _ in rule.clusters}
    assert clusters == ({cluster_of(found, winner)} if winner else set())
    conflicts = {"OSM312", "OSM331", "OSM372"}
    assert [f.code for f in found.findings if f.code in conflicts] == codes


def cluster_of(found: Model, winner: str) -> str:
    """A service port as people write it is a cluster; what is none is the cluster's own name."""
    by_name: dict[str, PortName] = {str(name): name for name in found.services}
    return found.services[by_name[winner]].cluster_name if winner in by_name else winner


def test_envoy_takes_them_all(tmp_path: Path) -> None:
    envoy = StaticEnvoy(tmp_path)
    for claim in CLAIMS:
        found = model(*mesh_of(claim))
        envoy.add_proxy(found, catalog_of(found), proxy(found, "client"))
        envoy.add_proxy(found, catalog_of(found), proxy(found, "shop"))
    assert envoy.validate() == ""


def test_a_hundred_shuffles_give_the_same_bytes() -> None:
    """All claims in one mesh, as far as it can have them: policies by names of their own."""
    objects: dict[Key, Manifest] = {}
    for number, claim in enumerate(CLAIMS):
        for manifest in manifests(*mesh_of(claim)):
            key = manifest.key
            if key.kind in ("Egress", "TrafficSplit", "UpstreamTrafficSetting"):
                key = msgspec.structs.replace(key, name=f"{key.name}{number}")
            if key.kind != "MeshConfig":
                objects[key] = renamed(manifest, key.name)
    assert len(objects) > 30
    found = list(objects.values())
    wanted = rendered(model(*found))
    random = Random(3)
    for _ in range(100):
        random.shuffle(found)
        assert rendered(model(*found)) == wanted


def renamed(manifest: Manifest, name: str) -> Manifest:
    metadata = manifest.raw["metadata"]
    assert isinstance(metadata, Mapping)
    (made,) = manifests({**manifest.raw, "metadata": {**metadata, "name": name}})
    return made
