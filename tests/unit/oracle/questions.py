"""Random questions about a mesh, biased to what is nearly right and to what is meant to deceive."""

from random import Random

import msgspec
from tests.unit.oracle.policies import OUTSIDE_HOSTS
from tests.unit.oracle.written import SPACES, Mesh, Pod, Service

from osm.core.explain.explanation import Question

METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PLAIN = (
    *("/buy", "/buy", "/buy/1", "/sell", "/a/1", "/b/22", "/public/x", "/x.y", "/xzy", "/"),
    *("/buy/", "/buyer", "/Buy", "/SELL", "/a/x", "/ab", "/public", "/c/1", "/public/"),
)
DECEIVING = (
    *("/public/../sell", "/public/%2e%2e/sell", "/public/.%2e/sell", "/public/..%2fsell"),
    *(r"/public/..\sell", "/public/..%5csell", "/public/..;/sell", "/public/..;x=1/buy"),
    *("/%62uy", "//buy", "/./buy", "/buy/..", "/buy/../buy", "/x/../buy", "/buy%00", "/buy%20"),
    *("/%2562uy", "/buy/%2e", "/..", "/a//1", "/bu%79/1", "/b%55y", "/buy;v=1", "/buy^", "/é"),
    *("/..;%00/buy", "/%%62uy", "/%2", "/public/%2e%2e%2fsell", "/buy#x", "/public/....//sell"),
)
QUERIES = (*[""] * 10, "?", "?a=1", "?a=%2f", "?/buy", "?x=/../sell", "?a=#")
HEADERS = (
    ("x-role", "admin"),
    ("x-role", "guest"),
    ("X-Role", "admin"),
    ("x-role", "adm"),
    ("x-other", "1"),
    ("user-agent", "Mozilla Firefox 9"),
    ("x-osm-secret", "1"),
    ("x-forwarded-for", "10.2.3.4"),
)
OUTSIDE_ADDRESSES = ("10.2.3.4", "10.3.0.1", "10.0.0.1", "10.0.0.3")


def random_question(random: Random, mesh: Mesh) -> Question:
    if random.random() < 0.08:
        return _from_outside(random, mesh)
    source = random.choice([pod for pod in mesh.pods if pod.namespace not in mesh.ignored])
    destination, is_http = random_destination(random, mesh, source)
    question = Question(source.key, destination)
    return random_request(random, question) if is_http else question


def random_request(random: Random, question: Question) -> Question:
    path = random.choice(PLAIN) if random.random() < 0.7 else random.choice(DECEIVING)
    return msgspec.structs.replace(
        question,
        method=random.choice(METHODS),
        path=path + random.choice(QUERIES),
        headers=tuple(random.sample(HEADERS, random.choice((0, 0, 0, 1, 1, 2)))),
    )


def _from_outside(random: Random, mesh: Mesh) -> Question:
    chosen = random.choice(mesh.services)
    target = random.choice(chosen.ports).target
    number = target if isinstance(target, int) and random.random() < 0.8 else 8080
    to = f"{chosen.name}.{chosen.namespace}:{number}"
    return random_request(random, Question(random.choice(OUTSIDE_ADDRESSES), to))


def random_destination(random: Random, mesh: Mesh, source: Pod) -> tuple[str, bool]:
    """Where to, as people write it, and whether with HTTP."""
    if random.random() < 0.12:
        return _beyond(random)
    chosen = random.choice(mesh.services)
    port = random.choice(chosen.ports)
    host = _spelling(random, mesh, chosen, source)
    number = port.number if random.random() < 0.95 else random.choice((80, 81, 7777, 9000))
    bare = port.is_http and (number == 80 or len(chosen.ports) == 1)
    is_http = port.is_http if random.random() < 0.97 else not port.is_http
    return (host if bare and random.random() < 0.5 else f"{host}:{number}"), is_http


def _beyond(random: Random) -> tuple[str, bool]:
    host = random.choice((*OUTSIDE_HOSTS, "sub.out.test", "198.51.100.9", "gone", "a.green"))
    number, is_http = random.choice(
        (
            (80, True),
            (80, True),
            (8080, True),
            (443, False),
            (5432, False),
            (25, False),
        )
    )
    bare = is_http and number == 80 and random.random() < 0.7
    return host if bare else f"{host}:{number}", is_http


def _spelling(random: Random, mesh: Mesh, chosen: Service, source: Pod) -> str:
    name = chosen.name
    if chosen.ip == "None" and random.random() < 0.4:
        named = [p.name for p in mesh.members(chosen) if p.subdomain == chosen.name]
        if named:
            name = f"{random.choice(named)}.{name}"
    whole = f"{name}.{chosen.namespace}"
    spellings = [whole, whole, f"{whole}.svc", f"{whole}.svc.cluster.local"]
    spellings += [f"{whole}.svc.cluster", whole.upper(), f"{whole}.svc.cluster.local."]
    if chosen.namespace == source.namespace or random.random() < 0.1:
        spellings += [name, name, name]
    if random.random() < 0.03:
        spellings = [f"{name}.{random.choice((*SPACES, 'green'))}"]
    # What the address of one pod means is another question: `explain` takes it for the service.
    if random.random() < 0.05 and chosen.ip not in ("", "None"):
        spellings = mesh.addresses(chosen)
    return random.choice(spellings)
