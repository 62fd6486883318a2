"""The local platform with real namespaces, processes and Envoys.

Each test drives a platform in a process of its own (`local_scenario.py` beside this file), which
can be run as another user, and killed. Hostile programs run in real namespaces only, never in the
fallback, where they would reach the machine.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osm.local import process_table
from osm.local.container import Isolation

SCENARIO = Path(__file__).with_name("local_scenario.py")
ROOT = os.geteuid() == 0
NAMESPACED = [
    pytest.param("root", marks=pytest.mark.skipif(not ROOT, reason="needs root")),
    pytest.param("user"),
    pytest.param(
        "nobody", marks=pytest.mark.skipif(not ROOT, reason="only root can become nobody")
    ),
]
"""Root, user namespaces as whoever runs the tests, and user namespaces as uid 65534."""


@pytest.fixture
def base() -> Iterator[Path]:
    """A short directory for runtime directories: unix sockets have short paths."""
    path = Path(f"/tmp/osm-t{os.getpid()}-{time.monotonic_ns() % 10**6}")
    path.mkdir()
    path.chmod(0o777)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


def command(way: str, base: Path, scenario: str) -> list[str]:
    """How to run a scenario: as ourselves, or as nobody."""
    return [sys.executable, str(SCENARIO), way, str(base / way), scenario]


def run(way: str, base: Path, scenario: str) -> dict[str, Any]:
    """Run a scenario to its end; gives what it found."""
    done = subprocess.run(
        command(way, base, scenario), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("way", NAMESPACED)
def test_a_program_is_reached_through_dial_and_its_own_connections_arrive_at_its_proxy(
    way: str, base: Path
) -> None:
    found = run(way, base, "traffic")
    assert found["dialed"].startswith("HTTP/1.0 200 OK")
    assert found["destination"] == found["service"] + ":80"
    assert found["by_name"] == found["service"] + ":80"
    assert found["forwarded"].startswith("HTTP/1.0 200 OK")
    assert found["loopback_v6"] == "open"


@pytest.mark.parametrize("way", NAMESPACED)
def test_a_hostile_program_has_no_way_around_its_proxy(way: str, base: Path) -> None:
    found = run(way, base, "hostile")
    assert found == {
        "capabilities": "0000000000000000",
        "uid": 0
        if way in ("root", "user") and ROOT
        else (65534 if way == "nobody" else os.geteuid()),
        "sees_processes": ["1"],
        "reads_mesh_files": [],
        "host_port": "ConnectionRefusedError",
        "abstract_socket": "ConnectionRefusedError",
        "sets_loopback_down": "Operation not permitted",
        "flushes_rules": "Operation not permitted",
        "joins_namespace_of_process_1": "PermissionError",
        "mounts": "Operation not permitted",
        "kills_process_1": "alive",
        "route_to_198.51.100.1": "Network is unreachable",
        "route_to_2001:db8::1": "Network is unreachable",
        "hosts_is_private": True,
    }


@pytest.mark.parametrize("way", NAMESPACED)
def test_a_program_that_daemonises_ends_with_its_pod(way: str, base: Path) -> None:
    found = run(way, base, "daemon")
    assert found["running"] == 2, "the program and its daemon"
    assert found["left"] == 0
    assert found["seconds"] < 5
    assert found["directories"] == []


def test_readiness_follows_the_probe(base: Path) -> None:
    found = run("user", base, "readiness")
    assert found["states"] == ["False", "True", "False", "True"]
    assert "HTTP status 503" in found["message"]


def test_what_dies_is_started_again_later_and_later(base: Path) -> None:
    found = run("user", base, "crash")
    gaps = found["gaps"]
    assert len(gaps) >= 3
    assert all(later > earlier * 1.4 for earlier, later in itertools.pairwise(gaps)), gaps
    assert "killed by SIGSEGV" in found["message"]
    assert found["proxy_back_after"] < 2


def test_a_failed_liveness_probe_restarts_the_program(base: Path) -> None:
    found = run("user", base, "liveness")
    assert found["restarts"] >= 1


def test_a_changed_template_restarts_the_pod_and_a_changed_service_does_not(base: Path) -> None:
    found = run("user", base, "change")
    assert found["after_service"] == found["before"]
    assert found["hosts_updated"]
    assert found["after_template"] != found["before"]
    assert found["deleted"]


def test_without_namespaces_programs_are_told_where_their_proxy_is(base: Path) -> None:
    found = run("none", base, "fallback")
    assert found["dialed"].startswith("HTTP/1.0 200 OK")
    assert found["by_http_proxy"] == "http://shop.shop/"
    assert found["capture"]["ip"] == found["ip"]
    assert found["left"] == 0


@pytest.mark.parametrize("way", ["user", "none"])
def test_sigkill_of_the_supervisor_leaves_no_process_and_the_next_start_cleans(
    way: str, base: Path
) -> None:
    mark = f"osm-mark-{os.getpid()}-{way}"
    for _ in range(10):
        with subprocess.Popen(
            command(way, base, f"wait:{mark}"), stdout=subprocess.PIPE, text=True
        ) as supervisor:
            assert supervisor.stdout is not None
            assert supervisor.stdout.readline() == "running\n"
            assert len(belonging(mark, base, but=supervisor.pid)) >= 5
            supervisor.send_signal(signal.SIGKILL)
        end = time.monotonic() + 2
        while left := belonging(mark, base, but=supervisor.pid):
            assert time.monotonic() < end, left
            time.sleep(0.02)
        assert (base / way / "mesh" / "run.json").exists()
    found = run(way, base, "nothing")
    assert found["directories"] == []
    assert not (base / way).exists()


def belonging(mark: str, base: Path, *, but: int) -> list[str]:
    """Processes of a mesh whose supervisor is, or was, process `but`."""
    lines = {stat.pid: process_table.command_line(stat.pid) for stat in process_table.read_all()}
    return [
        line
        for pid, line in lines.items()
        if pid not in (but, os.getpid())
        # Programs; their Envoy, which has files in the directory; their agents.
        and (
            mark in line
            or f"{base}/" in line
            or ("osm.local.agent" in line and line.endswith(f" {but}"))
        )
    ]


def test_a_second_mesh_of_the_same_name_is_refused_at_once(base: Path) -> None:
    first = subprocess.Popen(
        command("user", base, "wait:osm-mark"), stdout=subprocess.PIPE, text=True
    )
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == "running\n"
        began = time.monotonic()
        second = subprocess.run(
            command("user", base, "nothing"), capture_output=True, text=True, check=False
        )
        assert second.returncode != 0
        assert f"already running as process {first.pid}" in second.stderr
        assert time.monotonic() - began < 3
        down = run("user", base, "down")
        assert down["ended"]
        assert first.wait(10) == 0


def test_the_mode_that_works_is_found_by_trying(base: Path) -> None:
    found = run("user", base, "mode")
    assert found["auto"] == (Isolation.ROOT if ROOT else Isolation.USER)
    assert found["without"][0] == Isolation.NONE
    assert "refused" in found["without"][1]
    # A nested limit of the kernel's own: no further user namespace can be made.
    assert found["limited"][0] == Isolation.NONE
    assert "user namespaces: new user+network" in found["limited"][1]
    assert "No space left on device" in found["limited"][1]
    assert "--isolation user does not work here" in found["asked"]
