"""Every verb of `osm` on a running demo: exit codes, what is printed, and what it does."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from .process import OSM, Bench, OsmProcess, bench, fetch, wait_for

ANSI = "\x1b"
QUESTION = ("explain", "bookthief", "bookstore:14001", "GET", "/buy-a-book/new")
BROKEN = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata:
  name: broken
  namespace: bookstore
spec:
  destination:
    kind: Service
    name: bookstore
    namespace: bookstore
  rules:
  - kind: HTTPRouteGroup
    name: bookstore-service-routes
  sources:
  - kind: ServiceAccount
    name: bookthief
    namespace: bookthief
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def mesh(place: Bench) -> Iterator[OsmProcess]:
    with place.demo() as running:
        yield running


def actions(printed: str) -> dict[str, str]:
    """What a verb said of each object, by `kind.group/name`."""
    return dict(line.split(" ", 1) for line in printed.splitlines())


# Changing


def test_apply_says_of_each_object_what_became_of_it(place: Bench, mesh: OsmProcess) -> None:
    target = "traffictarget.access.smi-spec.io/bookstore"
    tried = actions(place.succeed("apply", "--dry-run", "-f", "demo:allow-bookthief"))
    assert tried[target] == "configured (dry run)"
    assert set(tried.values()) == {"configured (dry run)", "unchanged (dry run)"}
    assert place.run(*QUESTION).code == 1  # the dry run changed nothing

    done = actions(place.succeed("apply", "-f", "demo:allow-bookthief"))
    assert done[target] == "configured"
    wait_for(lambda: place.run(*QUESTION).code == 0, "the thief is let in")
    again = actions(place.succeed("apply", "-f", "demo:allow-bookthief"))
    assert set(again.values()) == {"unchanged"}

    place.succeed("apply", "-f", "demo:access")
    gone = actions(place.succeed("delete", "traffictarget", "bookstore", "-n", "bookstore"))
    assert gone == {target: "deleted"}
    back = json.loads(place.succeed("apply", "-f", "demo:access", "-o", "json"))
    assert {r["key"]["name"]: r["action"] for r in back["results"]}["bookstore"] == "created"
    wait_for(lambda: place.run(*QUESTION).code == 1, "the thief is refused again")


def test_a_file_with_one_bad_object_is_refused_whole_with_its_line(
    place: Bench, mesh: OsmProcess
) -> None:
    good = BROKEN.replace("kind: Service\n", "kind: ServiceAccount\n").replace("broken", "good")
    (place.files / "bad.yaml").write_text(f"{good}---\n{BROKEN}")
    before = sorted((path.name, path.read_bytes()) for path in mesh.directory.iterdir())

    output = place.run("apply", "-f", "bad.yaml")

    assert output.code == 1
    line = good.count("\n") + 1 + BROKEN[: BROKEN.index("kind: Service\n")].count("\n") + 1
    assert f"bad.yaml:{line}: TrafficTarget bookstore/broken" in output.err
    assert "kind: ServiceAccount" in output.err  # what to do
    assert "nothing was applied" in output.err
    assert output.out == ""
    after = sorted((path.name, path.read_bytes()) for path in mesh.directory.iterdir())
    assert after == before
    assert place.run("get", "traffictarget", "good", "-n", "bookstore").code != 0


def test_a_deleted_object_is_gone_from_its_file_and_its_neighbours_stay(
    place: Bench, mesh: OsmProcess
) -> None:
    group = BROKEN.replace("kind: Service\n", "kind: ServiceAccount\n").replace("broken", "spare")
    mesh.write("spare.yaml", f"# one\n{group}---\n# two\n{group.replace('spare', 'other')}")
    try:
        for name in ("spare", "other"):
            shown = ("get", f"traffictarget/{name}", "-n", "bookstore")
            wait_for(lambda: place.run(*shown).code == 0, "it is there")  # noqa: B023
        place.succeed("delete", "traffictarget.access.smi-spec.io/spare", "-n", "bookstore")
        left = (mesh.directory / "spare.yaml").read_text()
    finally:
        mesh.remove("spare.yaml")
    assert "name: spare" not in left
    assert "# two" in left
    assert "name: other" in left


# Looking


@pytest.mark.parametrize("output", ["table", "wide", "name", "json", "yaml"])
def test_get_prints_objects_in_every_format(place: Bench, mesh: OsmProcess, output: str) -> None:
    printed = place.succeed("get", "traffictargets", "-A", "-o", output)
    assert ANSI not in printed
    assert "bookstore-access-bookwarehouse" in printed
    match output:
        case "json" | "yaml":
            listed = yaml.safe_load(printed)  # JSON is YAML
            assert {item["kind"] for item in listed["items"]} == {"TrafficTarget"}
            place.succeed("apply", "-f", "-", text=json.dumps(listed["items"][0]))
        case "name":
            assert "traffictarget.access.smi-spec.io/database" in printed.split()
        case _:
            header, *rows = printed.splitlines()
            assert header.split()[:3] == ["NAMESPACE", "NAME", "DESTINATION"]
            assert ["bookstore", "bookstore", "bookstore/bookstore", "bookbuyer/bookbuyer"] in [
                row.split()[:4] for row in rows
            ]
            assert ("traffic-access.yaml:" in printed) == (output == "wide")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("get", "nothing"), 2, "traffictargets"),
        (("get", "svc", "nothere", "-n", "bookstore"), 2, "nothere"),
        (("delete", "traffictarget", "nothere", "-n", "bookstore"), 2, "nothere"),
        (("apply", "-f", "nothere.yaml"), 1, "nothere.yaml"),
        (("apply", "-f", "demo:nothere"), 2, "allow-bookthief"),
        (("explain", "bookbuyer", "nowhere:1", "GET", "/"), 1, "nowhere:1"),
        (("explain", "nobody", "bookstore:14001", "GET", "/"), 1, "nobody"),
        (("logs", "nobody"), 2, "bookbuyer/bookbuyer-0"),
        (("proxy", "get", "quitquitquit", "bookbuyer"), 2, "config_dump"),
        (("proxy", "get", "config_dump", "nobody"), 2, "nobody"),
        (("status", "--mesh", "other"), 1, "Running: osm."),
        (("status", "--mesh", "No Name"), 2, "No Name"),
        (("demo",), 1, "osm down"),
        (("up", "."), 1, "osm down"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_or_two(
    place: Bench, mesh: OsmProcess, arguments: tuple[str, ...], code: int, words: str
) -> None:
    output = place.run(*arguments, within=10)
    assert output.code == code, output
    assert words in output.out + output.err
    assert "Traceback" not in output.err
    assert ANSI not in output.out + output.err
    assert mesh.code is None


def test_status_is_well_until_something_is_wrong(place: Bench, mesh: OsmProcess) -> None:
    well = place.run("status")
    assert well.code == 0
    for words in (
        "namespaces",
        "5 of 5 ready",
        "5 of 5 in sync",
        "All is well.",
        mesh.view()["page"],
    ):
        assert words in well.out
    assert ANSI not in well.out
    assert json.loads(place.succeed("status", "-o", "json"))["healthy"] is True

    mesh.write("broken.yaml", BROKEN)
    wait_for(lambda: place.run("status").code == 1, "the broken file is a problem", within=3)
    ill = place.run("status")
    assert "broken.yaml:8: TrafficTarget bookstore/broken" in ill.out
    assert "All is well" not in ill.out
    mesh.remove("broken.yaml")
    wait_for(lambda: place.run("status").code == 0, "all is well again", within=3)


def test_explain_names_the_rule_and_its_remedy_can_be_applied(
    place: Bench, mesh: OsmProcess
) -> None:
    buyer = place.run("explain", "bookbuyer", *QUESTION[2:])
    assert buyer.code == 0
    for words in ("ALLOWED", "TrafficTarget bookstore/bookstore", "buy-a-book", "100%"):
        assert words in buyer.out

    thief = place.run(*QUESTION)
    assert thief.code == 1
    assert "DENIED" in thief.out
    assert ANSI not in thief.out

    remedy = place.run(*QUESTION, "-o", "remedy")
    assert remedy.code == 1
    place.succeed("apply", "-f", "-", text=remedy.out)
    wait_for(lambda: place.run(*QUESTION).code == 0, "the remedy allows it")
    stolen = mesh.counters("bookthief")["booksStolen"]
    wait_for(lambda: mesh.counters("bookthief")["booksStolen"] > stolen, "the thief buys")
    place.succeed("delete", "-f", "-", text=remedy.out)
    assert json.loads(place.run(*QUESTION, "-o", "json").out)["verdict"] == "denied"


def test_proxy_list_shows_every_proxy_in_sync(place: Bench, mesh: OsmProcess) -> None:
    header, *rows = place.succeed("proxy", "list").splitlines()
    assert header.split()[:3] == ["NAMESPACE", "NAME", "STATUS"]
    assert len(rows) == 5
    assert {row.split()[2] for row in rows} == {"InSync"}
    wide = place.succeed("proxy", "list", "-o", "wide")
    assert "spiffe://cluster.local/ns/bookthief/sa/bookthief" in wide


@pytest.mark.parametrize(
    "query", ["config_dump?include_eds", "certs", "clusters", "listeners", "stats", "server_info"]
)
def test_proxy_get_never_shows_a_private_key(place: Bench, mesh: OsmProcess, query: str) -> None:
    keys = private_keys(place)
    assert len(keys) >= 5 + 1  # the proxies' own, and the root's
    for app in ("bookbuyer", "bookstore", "bookwarehouse"):
        answer = place.succeed("proxy", "get", query, app)
        assert answer.strip()
        seen = answer + unwrapped(answer)
        assert "PRIVATE KEY" not in seen
        assert not [key for key in keys if key in seen]
        if query.startswith("config_dump"):
            assert "BEGIN CERTIFICATE" in seen  # it was looked into
            assert "[redacted]" in seen


def unwrapped(text: str) -> str:
    """What stands in a text as base64."""
    words = re.findall(r"[A-Za-z0-9+/]{12,}={0,2}", text)
    return "".join(
        base64.b64decode(word).decode(errors="replace") for word in words if len(word) % 4 == 0
    )


def private_keys(place: Bench) -> list[str]:
    """A line of each private key on the bench's disk: what no answer may have."""
    texts = [
        path.read_bytes().decode(errors="replace")
        for path in place.root.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    return [
        key.split()[1]
        for text in texts
        for key in re.findall(r"PRIVATE KEY-----(.+?)-----END", text + unwrapped(text), re.DOTALL)
    ]


def test_logs_are_those_of_one_workload_or_its_proxy(place: Bench, mesh: OsmProcess) -> None:
    def printed(words: str, *arguments: str) -> str:
        wait_for(lambda: words in place.succeed("logs", *arguments), words)
        return place.succeed("logs", *arguments)

    buyer = printed("bought a book from bookstore-v1", "bookbuyer", "--tail", "20")
    assert "bookthief" not in buyer
    thief = "denied source=spiffe://cluster.local/ns/bookthief/sa/bookthief"
    proxy = printed(thief, "bookstore", "--proxy")
    assert ANSI not in buyer + proxy
    follower = subprocess.Popen(
        (OSM, "logs", "bookbuyer", "--follow", "--tail", "0"),
        stdout=subprocess.PIPE, env=place.environment, text=True,
    )  # fmt: skip
    try:
        assert follower.stdout is not None
        assert follower.stdout.readline().strip()  # comes while it runs
    finally:
        follower.kill()
        follower.wait()
        assert follower.stdout is not None
        follower.stdout.close()


def test_the_small_verbs_answer(place: Bench, mesh: OsmProcess) -> None:
    version = place.succeed("version")
    assert version.splitlines()[1].startswith("mesh osm ")
    for shell in ("bash", "zsh", "fish"):
        assert "osm" in place.succeed("completion", shell)
    address = place.succeed("dashboard", "--no-browser").strip()
    assert address == mesh.view()["page"]
    status, page = fetch(address)
    assert status == 200
    assert b"<html" in page


# Side by side, and the end


def test_two_meshes_of_different_names_run_side_by_side(place: Bench, mesh: OsmProcess) -> None:
    second = Bench(place.root, mesh="second")
    stolen = mesh.counters("bookthief")["booksStolen"]
    with second.demo("--scenario", "permissive", "-q") as other:
        assert other.page("bookbuyer") != mesh.page("bookbuyer")
        assert other.view()["policy_mode"] == "permissive"
        assert mesh.view()["policy_mode"] == "smi"
        wait_for(lambda: other.counters("bookthief")["booksStolen"] > 0, "its thief steals")
        assert mesh.counters("bookthief")["booksStolen"] == stolen
        assert "mesh second " in place.succeed("version")
        del place.environment["OSM_MESH"]
        try:
            unclear = place.run("status")
            assert unclear.code == 2
            assert "osm, second" in unclear.err
            assert "--mesh" in unclear.err
            assert place.run("status", "--mesh", "second").code == 0
        finally:
            place.environment["OSM_MESH"] = "osm"
    assert mesh.code is None


def test_down_ends_a_mesh_and_says_so() -> None:
    with bench(mesh="short") as place, place.demo("-q") as mesh:
        assert "short" in place.succeed("down")
        assert mesh.wait(5) == 0
        assert not list(place.runtime.iterdir())
        again = place.run("down")
        assert again.code == 1
        assert "No mesh named short is running" in again.err


def test_a_demo_with_a_duration_ends_with_a_summary_for_programs() -> None:
    with bench() as place:
        output = place.run("demo", "--duration", "10", "-o", "json")
        assert output.code == 0
        summary = output.json()
    counters = summary["counters"]
    assert counters["bookbuyer/bookbuyer-0"]["booksBought"] >= 3
    assert counters["bookstore/bookstore-0"]["booksSold"] >= 3
    assert counters["bookwarehouse/bookwarehouse-0"]["totalBooks"] >= 3
    assert set(counters["bookthief/bookthief-0"].values()) == {0}
    edges = {(edge["source"], edge["destination"]): edge for edge in summary["edges"]}
    assert set(edges) == {
        ("bookbuyer", "bookstore"), ("bookthief", "bookstore"),
        ("bookstore", "bookwarehouse"), ("bookwarehouse", "database"),
    }  # fmt: skip
    assert all(edge["mutualTls"] for edge in edges.values())
    bought, stolen = edges["bookbuyer", "bookstore"], edges["bookthief", "bookstore"]
    assert bought["successPercent"] == 100
    assert bought["deniedTotal"] == 0
    assert stolen["successPercent"] is None  # of the requests that were let in: none was
    assert stolen["denyReason"]
    assert "kind: TrafficTarget" in stolen["remedy"]
    denied = {(each["source"], each["path"]) for each in summary["denials"]}
    assert denied == {
        ("bookthief/bookthief", path) for path in ("/books-bought", "/buy-a-book/new")
    }
    assert all("no access rule" in each["reason"] for each in summary["denials"])
    assert len(summary["proxies"]) == 5
    assert all(proxy["inSync"] for proxy in summary["proxies"])
    assert summary["findings"] == []
