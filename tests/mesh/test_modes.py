"""The demo as root, as an ordinary user with user namespaces, and without any isolation."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .process import NOBODY, Bench, OsmProcess, bench, wait_for

IS_ROOT = os.geteuid() == 0
FIRST_ANSWER_LIMIT_S = 30.0
"""DESIGN's budget is 10 s; a busy machine is no failure of the demo."""
ANSWERED = "cluster.bookstore/bookstore|14001.external.upstream_rq_200: "
HANDSHAKES = "cluster.bookstore/bookstore|14001.ssl.handshake: "


class Mode(NamedTuple):
    """Who runs the demo, what is asked for, and what it must say of itself."""

    as_root: bool
    isolation: str
    words: str
    user_namespaces: bool = True


MODES = [
    pytest.param(Mode(True, "auto", "namespaces, as root"), id="root"),
    pytest.param(Mode(False, "auto", "user namespaces, without root"), id="ordinary user"),
    pytest.param(Mode(True, "none", "no isolation: loopback addresses and HTTP_PROXY (asked for)"),
                 id="root without isolation"),
    pytest.param(Mode(False, "none", "no isolation: loopback addresses and HTTP_PROXY (asked for)"),
                 id="ordinary user without isolation"),
    pytest.param(Mode(False, "auto", "HTTP_PROXY (not root; user namespaces: ", False),
                 id="ordinary user where user namespaces are forbidden"),
]  # fmt: skip


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Bench]:
    mode: Mode = request.getfixturevalue("mode")
    if mode.as_root and not IS_ROOT:
        pytest.skip("only root can run this as root")
    uid = NOBODY if IS_ROOT and not mode.as_root else None
    with bench(uid=uid, user_namespaces=mode.user_namespaces) as made:
        yield made


def statistic(mesh: OsmProcess, name: str) -> int:
    """A counter of bookbuyer's proxy; 0 while there is none."""
    path = "/proxies/bookbuyer/bookbuyer-0/envoy/stats?filter=upstream_rq_200%7Cssl.handshake"
    try:
        text = mesh.text(path)
    except (OSError, AssertionError):
        return 0  # it starts
    lines = (line for line in text.splitlines() if line.startswith(name))
    return int(next(lines, f"{name}0").removeprefix(name))


@pytest.mark.parametrize("mode", MODES)
def test_bookbuyer_buys_and_bookthief_is_refused(place: Bench, mode: Mode) -> None:
    mesh = place.start("demo", "--isolation", mode.isolation)
    try:
        wait_for(lambda: statistic(mesh, ANSWERED), "the first answer", within=FIRST_ANSWER_LIMIT_S)
        first = time.monotonic() - mesh.began
        assert statistic(mesh, HANDSHAKES) >= 1  # it came by mutual TLS
        mesh.wait_ready(workloads=5)
        ready = time.monotonic() - mesh.began
        print(
            f"\n{mode.words}: first mutual-TLS 200 after {first:.2f} s, all ready after {ready:.2f} s"
        )
        print("".join(line + "\n" for line in mesh.printed.splitlines() if "s  " in line[:9]))

        wait_for(
            lambda: (
                mesh.counters("bookbuyer")["booksBought"] >= 3
                and mesh.counters("bookstore")["booksSold"] >= 3
                and mesh.counters("bookwarehouse")["totalBooks"] >= 3
                and mesh.denials("bookthief/bookthief") >= 3
            ),
            "bookbuyer buys, the store restocks, and bookthief is refused",
            within=15,
        )
        assert mesh.counters("bookthief")["booksStolen"] == 0
        assert mesh.denials("bookbuyer/bookbuyer") == 0
        edges = {(e["source"], e["destination"]): e for e in mesh.view()["edges"]}
        assert ("bookwarehouse", "database") in edges
        assert all(edge["mutual_tls"] for edge in edges.values())

        status = place.run("status")
        assert status.code == 0, status
        assert mode.words in status.out
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in (mesh.pid, *mesh.descendants())}
        assert owners == {NOBODY if place.uid else os.geteuid()}
    finally:
        mesh.end()
    assert not list(place.runtime.iterdir())


def test_an_ordinary_user_who_asks_for_roots_namespaces_is_told_why_not() -> None:
    with bench(uid=NOBODY if IS_ROOT else None) as place:
        output = place.run("demo", "--isolation", "root")
    assert output.code == 1
    assert "not root" in output.err
    assert "--isolation auto" in output.err
