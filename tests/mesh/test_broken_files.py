"""Broken YAML in the directory of a running mesh: it is told where and what, and traffic goes on."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .process import OsmProcess, bench, fetch, hurry, wait_for

TOLD_WITHIN_S = 1.0
NEW = "new.yaml"
ACCESS, STORE, BUYER, CONFIG, DATABASE = (
    "traffic-access.yaml", "bookstore.yaml", "bookbuyer.yaml", "mesh-config.yaml", "database.yaml",
)  # fmt: skip

SPLIT = """\
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata:
  name: bookstore-split
  namespace: bookstore
spec:
  service: bookstore.bookstore
  backends:
  - service: bookstore-v1
    weight: 100
"""


class Case(NamedTuple):
    """An edit of a file in force, or of a new one: `old` becomes `new`, and a word of the message."""

    name: str
    file: str
    old: str
    new: str
    word: str
    line: int = 0
    """Where it is found, when that is not the line of the edit."""


CASES = [
    # Files that are in force, and are broken while somebody edits them.
    Case("a tab", ACCESS, "  sources:", "\tsources:", "tab"),
    Case("a bracket that does not close", ACCESS, "      matches:\n        - buy-a-book",
         "      matches: [buy-a-book", "does not end"),
    Case("a quote that does not close", ACCESS, '".*a-book.*new"', '".*a-book.*new', "quote"),
    Case("a key without a colon", STORE, "  ports:", "  ports", "colon"),
    Case("a key twice", STORE, "  namespace: bookstore", "  name: bookstore", "twice"),
    Case("indentation that fits nothing", BUYER, "  replicas: 1", "   replicas: 1", "indent"),
    Case("a placeholder", BUYER, "name: bookbuyer\n", "name: {{ name }}\n", ""),
    Case("a Python object", BUYER, "replicas: 1", "replicas: !!python/object:os.system 1", "!!python"),
    Case("an alias of nothing", STORE, "app: bookstore", "app: *store", "*store"),
    Case("a misspelt kind", ACCESS, "kind: TrafficTarget", "kind: TraficTarget", "TraficTarget"),
    Case("a version that does not exist", ACCESS, "smi-spec.io/v1alpha3", "smi-spec.io/v1beta9", "v1beta9"),
    Case("an unknown group", ACCESS, "access.smi", "axess.smi", "axess"),
    Case("no kind", ACCESS, "kind: TrafficTarget\n", "", "kind"),
    Case("no apiVersion", STORE, "apiVersion: v1\n", "", "apiVersion"),
    Case("a name in capitals", STORE, "name: bookstore\n", "name: BookStore\n", "BookStore"),
    Case("a source that is a user", ACCESS, "    - kind: ServiceAccount", "    - kind: User", "User"),
    Case("a destination in another namespace", ACCESS, "    namespace: bookstore\n  rules",
         "    namespace: elsewhere\n  rules", "elsewhere"),
    Case("a misspelt condition", ACCESS, "      methods:", "      method:", "method"),
    Case("an unknown method", ACCESS, "        - GET", "        - FETCH", "FETCH"),
    Case("a glob for a regex", ACCESS, '".*a-book.*new"', '"*"', "*"),
    Case("a regex with look-ahead", ACCESS, '".*a-book.*new"', '"(?!x).*"', "(?!"),
    Case("a port that is too large", STORE, "port: 14001", "port: 140010", "65535"),
    Case("a port in quotes", DATABASE, "port: 6379", 'port: "6379"', "number"),
    Case("a port of a TCPRoute that is 0", ACCESS, "      - 6379", "      - 0", "65535"),
    Case("a negative number of replicas", BUYER, "replicas: 1", "replicas: -1", "0 or more"),
    Case("a command that is no list", BUYER, '["python", "-m", "osm.demo.bookbuyer"]', "python", "list"),
    Case("a variable that is a number", BUYER, 'value: "200"', "value: 200", "text"),
    Case("a selector that selects nothing", BUYER, "      app: bookbuyer\n", "      app: other\n", "app"),
    Case("a switch that is text", CONFIG, "Mode: false", "Mode: 'no'", "true or false"),
    Case("a duration in days", CONFIG, "Duration: 24h", "Duration: 1d", "1d"),
    # New files.
    Case("a negative weight", NEW, "weight: 100", "weight: -1", "0 or more"),
    Case("a split without backends", NEW, "  backends:\n  - service: bookstore-v1\n    weight: 100\n",
         "  backends: []\n", "backend"),
    Case("words", NEW, SPLIT, "just words\n", "", 1),
    Case("a list", NEW, SPLIT, "- 1\n- 2\n", "", 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def mesh() -> Iterator[OsmProcess]:
    with bench() as place, place.demo("--quiet") as running:
        hurry(running)
        # A comment costs a line, and no sense: broken lines are found where they are, not where
        # they were when the mesh started.
        running.edit(ACCESS, lambda text: f"# edited\n\n{text}")
        yield running


def findings(mesh: OsmProcess, file: str) -> list[Any]:
    """The errors that are told of a file at this moment."""
    everything = mesh.view()["findings"]
    return [
        each
        for each in everything
        if each["severity"] == "error" and Path(each["where"].rpartition(":")[0]).name == file
    ]


def traffic_goes_on(mesh: OsmProcess) -> None:
    """Hold that bookbuyer still buys and bookthief still does not, by the rules that were good."""
    bought = mesh.counters("bookbuyer")["booksBought"]
    try:
        wait_for(lambda: mesh.counters("bookbuyer")["booksBought"] >= bought + 3, "bookbuyer buys")
    except AssertionError as error:
        mesh.explain(error)
        raise
    assert mesh.counters("bookthief")["booksStolen"] == 0


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_broken_yaml_is_told_with_its_line_and_the_last_good_form_stays(
    mesh: OsmProcess, case: Case
) -> None:
    good = SPLIT if case.file == NEW else (mesh.directory / case.file).read_text()
    assert case.old in good
    line = case.line or good[: good.index(case.old)].count("\n") + 1
    programs = mesh.programs("bookbuyer"), mesh.programs("bookstore")

    mesh.write(case.file, good.replace(case.old, case.new, 1))
    try:
        told = wait_for(lambda: findings(mesh, case.file), "it is told", within=TOLD_WITHIN_S)
        found = findings(mesh, case.file)
        traffic_goes_on(mesh)
    finally:
        if case.file == NEW:
            mesh.remove(NEW)
        else:
            mesh.write(case.file, good)
    cleared = wait_for(
        lambda: not findings(mesh, case.file), "it is forgotten", within=TOLD_WITHIN_S
    )

    print(f"\ntold after {told:.2f} s, cleared after {cleared:.2f} s: {found[0]['message']}")
    where = {int(each["where"].rpartition(":")[2]) for each in found}
    # YAML itself may notice only some lines later; what it names is then after the edit.
    assert min(abs(each - line) for each in where) <= 1 + case.new.count("\n"), (where, line)
    assert case.word in " ".join(each["message"] for each in found)
    assert (mesh.programs("bookbuyer"), mesh.programs("bookstore")) == programs


def test_what_is_broken_is_in_osm_status_as_it_is_in_the_view(mesh: OsmProcess) -> None:
    mesh.write(NEW, SPLIT.replace("weight: 100", "weight: many"))
    wait_for(lambda: findings(mesh, NEW), "it is told", within=TOLD_WITHIN_S)
    status = mesh.bench.run("status")
    mesh.remove(NEW)
    assert status.code == 1
    assert f"{NEW}:10: TrafficSplit bookstore/bookstore-split" in status.out
    wait_for(lambda: not findings(mesh, NEW), "it is forgotten", within=TOLD_WITHIN_S)
    assert mesh.bench.run("status").code == 0


def steals_nothing(mesh: OsmProcess) -> bool:
    """Whether the thief's count stands still: it is read once a second, and may be late."""
    before = mesh.counters("bookthief")["booksStolen"]
    time.sleep(2.5)
    return bool(mesh.counters("bookthief")["booksStolen"] == before)


def test_a_good_object_beside_a_broken_one_in_a_file_takes_effect(mesh: OsmProcess) -> None:
    good = (mesh.directory / ACCESS).read_text()
    opened = good.replace(
        "    # - kind: ServiceAccount\n    #   name: bookthief\n    #   namespace: bookthief",
        "    - kind: ServiceAccount\n      name: bookthief\n      namespace: bookthief",
    ).replace("      - 6379", "      - 0")  # the TCPRoute in the same file is broken
    assert opened.count("bookthief") == good.count("bookthief")
    mesh.write(ACCESS, opened)
    wait_for(lambda: mesh.counters("bookthief")["booksStolen"] > 0, "the thief is let in", within=3)
    restocked = json.loads(fetch(mesh.page("bookwarehouse") + "raw")[1])["totalBooks"]
    wait_for(
        lambda: json.loads(fetch(mesh.page("bookwarehouse") + "raw")[1])["totalBooks"] > restocked,
        "the database is reached by the last good TCPRoute",
    )
    mesh.write(ACCESS, good)
    wait_for(lambda: not findings(mesh, ACCESS), "it is forgotten", within=TOLD_WITHIN_S)
    wait_for(lambda: steals_nothing(mesh), "the thief is kept out again")


def test_a_file_that_is_half_written_and_one_that_nobody_may_read_harm_nothing(
    mesh: OsmProcess,
) -> None:
    path = mesh.directory / ACCESS
    good = path.read_text()
    stolen = mesh.counters("bookthief")["booksStolen"]
    denied = mesh.denials("bookbuyer/bookbuyer")
    for _ in range(5):  # as an editor writes: empty first, then in pieces
        with path.open("w") as file:
            for start in range(0, len(good), 512):
                file.write(good[start : start + 512])
                file.flush()
    bought = mesh.counters("bookbuyer")["booksBought"]
    wait_for(lambda: mesh.counters("bookbuyer")["booksBought"] >= bought + 5, "bookbuyer buys")
    if os.geteuid() != 0:
        path.chmod(0)
        wait_for(lambda: findings(mesh, ACCESS), "it is told", within=2 * TOLD_WITHIN_S)
        path.chmod(0o644)
    os.mkfifo(mesh.directory / "pipe.yaml")  # must not be waited for
    mesh.write("image.yaml", "\x00PNG")
    wait_for(lambda: findings(mesh, "image.yaml"), "it is told", within=TOLD_WITHIN_S)
    mesh.remove("pipe.yaml")
    mesh.remove("image.yaml")
    assert mesh.counters("bookthief")["booksStolen"] == stolen
    assert mesh.denials("bookbuyer/bookbuyer") == denied
