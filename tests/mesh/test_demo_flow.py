"""OSM's getting-started flow on a running `osm demo`: by commands, and by nothing but edited files."""

import http.client
import json
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from .process import Counters, OsmProcess, bench, fetch, hurried, hurry, wait_for

ENOUGH = 12
"""So many more books say that a counter rises; each is a request that went the whole way."""
REVOCATION_S = 1.0

Act = Callable[[str], object]
"""Puts one of the demo's named manifests into force."""


@contextmanager
def hurried_demo() -> Iterator[OsmProcess]:
    """A demo without policies, of applications that do not wait."""
    with bench() as place, place.demo("--scenario", "empty", "--quiet") as running:
        hurry(running)
        yield running


def by_command(mesh: OsmProcess) -> Act:
    """Apply; what starts with `-` is deleted."""

    def act(name: str) -> object:
        verb = "delete" if name.startswith("-") else "apply"
        mesh.bench.succeed(verb, "-f", f"demo:{name.removeprefix('-')}")
        if name == "bookstore-v2":  # the file that apply wrote is the mesh's, and can be edited
            file = next(
                path for path in mesh.directory.iterdir() if "IDENTITY" in path.read_text()
                and "value: bookstore-v2" in path.read_text()
            )  # fmt: skip
            mesh.edit(file.name, hurried)
        return None

    return act


def by_files(mesh: OsmProcess) -> Act:
    """Write the manifest's file; what starts with `-` is removed."""
    files = {"access": "traffic-access.yaml", "split-v2": "traffic-split.yaml"}

    def act(name: str) -> object:
        if name.startswith("-"):
            bare = name.removeprefix("-")
            mesh.remove(files.get(bare, f"{bare}.yaml"))
        else:
            mesh.copy(name)
        return None

    return act


class Shops:
    """What the demo's pages say is sold, and how that changes."""

    def __init__(self, mesh: OsmProcess) -> None:
        self.mesh = mesh
        self.pages = {app: mesh.page(app) for app in ("bookbuyer", "bookthief", "bookstore")}

    def look(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for page in self.pages.values():
            status, body = fetch(page + "raw")
            assert status == 200, body
            counters: Counters = json.loads(body)
            counts.update(counters)
        return counts

    def rise(self, *names: str, within: float = 10.0) -> float:
        """Wait until each of these counters has risen by enough; gives the seconds."""
        before = self.look()

        def enough() -> bool:
            now = self.look()
            return all(now[name] >= before[name] + ENOUGH for name in names)

        return wait_for(enough, f"{names} rise from {before}", within=within)

    def stand_still(self, *names: str, during: str = "") -> None:
        """Hold that these counters do not move while others do, or while calls are refused."""
        before = self.look()
        if during:
            self.rise(during)
        else:
            refused = self.refusals()
            wait_for(
                lambda: all(self.refusals()[who] >= refused[who] + ENOUGH for who in refused),
                "bookbuyer and bookthief are refused",
            )
        after = self.look()
        assert {name: after[name] for name in names} == {name: before[name] for name in names}

    def refusals(self) -> dict[str, int]:
        accounts = ("bookbuyer/bookbuyer", "bookthief/bookthief")
        return {account: self.mesh.denials(account) for account in accounts}

    def last_change(self, name: str, seconds: float) -> float:
        """Watch a counter for a time: the seconds after which it was last seen to move."""
        page = self.pages["bookthief" if name.startswith("booksStolen") else "bookbuyer"]
        began, last, moved = time.monotonic(), -1, 0.0
        while (now := time.monotonic() - began) < seconds:
            value = json.loads(fetch(page + "raw")[1])[name]
            if value != last:
                last, moved = value, now
            time.sleep(0.01)
        return moved


@pytest.mark.parametrize("way", [by_command, by_files])
def test_the_getting_started_flow(way: Callable[[OsmProcess], Act]) -> None:
    with hurried_demo() as mesh:
        follow_the_flow(mesh, way)


def follow_the_flow(mesh: OsmProcess, way: Callable[[OsmProcess], Act]) -> None:
    act, shops = way(mesh), Shops(mesh)
    everything = ("booksBought", "booksSold", "booksStolen")

    shops.stand_still(*everything)  # no policies: nobody may call

    act("access")
    shops.rise("booksBought", "booksBoughtV1", "booksSold")
    shops.stand_still("booksStolen", "booksBoughtV2", during="booksBought")
    assert json.loads(fetch(mesh.page("bookwarehouse") + "raw")[1])["totalBooks"] > 0

    act("allow-bookthief")
    opened = shops.rise("booksStolen")

    began = time.monotonic()
    act("access")
    told = time.monotonic() - began
    closed = shops.last_change("booksStolen", 2.0)
    assert closed < REVOCATION_S
    shops.stand_still("booksStolen", during="booksBought")

    act("bookstore-v2")
    shops.rise("booksBoughtV1", "booksBoughtV2", within=20)
    assert mesh.counters("bookstore-v2")["booksSold"] > 0

    act("split-v1")
    shops.last_change("booksBoughtV2", 0.5)
    shops.stand_still("booksBoughtV2", during="booksBoughtV1")
    act("split-50-50")
    shops.rise("booksBoughtV1", "booksBoughtV2")
    act("split-v2")
    shops.last_change("booksBoughtV1", 0.5)
    shops.stand_still("booksBoughtV1", during="booksBoughtV2")

    act("permissive")
    shops.rise("booksStolen", "booksBought")
    assert mesh.view()["policy_mode"] == "permissive"

    print(f"\n{way.__name__}: thief let in after {opened:.2f} s (with {ENOUGH} books), "
          f"told to stop in {told:.2f} s, last theft {closed:.2f} s later")  # fmt: skip
    for name in ("smi", "-split-v2", "-bookstore-v2", "-access"):
        act(name)
    wait_for(lambda: not mesh.page("bookstore-v2"), "version 2 is gone")
    shops.last_change("booksBought", 0.5)
    shops.stand_still(*everything)


# The access matrix


CALLERS = {
    "bookbuyer": ("bookbuyer", "bookbuyer"),
    "bookthief": ("bookthief", "bookthief"),
    "bookstore": ("bookstore", "bookstore"),
    "bookwarehouse": ("bookwarehouse", "bookwarehouse"),
    "database": ("bookwarehouse", "database"),
}
"""Service accounts: namespace and name."""

TARGETS = {
    "bookstore": ("bookstore.bookstore:14001", "GET", "/buy-a-book/new"),
    "bookwarehouse": ("bookwarehouse.bookwarehouse:14001", "POST", "/restock-books"),
    "database": ("database.bookwarehouse:6379", "", ""),
}
ALLOWED = {
    ("bookbuyer", "bookstore"),
    ("bookstore", "bookwarehouse"),
    ("bookwarehouse", "database"),
}
SENT_FROM = 18000

CALL = """
import http.client, socket
def call(host, port, method, path):
    try:
        if not method:
            with socket.create_connection((host, port), 5) as connection:
                connection.sendall(b"PING\\r\\n")
                return connection.recv(64).decode()
        connection = http.client.HTTPConnection(host, port, timeout=5)
        connection.request(method, path, b"1" if method == "POST" else None)
        return connection.getresponse().status
    except OSError:
        return ""
"""


def puppet(name: str, namespace: str, account: str, port: int) -> str:
    """A Deployment that runs the Python it is sent, under a service account of the demo."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}}}
      annotations: {{local.openservicemesh.io/forward: "{port}:8000"}}
    spec:
      serviceAccountName: {account}
      terminationGracePeriodSeconds: 1
      containers:
        - name: puppet
          command: ["python", "-m", "osm.testing.puppet", "8000"]
          readinessProbe: {{httpGet: {{path: /, port: 8000}}, periodSeconds: 1}}
"""


@pytest.fixture(scope="module")
def mesh() -> Iterator[OsmProcess]:
    with hurried_demo() as running:
        running.copy("access")
        yield running


@pytest.fixture(scope="module")
def puppets(mesh: OsmProcess) -> Mapping[str, str]:
    """Workloads that send what they are told to: their addresses by the account's name."""
    texts = [
        puppet(f"{caller}-hand", *account, SENT_FROM + number)
        for number, (caller, account) in enumerate(CALLERS.items())
    ]
    mesh.write("puppets.yaml", "---".join(texts))
    mesh.wait_ready(workloads=5 + len(CALLERS))
    return {caller: mesh.page(f"{caller}-hand") for caller in CALLERS}


def tell(page: str, program: str) -> object:
    """Run a program in a puppet, and give its `result`."""
    status, body = fetch(page + "run", textwrap.dedent(program).encode(), timeout=60)
    value: object = json.loads(body)
    assert status == 200, value
    return value


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("caller", CALLERS)
def test_the_access_policies_allow_the_chain_of_the_bookstore_and_nothing_else(
    mesh: OsmProcess, puppets: Mapping[str, str], caller: str, target: str
) -> None:
    address, method, path = TARGETS[target]
    host, _, port = address.partition(":")
    allowed = (caller, target) in ALLOWED
    namespace, _ = CALLERS[caller]

    question = (f"{namespace}/{caller}-hand", address, method, path)
    explained = mesh.bench.run("explain", *(word for word in question if word))
    answer = tell(puppets[caller], f"{CALL}\nresult = call{(host, int(port), method, path)!r}")

    assert explained.code == (0 if allowed else 1), explained
    if method:
        assert answer == (200 if allowed else 403)
    else:
        assert answer == ("+PONG\r\n" if allowed else "")


BUY = """
import http.client, collections
connection = http.client.HTTPConnection("bookstore.bookstore", 14001, timeout=10)
found = collections.Counter()
for _ in range({count}):
    connection.request("GET", "/buy-a-book/new")
    answer = connection.getresponse()
    answer.read()
    found[answer.getheader("identity") or str(answer.status)] += 1
result = found
"""


def test_a_split_moves_a_thousand_requests_within_five_percent(
    mesh: OsmProcess, puppets: Mapping[str, str]
) -> None:
    mesh.copy("bookstore-v2")
    wait_for(lambda: mesh.page("bookstore-v2"), "version 2 starts")
    mesh.wait_ready(workloads=6 + len(CALLERS))
    shares = {"split-v1": (1000, 0), "split-50-50": (500, 500), "split-v2": (0, 1000)}
    try:
        for split, expected in shares.items():
            mesh.copy(split)
            wait_for(lambda: in_force(mesh, *expected), f"{split} is in force")  # noqa: B023
            found = tell(puppets["bookbuyer"], BUY.format(count=1000))
            assert isinstance(found, dict)
            counts = (found.get("bookstore-v1", 0), found.get("bookstore-v2", 0))
            print(f"\n{split}: {counts}")
            assert sum(counts) == 1000, found
            slack = 50 if 0 not in expected else 0
            assert abs(counts[0] - expected[0]) <= slack
    finally:
        mesh.remove("traffic-split.yaml")
        mesh.remove("bookstore-v2.yaml")
        wait_for(lambda: not mesh.page("bookstore-v2"), "version 2 is gone")
        mesh.wait_ready(workloads=5 + len(CALLERS))


def in_force(mesh: OsmProcess, first: int, second: int) -> bool:
    """Whether the split's shares are what proxies have acknowledged."""
    view = mesh.view()
    shares = {
        edge["destination"]: edge["split_percent"]
        for edge in view["edges"]
        if edge["source"] == "bookbuyer"
    }
    wanted = {"bookstore": first / 10, "bookstore-v2": second / 10}
    known = {app: share for app, share in shares.items() if share is not None}
    return (
        bool(known)
        and all(share == wanted[app] for app, share in known.items())
        and all(proxy["in_sync"] for proxy in view["proxies"])
    )


def test_a_page_of_the_demo_is_served_past_its_proxy_to_loopback_only(mesh: OsmProcess) -> None:
    place = urlsplit(mesh.page("bookthief"))
    assert place.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection(place.hostname, place.port or 0, timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    assert answer.status == 200
    assert "bookthief" in page
