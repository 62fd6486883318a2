"""What the verbs that look at a running mesh print, and what they exit with."""

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.unit.cli.calls import Mesh, Run, TalkingMesh, mesh_after

from osm import __version__
from osm.core.explain.view import MeshView, ProxyView, WorkloadView
from osm.core.model.origin import Severity
from osm.testing.bookstore_view import REMEDY

StartMesh = Callable[..., Mesh]


def well(view: MeshView) -> MeshView:
    """Return the view with nothing wrong in it."""
    fine = {"in_sync": True, "connected": True}
    proxies = [
        msgspec.structs.replace(
            each,
            types=tuple(msgspec.structs.replace(kind, refused=0) for kind in each.types),
            **fine,
        )
        for each in view.proxies
    ]
    workloads = [msgspec.structs.replace(each, phase="ready") for each in view.workloads]
    warnings = tuple(each for each in view.findings if each.severity != "error")
    return msgspec.structs.replace(
        view, proxies=tuple(proxies), workloads=tuple(workloads), findings=warnings
    )


def with_workload(**changes: object) -> Callable[[MeshView], MeshView]:
    """Return the well mesh with a change to its first workload."""

    def change(view: MeshView) -> MeshView:
        first, *rest = well(view).workloads
        changed: WorkloadView = msgspec.structs.replace(first, **changes)
        return msgspec.structs.replace(well(view), workloads=(changed, *rest))

    return change


def with_proxy(**changes: object) -> Callable[[MeshView], MeshView]:
    """Return the well mesh with a change to its first proxy."""

    def change(view: MeshView) -> MeshView:
        first, *rest = well(view).proxies
        changed: ProxyView = msgspec.structs.replace(first, **changes)
        return msgspec.structs.replace(well(view), proxies=(changed, *rest))

    return change


def test_status_of_a_mesh_that_is_well_exits_with_0(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42, well))
    result = run("status")
    assert (result.code, result.err) == (0, "")
    assert "Workloads:    6 of 6 ready\n" in result.out
    assert "Proxies:      6 of 6 in sync\n" in result.out
    assert "Last change:  TrafficSplit bookstore/bookstore-split: compiled in 1.8ms" in result.out
    assert "Warnings:\n  policies/split.yaml:7: TrafficSplit" in result.out
    assert result.out.endswith("\nAll is well.\n")


def test_status_counts_notes_and_leaves_them_to_analyze(start_mesh: StartMesh, run: Run) -> None:
    def noted(view: MeshView) -> MeshView:
        notes = tuple(
            msgspec.structs.replace(each, severity=Severity.INFO, message="is worth knowing")
            for each in well(view).findings
        )
        return msgspec.structs.replace(well(view), findings=notes)

    start_mesh(api=mesh_after(42, noted))
    result = run("status")
    assert result.code == 0
    assert "Notes:        1 (`osm analyze` has them)\n" in result.out
    assert "is worth knowing" not in result.out and "Warnings:" not in result.out
    assert "is worth knowing" in run("analyze").out


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_workload(phase="failed", reason="exit code 3"), "is failed: exit code 3"),
        (with_workload(phase="restarting"), "workload bookbuyer/bookbuyer is restarting"),
        (with_workload(phase="unready"), "workload bookbuyer/bookbuyer is unready"),
        (with_proxy(connected=False, in_sync=False), "proxy bookbuyer/bookbuyer is not connected"),
        (with_proxy(in_sync=False), "has not acknowledged its newest configuration"),
        (lambda view: view, "policies/auditors.yaml:12: TrafficTarget bookwarehouse/auditors"),
        (
            lambda view: view,
            "bookstore-v2 refused its RDS configuration, because of HTTPRouteGroup",
        ),
    ],
)
def test_status_names_what_is_wrong_and_exits_with_1(
    start_mesh: StartMesh, run: Run, change: Callable[[MeshView], MeshView], problem: str
) -> None:
    start_mesh(api=mesh_after(42, change))
    result = run("status")
    assert result.code == 1
    assert problem in result.out.partition("Problems:\n")[2]
    answer = json.loads(run("status", "-o", "json").out)
    assert answer["healthy"] is False
    assert any(problem in each for each in answer["problems"])


def test_a_workload_that_only_now_starts_is_no_problem(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42, with_workload(phase="starting")))
    assert run("status").code == 0


def test_status_as_json_and_yaml_are_the_view_in_camel_case(shared_mesh: Mesh, run: Run) -> None:
    as_json = run("status", "-o", "json")
    answer = json.loads(as_json.out)
    assert as_json.code == 1
    assert answer["mesh"]["policyMode"] == "smi"
    assert answer["mesh"]["edges"][0]["requestsPerSecond"] > 0
    assert answer["mesh"]["findings"][0]["severity"] == "error"
    assert "_" not in "".join(answer["mesh"])
    assert yaml.safe_load(run("status", "-o", "yaml").out) == answer


ASKED = ("bookstore:14001", "GET", "/buy-a-book/new")


def test_explain_of_an_allowed_request_names_the_objects_and_exits_with_0(
    shared_mesh: Mesh, run: Run
) -> None:
    result = run("explain", "bookbuyer", *ASKED)
    assert (result.code, result.err) == (0, "")
    first, *rest = result.out.splitlines()
    assert first == "bookbuyer -> bookstore:14001 GET /buy-a-book/new: ALLOWED"
    assert "          by TrafficTarget bookstore/bookstore spec.rules[0]" in rest
    assert rest[-3:] == [
        "It goes to:",
        "    50%  bookstore/bookstore-v1:14001",
        "    50%  bookstore/bookstore-v2:14001",
    ]


def test_explain_of_a_denied_request_has_the_remedy_and_exits_with_1(
    shared_mesh: Mesh, run: Run
) -> None:
    result = run("explain", "bookthief", *ASKED)
    assert result.code == 1
    assert result.out.startswith("bookthief -> bookstore:14001 GET /buy-a-book/new: DENIED\n")
    assert "  denied  Access: no TrafficTarget allows bookthief/bookthief" in result.out
    shown = result.out.partition("`osm apply -f -`):\n\n")[2]
    assert yaml.safe_load(shown) == yaml.safe_load(REMEDY)


def test_the_remedy_alone_can_be_applied(mesh: Mesh, run: Run) -> None:
    remedy = run("explain", "bookthief", *ASKED, "-o", "remedy")
    assert (remedy.code, remedy.out) == (1, REMEDY)
    applied = run("apply", "-f", "-", stdin=remedy.out.encode())
    assert applied.out == "traffictarget.access.smi-spec.io/bookstore-allow-bookthief created\n"


def test_explain_sends_the_question_as_it_was_asked(shared_mesh: Mesh, run: Run) -> None:
    result = run(
        "explain", "bookbuyer/bookbuyer", "bookstore.bookstore", "post", "/a?b=c%20d",
        "-H", "Client-App: bookbuyer", "-H", "empty:", "-o", "json",
    )  # fmt: skip
    assert json.loads(result.out)["question"] == {
        "source": "bookbuyer/bookbuyer",
        "destination": "bookstore.bookstore",
        "method": "POST",
        "path": "/a?b=c%20d",
        "headers": [["client-app", "bookbuyer"], ["empty", ""]],
    }


def test_explain_without_a_method_asks_about_a_connection(shared_mesh: Mesh, run: Run) -> None:
    result = run("explain", "bookbuyer", "mysql:3306")
    assert result.out.startswith("bookbuyer -> mysql:3306 (TCP): ALLOWED\n")


def test_a_workload_that_does_not_exist_is_a_wrong_invocation(shared_mesh: Mesh, run: Run) -> None:
    result = run("explain", "nobody", *ASKED)
    assert (result.code, result.out) == (2, "")
    assert result.err == "Error: There is no workload 'nobody'.\n  See `osm status`.\n"


def test_logs_are_the_programs_or_the_proxys_last_lines(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=TalkingMesh())
    assert run("logs", "bookbuyer", "--tail", "2").out == "line 3\nline 5\n"
    assert run("logs", "bookbuyer/bookbuyer", "--proxy").out == "line 2\nline 4\nline 6\n"
    assert run("logs", "bookbuyer", "--tail", "0").out == ""


def test_logs_that_are_followed_lose_and_repeat_no_line(
    start_mesh: StartMesh, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_mesh(api=TalkingMesh())
    printed: list[str] = []

    def echo(line: str, *, err: bool = False) -> None:
        if err:
            return
        printed.append(line)
        if len(printed) == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr("osm.cli.verbs.logs.click.echo", echo)
    assert run("logs", "bookbuyer", "-f", "--tail", "3").code == 130
    assert printed[:10] == [f"line {number}" for number in range(1, 20, 2)]


def test_version_names_the_command_and_the_running_mesh(shared_mesh: Mesh, run: Run) -> None:
    assert run("version").out == f"osm {__version__}\nmesh osm {__version__}\n"
    assert run("version", "--client-only").out == f"osm {__version__}\n"
    assert json.loads(run("version", "-o", "json").out) == {
        "clientVersion": __version__,
        "meshes": [{"name": "osm", "version": __version__}],
    }


def test_version_needs_no_mesh(runtime: Path, run: Run) -> None:
    assert run("version") == (0, f"osm {__version__}\nNo mesh is running.\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("get", "pods"),
        ("down",),
        ("dashboard",),
        ("explain", "a", "b"),
        ("logs", "a"),
        ("proxy", "list"),
        ("apply", "-f", "demo:access"),
    ],
)
def test_without_a_mesh_the_way_to_start_one_is_told(
    runtime: Path, run: Run, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "Error: No mesh is running.\n  Start one: `osm demo`, or `osm up DIRECTORY`.\n"
    )


def test_of_several_meshes_one_must_be_named(
    start_mesh: StartMesh, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_mesh("one")
    start_mesh("two")
    result = run("version")
    assert result.out.splitlines()[1:] == [f"mesh one {__version__}", f"mesh two {__version__}"]
    refused = run("status")
    assert (refused.code, refused.out) == (2, "")
    assert "2 meshes are running: one, two." in refused.err
    assert run("proxy", "list", "--mesh", "two").code == 0
    monkeypatch.setenv("OSM_MESH", "one")
    assert run("proxy", "list").code == 0
    monkeypatch.setenv("OSM_MESH", "../one")
    assert run("proxy", "list").code == 2


def test_a_socket_that_nobody_serves_is_no_running_mesh(runtime: Path, run: Run) -> None:
    (runtime / "dead").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(runtime / "dead" / "control.sock"))
    (runtime / "file").write_text("")
    assert "No mesh is running." in run("status").err


def test_a_runtime_directory_of_somebody_else_is_refused(
    runtime: Path, run: Run, tmp_path: Path
) -> None:
    runtime.rmdir()
    runtime.symlink_to(tmp_path)
    result = run("status")
    assert result.code == 1
    assert "is not a directory of yours" in result.err
    runtime.unlink()
    runtime.mkdir()


def test_down_ends_the_mesh_and_waits_until_it_is_gone(mesh: Mesh, run: Run) -> None:
    original = mesh.api.shutdown

    async def shutdown() -> None:
        await original()
        threading.Timer(0.3, mesh.api.stop).start()  # type: ignore[attr-defined]

    mesh.api.shutdown = shutdown  # type: ignore[method-assign]
    assert run("down") == (0, "Mesh osm stopped.\n", "")
    assert mesh.api.calls == ["shutdown"]
    assert not (mesh.root / "osm" / "control.sock").exists()


def test_down_says_when_the_mesh_does_not_end(mesh: Mesh, run: Run) -> None:
    result = run("down", "--timeout", "0.2")
    assert (result.code, result.out) == (1, "")
    assert "Mesh osm still stops after 0.2 seconds." in result.err


PAGE = "http://127.0.0.1:8090/"


@pytest.mark.parametrize(
    ("page", "arguments", "display", "opened"),
    [
        (PAGE, (), "", []),
        (PAGE, (), ":0", [PAGE]),
        (PAGE, ("--no-browser",), ":0", []),
        (PAGE, ("--browser",), "", [PAGE]),
    ],
)
def test_dashboard_prints_the_address_and_opens_it_where_there_is_a_desktop(
    mesh: Mesh,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    arguments: tuple[str, ...],
    display: str,
    opened: list[str],
) -> None:
    calls: list[str] = []

    def open_page(url: str) -> bool:
        calls.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", open_page)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    mesh.api.page = page
    assert run("dashboard", *arguments) == (0, f"{page}\n", "")
    assert calls == opened


@pytest.mark.parametrize("page", ["", "http://example.com/", "file:///etc/passwd", "--help"])
def test_an_address_that_is_not_this_machine_is_never_opened(
    mesh: Mesh, run: Run, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _url: pytest.fail("opened"))
    mesh.api.page = page
    assert run("dashboard", "--browser").code == 1


def test_nothing_is_coloured_unless_a_terminal_shows_it(shared_mesh: Mesh, run: Run) -> None:
    assert os.environ.get("NO_COLOR") is None
    for arguments in (("status",), ("explain", "bookthief", *ASKED), ("logs", "bookbuyer")):
        result = run(*arguments)
        assert "\x1b" not in result.out + result.err
