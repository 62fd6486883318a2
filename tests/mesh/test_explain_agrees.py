"""What `osm explain` says of a request is what the proxies do with it: for hundreds of random ones."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
import pytest_asyncio

from osm.core.explain.explanation import Explanation, Question

from .harness import (
    MeshUnderTest,
    http_access,
    local_mesh,
    mesh_config,
    puppet,
    service,
    split,
    tcp_access,
)

REQUESTS = 250
"""How many random requests each set of policies gets; there are six sets."""
SOURCES = {"anna": "anna/anna-0", "ben": "ben/ben-0", "shop": "shop/v1-0"}
ECHO, OTHER = 9000, 9001
SHOP_PORTS = ((80, 8000, "http"), (8081, 8000, "http"))


def _version(name: str) -> str:
    return puppet(name, namespace="shop", labels={"tier": "shop"})


OBJECTS = "---".join(
    (
        puppet("anna"),
        puppet("ben"),
        _version("v1"),
        _version("v2"),
        service("shop", selector={"tier": "shop"}, ports=SHOP_PORTS),
        service("v1", namespace="shop", ports=SHOP_PORTS),
        service("v2", namespace="shop", ports=SHOP_PORTS),
        service("ghost", namespace="shop", selector={"app": "nobody"}),
        puppet("bank", arguments=(f"--echo={ECHO}", f"--echo={OTHER}")),
        service("bank", ports=((80, 8000, "http"), (ECHO, ECHO, "tcp"), (7000, OTHER, "tcp"))),
        service("coin", namespace="bank", selector={"app": "bank"}, ports=((8081, ECHO, "tcp"),)),
    )
)
PODS = {
    "shop/shop": {"v1-0", "v2-0"},
    "shop/v1": {"v1-0"},
    "shop/v2": {"v2-0"},
    "bank/bank": {"bank-0"},
}

HOSTS = (
    "shop.shop",
    "shop.shop.svc",
    "shop.shop.svc.cluster.local",
    "v1.shop",
    "v2.shop.svc.cluster",
    "ghost.shop",
    "bank.bank",
    "bank.bank.svc.cluster.local",
)
TCP_TARGETS = (
    ("bank.bank", ECHO),
    ("bank.bank", 7000),
    ("bank.bank.svc", ECHO),
    ("coin.bank", 8081),
    ("bank.bank", 1234),
    ("shop.shop", ECHO),
)
METHODS = ("GET", "GET", "POST", "PUT", "DELETE", "OPTIONS")
SEGMENTS = (
    *("buy", "buy", "buy", "sell", "a", "books", "1"),
    *(
        "..",
        ".",
        "",
        "%2e%2e",
        "%2E",
        "%62uy",
        "%2f",
        "%5c",
        "..;",
        "BUY",
        "%252e%252e",
        "b\\y",
        "buy;v=1",
    ),
    *("%zz", "~a", "%7ea", "buy%00", "b%20y"),
)
QUERIES = ("", "", "", "?", "?a=1", "?/buy", "?x=/../sell", "?a=%2f")
HEADERS = (
    ("x-role", "admin"),
    ("x-role", "guest"),
    ("X-Role", "admin"),
    ("x-role", ""),
    ("x-role", "admin,guest"),
    ("user-agent", "Mozilla Firefox 9"),
    ("x-other", "1"),
)


def _role(pattern: str) -> tuple[dict[str, str], ...]:
    return ({"x-role": pattern},)


ANNA, BEN = ("anna/anna",), ("ben/ben",)
BOTH = (*ANNA, *BEN)
POLICIES = {
    "nothing is allowed": "",
    "paths, methods and headers": "---".join(
        (
            http_access("a", "shop/v1", ANNA, path="/buy.*", methods=("GET", "POST")),
            http_access("b", "shop/v1", BEN, path="/buy/[^/]+", methods=("*",)),
            http_access("c", "shop/v2", BOTH, path="/(buy|sell)(/.*)?", headers=_role("admin")),
            http_access("d", "bank/bank", BEN, path="/a.*b?", methods=("PUT", "DELETE")),
            http_access("e", "bank/bank", ANNA, headers=({"host": r"bank\.bank"},)),
        )
    ),
    "a split, and TCP by port": "---".join(
        (
            split("s", "shop", "shop", {"v1": 30, "v2": 70}),
            http_access("a", "shop/v1", BOTH),
            http_access("b", "shop/v2", ANNA, path="/.*", headers=_role("(admin|guest)")),
            tcp_access("t", "bank/bank", ANNA, (ECHO,)),
            tcp_access("u", "bank/bank", BEN, (OTHER, 8000)),
            http_access("c", "bank/bank", BEN, methods=("GET",)),
        )
    ),
    "permissive mode, and a split to nowhere": "---".join(
        (mesh_config(permissive=True), split("s", "shop", "shop.shop", {"v1": 0, "v2": 0}))
    ),
    "a split by matches": "---".join(
        (
            http_access("testers", "shop/v1", BOTH, path="/buy.*", headers=_role("admin.*")),
            split("s", "shop", "shop.shop.svc", {"v2": 1}, matches=("testers",)),
            http_access("b", "shop/v2", BOTH, methods=("GET", "POST", "PUT")),
            tcp_access("t", "bank/bank", BEN),
        )
    ),
    "rules that refer to what is missing": "---".join(
        (
            http_access("a", "shop/v1", ANNA).replace("name: a, matches", "name: gone, matches"),
            http_access("b", "shop/v2", ANNA).replace("matches: [m]", "matches: [gone]"),
            split("s", "shop", "shop", {"v2": 1, "gone": 9}),
            # A TCPRoute beside the HTTP rule limits the HTTP rule's ports, too.
            http_access("c", "bank/bank", ANNA).replace(
                "rules: [", "rules: [{kind: TCPRoute, name: t}, "
            ),
            tcp_access("t", "bank/bank", BEN, (ECHO,)),
        )
    ),
}


EXPECTED = {
    "nothing is allowed": {"denied", "no route", "no endpoints", "refused", "redirected"},
    "paths, methods and headers": {"allowed", "denied", "partly denied"},
    "a split, and TCP by port": {"allowed", "denied", "partly denied"},
    "permissive mode, and a split to nowhere": {"allowed", "no backend"},
    "a split by matches": {"allowed", "denied", "partly denied"},
    "rules that refer to what is missing": {"allowed", "denied"},
}
"""Verdicts that must occur among the random requests."""


class Sent(NamedTuple):
    """A request, as one of the sources sends it. Without a method: a TCP connection."""

    source: str
    host: str
    port: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    @property
    def question(self) -> Question:
        port = "" if self.port == 80 and self.method else f":{self.port}"
        return Question(
            source=SOURCES[self.source],
            destination=self.host + port,
            method=self.method,
            path=self.target,
            headers=self.headers,
        )


def random_requests(random: Random) -> list[Sent]:
    return [_random_request(random) for _ in range(REQUESTS)]


def _random_request(random: Random) -> Sent:
    source = random.choice(list(SOURCES))
    if random.random() < 0.2:
        host, port = random.choice(TCP_TARGETS)
        return Sent(source, host, port, "", "/", ())
    path = "/" + "/".join(random.choices(SEGMENTS, k=random.randint(1, 3)))
    if random.random() < 0.5:
        path = random.choice(("/buy", "/buy/1", "/sell", "/sell/a", "/a", "/ab", "/", "/buyer"))
    host = random.choice(HOSTS)
    if source == "shop" and random.random() < 0.5:
        host = random.choice(("shop", "v1", "v2"))  # short names, from the same namespace
    return Sent(
        source,
        host,
        random.choice((80, 80, 80, 8081)),
        random.choice(METHODS),
        path + random.choice(QUERIES),
        tuple(random.sample(HEADERS, random.choice((0, 0, 1, 1, 2)))),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(5)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("policies", POLICIES)
async def test_the_proxies_do_what_explain_says(mesh: MeshUnderTest, policies: str) -> None:
    mesh.write("policies.yaml", POLICIES[policies] or "# none\n")
    await mesh.settle()
    requests = random_requests(Random(policies))
    wrong = []
    seen: set[str] = set()
    for source in SOURCES:
        mine = [request for request in requests if request.source == source]
        for request, found in zip(mine, await _send(mesh, source, mine), strict=True):
            explanation = mesh.api.explain(request.question)
            seen.add(explanation.verdict)
            problem = _disagreement(explanation, request, *found)
            if problem:
                wrong.append(f"{request}\n  {problem}\n  {explanation.summary}")
    assert not wrong, f"{len(wrong)} of {REQUESTS} disagree:\n" + "\n".join(wrong)
    assert seen >= EXPECTED[policies], "requests that all end alike prove little"


async def _send(mesh: MeshUnderTest, source: str, requests: list[Sent]) -> list[tuple[str, str]]:
    """Send requests from a workload: for each what came of it, and the body."""
    program = f"""
        result = []
        for host, port, method, target, headers in {[tuple(r)[1:] for r in requests]!r}:
            if method:
                status, _, body = ask(host, port, method, target, headers)
                result.append([str(status), body])
            else:
                result.append(talk(host, port))
        """
    found = await mesh.run(SOURCES[source], program, timeout=60)
    return [(outcome, body) for outcome, body in found]


HTTP_OUTCOMES = {
    "allowed": {"200"},
    "denied": {"403"},
    "partly denied": {"200", "403"},
    "redirected": {"307"},
    "refused": {"400"},
    "no backend": {"503"},
    "no endpoints": {"503"},
    # A port that no HTTP service has is a matter of TCP; on one that some service has, the proxy may
    # find fault with the path before it looks for the service.
    "no route": {"404", "0", "400", "307"},
}


def _disagreement(explanation: Explanation, request: Sent, outcome: str, body: str) -> str:
    """In what the answer and the explanation differ; empty when they agree."""
    verdict = explanation.verdict
    if not request.method:
        served = (outcome, body) == ("answered", "ping")
        if served == (verdict == "allowed") and outcome in ("answered", "closed", "refused"):
            return ""
        return f"explain says {verdict!r}, and the connection was {outcome}: {body!r}"
    if outcome not in HTTP_OUTCOMES.get(verdict, ()):
        return f"explain says {verdict!r}, and the answer was {outcome}: {body!r}"
    if outcome == "200":
        pod = json.loads(body)["name"]
        pods = {
            pod
            for backend, percent in explanation.backends
            if percent > 0
            for pod in PODS[backend.partition(":")[0]]
        }
        if pod not in pods:
            return f"explain sends it to {explanation.backends}, and {pod} answered"
    return ""
