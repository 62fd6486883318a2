"""Random policies: what people ask for, and what they get wrong."""

from collections.abc import Sequence
from random import Random

from tests.unit.oracle.written import ACCOUNTS, SPACES, Service, accepted

from osm.core.api.manifest import Manifest
from osm.testing.builders import (
    Document,
    egress,
    http_group,
    ingress_backend,
    mesh_config,
    namespace,
    retry,
    split,
    target,
    tcp_route,
    upstream,
)

PATHS = (
    *("/buy", "/buy/.*", "/(a|b)/[0-9]+", "/public/.*", "/buy|/sell", ".*", ".*", "", "/a.*b?"),
    *("(?i)/sell", "/[^/]+", r"/x\.y", "/buy.*", ".*/buy", "/"),
)
HEADERS = (
    {"x-role": "admin"},
    {"x-role": "(admin|guest).*"},
    {"host": "a.*"},
    {"host": r"[a-z.]+(:80)?"},
    {"user-agent": ".*Firefox.*"},
    {"x-role": "admin", "X-Other": "1"},
    {"x-osm-secret": "1"},
)
METHODS: tuple[list[str], ...] = (
    ["GET"],
    ["GET", "POST"],
    ["*"],
    [],
    ["PUT", "DELETE"],
    ["OPTIONS"],
)
OUTSIDE_HOSTS = ("out.test", "api.out.test", "other.test", "b.blue", "192.0.2.7")
RANGES = ("192.0.2.0/24", "192.0.2.0/28", "198.51.100.0/24", "10.1.0.0/16")


def random_policies(
    random: Random,
    services: Sequence[Service],
    ignored: frozenset[str] = frozenset(),
    tcp_ports: Sequence[int] = (80, 8080, 9000, 5432),
) -> tuple[Manifest, ...]:
    documents: list[Document] = [namespace(space, ignore="true") for space in ignored]
    for space in SPACES:
        documents += [http_group(name, *_matches(random), namespace=space) for name in ("g", "h")]
        ports = random.sample(tcp_ports, random.choice((0, 0, 1, 2)))
        documents.append(tcp_route("t", *ports, namespace=space))
        count = random.randint(3, 8)
        documents += [_target(random, f"t{number}", space) for number in range(count)]
        count = random.choice((0, 1, 1, 2))
        documents += [_split(random, f"s{number}", space, services) for number in range(count)]
        documents += _others(random, space, services)
    documents.append(
        mesh_config(
            traffic={
                "enablePermissiveTrafficPolicyMode": random.random() < 0.15,
                "enableEgress": random.random() < 0.1,
            },
            featureFlags={"enableRetryPolicy": True},
        )
    )
    return accepted(documents)


def _matches(random: Random) -> list[Document]:
    found: list[Document] = []
    for name in ("m", "n", "o")[: random.randint(1, 3)]:
        match: dict[str, object] = {"name": name, "pathRegex": random.choice(PATHS)}
        match["methods"] = random.choice(METHODS)
        if random.random() < 0.35:
            match["headers"] = [{k: v} for k, v in random.choice(HEADERS).items()]
        found.append(match)
    return found


def _target(random: Random, name: str, space: str) -> Document:
    rules = random.choice(
        (
            ("HTTPRouteGroup/g",),
            ("HTTPRouteGroup/g/m",),
            ("HTTPRouteGroup/h", "HTTPRouteGroup/g/m"),
            ("HTTPRouteGroup/g", "TCPRoute/t"),
            ("TCPRoute/t",),
            ("TCPRoute/t",),
            ("HTTPRouteGroup/h/gone", "HTTPRouteGroup/g"),
            ("HTTPRouteGroup/gone",),
            ("HTTPRouteGroup/g", "TCPRoute/gone"),
        )
    )
    everybody = [f"{s}/{account}" for s in SPACES for account in ACCOUNTS]
    sources = random.sample(everybody, random.choice((1, 2, 4, 8)))
    return target(name, random.choice(ACCOUNTS), sources, *rules, namespace=space)


def _split(random: Random, name: str, space: str, services: Sequence[Service]) -> Document:
    names = [s.name for s in services if s.namespace == space] or ["a"]
    root = random.choice(names)
    spelled = random.choice((root, root, f"{root}.{space}", f"{root}.{space}.svc.cluster.local"))
    leaves = random.sample([*names, "gone"], min(len(names), random.choice((1, 2, 2, 3))))
    weights = {leaf: random.choice((0, 1, 1, 3, 10, 33, 50)) for leaf in leaves}
    groups = random.choice(((), (), (), ("g",), ("g", "h"), ("gone",)))
    created = random.choice(("", "2026-01-02T00:00:00Z"))
    return split(name, spelled, weights, namespace=space, created=created, matches=groups)


def _others(random: Random, space: str, services: Sequence[Service]) -> list[Document]:
    found: list[Document] = []
    here = [s for s in services if s.namespace == space]
    if here and random.random() < 0.3:
        name = random.choice(here).name
        limits = {"rateLimit": {"local": {"http": {"requests": 9, "unit": "second"}}}}
        paths = {"httpRoutes": [{"path": "/buy", **limits}]}
        found.append(upstream("u", f"{name}.{space}.svc.cluster.local", paths, namespace=space))
    if here and random.random() < 0.3:
        to = [s.name for s in random.sample(here, 1)]
        found.append(retry("r", f"{space}/{random.choice(ACCOUNTS)}", to, namespace=space))
    if random.random() < 0.4:
        found.append(_egress(random, space))
    count = random.choice((0, 1, 1, 2)) if here else 0
    return found + [_ingress(random, f"i{index}", space, here) for index in range(count)]


def _egress(random: Random, space: str) -> Document:
    spoken = random.choice(
        (
            ("http:80",),
            ("http:80", "tcp:5432"),
            ("https:443",),
            ("http:8080", "https:443"),
            ("tcp:25", "tcp-server-first:3306"),
            ("tcp:80",),
        )
    )
    sources = [f"{random.choice(SPACES)}/{random.choice(ACCOUNTS)}" for _ in range(3)]
    hosts = random.sample(OUTSIDE_HOSTS, random.choice((1, 2)))
    if any(port.startswith("https") for port in spoken):
        hosts = [h for h in hosts if not h[0].isdigit()] or ["*.out.test"]
    if any(port.startswith("tcp") for port in spoken) and random.random() < 0.5:
        hosts = []
    ranges = random.sample(RANGES, 1) if random.random() < 0.4 else []
    groups = random.choice(((), (), ("g",)))
    return egress("e", sources, spoken, *hosts, namespace=space, ranges=ranges, groups=groups)


def _ingress(random: Random, name: str, space: str, here: Sequence[Service]) -> Document:
    chosen = random.choice(here)
    number = random.choice(
        (8080, 80, *(p.target for p in chosen.ports if isinstance(p.target, int)))
    )
    tls = random.random() < 0.4
    options: Document = {
        "skipClientCertValidation": random.random() < 0.5,
        "sniHosts": random.choice(([], ["shop.test"])),
    }
    backend = {
        "name": chosen.name,
        "port": {"number": number, "protocol": "https" if tls else "http"},
        **({"tls": options} if tls else {}),
    }
    sources: list[Document] = [
        random.choice(
            (
                {"kind": "IPRange", "name": "10.2.0.0/16"},
                {"kind": "Service", "name": random.choice(here).name, "namespace": space},
            )
        )
    ]
    if tls:
        who = random.choice(("edge.gateway.cluster.local", "spiffe://cluster.local/ns/x/sa/y"))
        sources.append({"kind": "AuthenticatedPrincipal", "name": who})
    groups = random.choice(((), (), ("g",), ("gone",)))
    return ingress_backend(name, [backend], sources, namespace=space, matches=groups)
