"""A mesh in the command's own process, from its start to its end."""

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import yaml
from rich.console import Console
from tests.unit.cli.calls import Run, TalkingMesh, mesh_after

from osm.cli import launch
from osm.cli.launch import ControlPlane, LocalMesh, Observer
from osm.cli.live import LiveView, screen, steps_table
from osm.cli.presenters import Lines, Quiet
from osm.cli.progress import StartProgress
from osm.cli.run_mesh import Ended, run_mesh
from osm.core.explain.view import MeshView
from osm.core.model.origin import Finding, Severity
from osm.errors import PlatformError
from osm.ports import LogLine
from osm.testing.bookstore_view import bookstore_view
from osm.testing.mesh_api import FakeMeshApi

STEPS = (("issuer", "ready", "Tresor"), ("control plane", "starting", ""), ("page", "ready", ""))


class FakeRun:
    """A mesh that starts and stops, and writes down what happened to it."""

    def __init__(self, api: FakeMeshApi | None = None) -> None:
        self.api = api or mesh_after(42)
        self.asked: LocalMesh | None = None
        self.events: list[str] = []
        self.fails: Exception | None = None
        self.start_takes_s = 0.0
        self.stop_takes_s = 0.0
        self.ends_after_s = 1e9

    @asynccontextmanager
    async def start(self, observer: Observer) -> AsyncIterator["FakeRun"]:
        for step in STEPS:
            observer(*step)
        try:
            await asyncio.sleep(self.start_takes_s)
        except asyncio.CancelledError:
            self.events.append("start cancelled")
            raise
        if self.fails is not None:
            raise self.fails
        self.events.append("started")
        try:
            yield self
            await asyncio.sleep(self.stop_takes_s)
            self.events.append("stopped")
        except asyncio.CancelledError:
            self.events.append("killed")
            raise

    async def stopped(self) -> str:
        await asyncio.sleep(self.ends_after_s)
        return "osm down"


def signal_after(seconds: float, number: signal.Signals) -> None:
    asyncio.get_running_loop().call_later(seconds, os.kill, os.getpid(), number)


async def run_it(mesh: FakeRun, duration_s: float | None = None) -> tuple[Ended, str]:
    errors = io.StringIO()
    ended = await run_mesh(mesh.start, Quiet(errors), duration_s=duration_s)
    return ended, errors.getvalue()


async def test_a_duration_ends_it_and_is_no_failure() -> None:
    mesh = FakeRun()
    ended, said = await run_it(mesh, 0.05)
    assert ended.exit_code == 0
    assert ended.view is not None
    assert mesh.events == ["started", "stopped"]
    assert said == "0.05 seconds are over: stopping the mesh. Once more to stop at once.\n"


async def test_osm_down_from_elsewhere_ends_it_and_is_no_failure() -> None:
    mesh = FakeRun()
    mesh.ends_after_s = 0.05
    ended, said = await run_it(mesh)
    assert (ended.exit_code, mesh.events) == (0, ["started", "stopped"])
    assert said.startswith("osm down: stopping the mesh.")


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        (signal.SIGTERM, 143, "SIGTERM"),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
async def test_a_signal_stops_the_mesh_in_order(
    number: signal.Signals, code: int, name: str
) -> None:
    mesh = FakeRun()
    signal_after(0.05, number)
    ended, said = await run_it(mesh)
    assert (ended.exit_code, mesh.events) == (code, ["started", "stopped"])
    assert said.startswith(f"{name}: stopping the mesh.")
    assert ended.view is not None


async def test_a_second_signal_does_not_wait_for_the_end() -> None:
    mesh = FakeRun()
    mesh.stop_takes_s = 60
    signal_after(0.05, signal.SIGINT)
    signal_after(0.15, signal.SIGINT)
    ended, said = await run_it(mesh)
    assert (ended.exit_code, mesh.events) == (130, ["started", "killed"])
    assert said.endswith("SIGINT again: stopping at once.\n")


async def test_a_signal_during_the_start_ends_the_start() -> None:
    mesh = FakeRun()
    mesh.start_takes_s = 60
    signal_after(0.05, signal.SIGINT)
    ended, _ = await run_it(mesh)
    assert ended == Ended(None, 130)
    assert mesh.events == ["start cancelled"]


async def test_the_handlers_of_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    await run_it(FakeRun(), 0.01)
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_mistake_while_showing_logs_is_not_hidden() -> None:
    class Broken(FakeMeshApi):
        def logs(self, *_: object, **__: object) -> AsyncIterator[LogLine]:
            raise ZeroDivisionError

    mesh = FakeRun(Broken())
    presenter = Lines(io.StringIO(), io.StringIO(), logs=True, next_steps=lambda _: ())
    with pytest.raises(ZeroDivisionError):
        await run_mesh(mesh.start, presenter, duration_s=30)


def lines(*, logs: bool = False) -> tuple[Lines, io.StringIO]:
    output = io.StringIO()
    return Lines(output, io.StringIO(), logs=logs, next_steps=lambda _: ("osm status",)), output


async def test_lines_tell_the_start_what_is_wrong_and_the_logs() -> None:
    presenter, output = lines(logs=True)
    mesh = FakeRun(TalkingMesh())
    await run_mesh(mesh.start, presenter, duration_s=0.2)
    text = output.getvalue()
    assert "  0.0s  issuer: ready (Tresor)\n" in text
    assert "Mesh osm is running: local, namespaces as root; policy mode smi.\n" in text
    assert "  osm status\n" in text
    assert "policies/auditors.yaml:12: TrafficTarget bookwarehouse/auditors" in text
    assert "denied: bookthief/bookthief -> bookstore/bookstore GET /buy-a-book/new" in text
    assert "bookbuyer       | line 1\nbookbuyer envoy | line 2\n" in text.replace(
        "bookbuyer | line 1", "bookbuyer       | line 1"
    )
    assert "\x1b" not in text


def test_lines_say_what_changed_once() -> None:
    presenter, output = lines()
    first = mesh_after(42).view()
    presenter.started(first)
    before = output.getvalue()
    presenter.tick(first)
    assert output.getvalue() == before
    buyer = msgspec.structs.replace(first.workloads[0], phase="failed", reason="exit code 3")
    finding = Finding("OSM9", Severity.ERROR, None, "new one", "Do this.", "a.yaml:1")
    changed = msgspec.structs.replace(
        first, workloads=(buyer, *first.workloads[1:]), findings=(*first.findings, finding)
    )
    presenter.tick(changed)
    presenter.tick(changed)
    assert output.getvalue().removeprefix(before) == (
        "workload bookbuyer/bookbuyer is failed: exit code 3\n"
        "a.yaml:1: new one [OSM9]\n  Do this.\n"
    )


STARTED = mesh_after(0)._started


def drawn(view: MeshView, columns: int = 120, rows: int = 50) -> str:
    console = Console(
        file=io.StringIO(), width=columns, height=rows, force_terminal=True, color_system=None
    )
    with console.capture() as capture:
        console.print(screen(view, ("osm status  # look",), columns, rows))
    return capture.get()


def test_the_screen_shows_traffic_denials_counters_and_what_to_try() -> None:
    text = drawn(bookstore_view(42, STARTED, page="http://127.0.0.1:8090/"), 140)
    assert "osm osm  access policies  up 42s" in text
    assert "page http://127.0.0.1:8090/" in text
    edge = next(line for line in text.splitlines() if "bookthief → bookstore" in line)
    assert "no TrafficTarget allows bookthief" in edge
    split = next(line for line in text.splitlines() if "bookbuyer → bookstore-v2" in line)
    assert split.split()[-2:] == ["mutual", "50%"]
    buyer = next(line for line in text.splitlines() if "bookbuyer/bookbuyer " in line)
    assert "ready" in buyer
    assert "booksBought 79" in buyer
    assert "127×  bookthief/bookthief -> bookstore/bookstore GET /buy-a-book/new" in text
    assert "  osm status  # look" in text


@pytest.mark.parametrize("columns", [40, 60, 80, 99, 100, 200])
def test_the_screen_fits_its_terminal(columns: int) -> None:
    view = bookstore_view(42, STARTED)
    text = drawn(msgspec.structs.replace(view, edges=view.edges * 3), columns)
    assert max(map(len, text.splitlines())) <= columns


def test_nothing_on_the_screen_is_markup_or_obeyed() -> None:
    view = bookstore_view(42, STARTED)
    evil = "[red]x[/red]\x1b[2J\x07"
    edges = tuple(
        msgspec.structs.replace(edge, source=evil, deny_reason=evil) for edge in view.edges
    )
    text = drawn(msgspec.structs.replace(view, mesh=evil, edges=edges, platform=evil))
    assert "\x07" not in text
    assert "\x1b[2J" not in text
    assert "[red]x[/red]\\x1b[2J\\x07 → bookstore" in text


def test_an_empty_mesh_has_a_screen_too() -> None:
    view = bookstore_view(0, STARTED)
    empty = MeshView(
        mesh="osm",
        platform="local",
        policy_mode="permissive",
        trust_domain="cluster.local",
        started="",
        now="",
        window_s=5,
        page="",
        directory="",
    )
    assert "No traffic yet." in drawn(empty)
    assert "permissive: everybody may call" in drawn(empty)
    assert "bookstore" in drawn(view)


def test_the_start_is_drawn_step_by_step() -> None:
    now = [0.0]
    progress = StartProgress(lambda: now[0])
    progress.update("issuer", "starting", "")
    now[0] = 1.5
    progress.update("issuer", "ready", "Tresor")
    progress.update("page", "failed", "port taken")
    progress.update("control plane", "starting", "")
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(steps_table(progress, "*"))
    assert [line.split() for line in capture.get().splitlines()] == [
        ["✓", "issuer", "Tresor", "1.5s"],
        ["✗", "page", "port", "taken", "0.0s"],
        ["*", "control", "plane", "starting"],
    ]


class Terminal(io.StringIO):
    """Something that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


async def test_the_live_view_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    presenter = LiveView(terminal, io.StringIO(), lambda _: ("osm status",))
    await run_mesh(FakeRun().start, presenter, duration_s=0.1)
    text = terminal.getvalue()
    assert text.count("\x1b[?1049h") == 1
    assert text.count("\x1b[?1049l") == 1
    assert text.index("control plane") < text.index("\x1b[?1049h") < text.index("bookthief →")
    assert "seconds are over: stopping" in text.partition("\x1b[?1049l")[2]
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")


# The verbs


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """Start this instead of real proxies and processes."""
    mesh = FakeRun()

    def local_mesh(asked: LocalMesh) -> Callable[[Observer], launch.Running]:
        mesh.asked = asked
        return mesh.start

    monkeypatch.setattr("osm.cli.verbs.up.local_mesh", local_mesh)
    monkeypatch.setattr("osm.cli.verbs.demo.local_mesh", local_mesh)
    return mesh


def test_up_runs_what_it_is_given_and_ends_with_a_summary(
    fake: FakeRun, runtime: Path, run: Run, tmp_path: Path
) -> None:
    fake.api = TalkingMesh()
    (tmp_path / "a.yaml").write_text("")
    result = run(
        "up", str(tmp_path / "a.yaml"), str(tmp_path), "--mesh", "shop", "--isolation", "none",
        "--page-port", "8090", "--duration", "0.1",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert fake.asked == LocalMesh("shop", (tmp_path / "a.yaml", tmp_path), "none", 8090)
    assert "| line 1\n" in result.out
    assert "WORKLOAD" in result.out.partition("seconds are over")[2]


def test_demo_without_a_terminal_prints_lines_and_a_summary(
    fake: FakeRun, runtime: Path, run: Run
) -> None:
    result = run("demo", "--duration", "0.1")
    assert (result.code, result.err) == (0, "")
    assert "osm apply -f demo:allow-bookthief  # " in result.out
    assert "bookbuyer/bookbuyer     booksBought    79" in result.out
    assert result.out.endswith("Proxies in sync: 5 of 6.\n")
    assert "\x1b" not in result.out


def test_demo_as_json_prints_nothing_but_json(fake: FakeRun, runtime: Path, run: Run) -> None:
    result = run("demo", "--duration", "0.1", "-o", "json")
    summary = json.loads(result.out)
    assert result.code == 0
    assert summary["counters"]["bookthief/bookthief"]["booksStolen"] == 0
    assert summary["denials"][0]["source"] == "bookthief/bookthief"
    assert {edge["mutualTls"] for edge in summary["edges"]} == {True}
    assert len(summary["proxies"]) == 6


@pytest.mark.parametrize(
    ("scenario", "permissive", "targets"),
    [("policies", False, True), ("empty", False, False), ("permissive", True, False)],
)
def test_demo_runs_on_files_of_its_own_and_leaves_none(
    fake: FakeRun,
    runtime: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    scenario: str,
    permissive: bool,  # noqa: FBT001
    targets: bool,  # noqa: FBT001
) -> None:
    objects: list[dict[str, object]] = []

    @asynccontextmanager
    async def look(observer: Observer) -> AsyncIterator[FakeRun]:
        assert fake.asked is not None
        for path in fake.asked.paths[0].iterdir():
            objects.extend(each for each in yaml.safe_load_all(path.read_text()) if each)
        yield fake

    monkeypatch.setattr(fake, "start", look)
    assert run("demo", "-q", "--duration", "0.01", "--scenario", scenario).code == 0
    config = next(each for each in objects if each["kind"] == "MeshConfig")
    assert f"enablePermissiveTrafficPolicyMode': {permissive}" in str(config)
    assert any(each["kind"] == "TrafficTarget" for each in objects) is targets
    assert fake.asked is not None
    assert not fake.asked.paths[0].exists()


def test_demo_keeps_its_files_in_a_directory_of_yours(
    fake: FakeRun, runtime: Path, run: Run, tmp_path: Path
) -> None:
    directory = tmp_path / "books"
    again = ("demo", "-q", "--duration", "0.01", "--directory", str(directory))
    assert run(*again).code == 0
    assert (directory / "traffic-access.yaml").is_file()
    assert run(*again).code == 0
    (directory / "traffic-access.yaml").write_text("mine: true\n")
    refused = run(*again)
    assert refused.code == 1
    assert f"`osm up {directory}`" in refused.err
    assert (directory / "traffic-access.yaml").read_text() == "mine: true\n"


def test_what_keeps_a_mesh_from_starting_is_said(fake: FakeRun, runtime: Path, run: Run) -> None:
    fake.fails = PlatformError("No Envoy was found.", hint="Install it.")
    result = run("demo")
    assert (result.code, result.err) == (1, "Error: No Envoy was found.\n  Install it.\n")


def test_controller_runs_the_control_plane_of_a_directory(
    fake: FakeRun, runtime: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ControlPlane] = []

    def control_plane(settings: ControlPlane) -> Callable[[Observer], launch.Running]:
        asked.append(settings)
        return fake.start

    monkeypatch.setattr("osm.cli.verbs.controller.control_plane", control_plane)
    fake.ends_after_s = 0.05
    result = run("controller", str(tmp_path), "--ads", "unix:/tmp/ads.sock", "--mesh", "alone")
    assert (result.code, result.err) == (0, "")
    assert asked == [ControlPlane("alone", tmp_path, "unix:/tmp/ads.sock")]
    assert "osm down: stopping the mesh." in result.out
