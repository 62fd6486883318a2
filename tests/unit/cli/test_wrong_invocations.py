"""Commands that cannot be carried out: words that help, exit codes, no traceback (U1, U12)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.cli.calls import Mesh, Run, TalkingMesh

LONG = "a" * 4096
USAGE: tuple[tuple[str, ...], ...] = (
    ("nope",),
    ("Get", "pods"),
    ("--nope",),
    ("-x",),
    ("get",),
    ("get", "pods", "--nope"),
    ("get", "nothing"),
    ("get", "tt,nothing"),
    ("get", ""),
    ("get", ","),
    ("get", "../../etc/passwd"),
    ("get", "tt\0"),
    ("get", LONG),
    ("get", "pods", "-o", "xml"),
    ("get", "pods", "-n", "../default"),
    ("get", "pods", "-n", ""),
    ("get", "pods", "-n", "a", "-A"),
    ("get", "tt", "bookstore", "-A"),
    ("get", "tt", "../bookstore"),
    ("get", "tt", "/etc/passwd"),
    ("get", "tt", "book\0store"),
    ("get", "tt", LONG),
    ("get", "tt", "-rf"),
    ("get", "tt", "--", "-rf"),
    ("get", "tt", "Bookstore"),
    ("get", "tt", "$(id)"),
    ("apply",),
    ("apply", "x.yaml"),
    ("apply", "-f"),
    ("apply", "-f", "a\0b"),
    ("apply", "-f", ""),
    ("apply", "-f", "demo:nothing"),
    ("apply", "-f", "demo:../../../../etc/passwd"),
    ("delete",),
    ("delete", "tt"),
    ("delete", "tt", "x", "-f", "-"),
    ("delete", "tt,ts", "x"),
    ("delete", "pod", "bookbuyer"),
    ("delete", "nothing", "x"),
    ("explain",),
    ("explain", "bookbuyer"),
    ("explain", "../bookbuyer", "bookstore"),
    ("explain", "a/b/c", "bookstore"),
    ("explain", "bookbuyer", "book store"),
    ("explain", "bookbuyer", "bookstore:port"),
    ("explain", "bookbuyer", "bookstore:99999"),
    ("explain", "bookbuyer", "-rf"),
    ("explain", "bookbuyer", "bookstore", "G E T"),
    ("explain", "bookbuyer", "bookstore", "GET", "no-slash"),
    ("explain", "bookbuyer", "bookstore", "GET", "/a b"),
    ("explain", "bookbuyer", "bookstore", "GET", "/\x1b[2J"),
    ("explain", "bookbuyer", "bookstore", "GET", "/", "extra"),
    ("explain", "bookbuyer", "bookstore", "GET", "/", "-H", "nocolon"),
    ("explain", "bookbuyer", "bookstore", "GET", "/", "-H", "a: b\r\nc: d"),
    ("explain", "bookbuyer", "bookstore:80", "-H", "a: b"),
    ("logs",),
    ("logs", "a/b/c"),
    ("logs", "../../bookbuyer"),
    ("logs", "bookbuyer", "--tail", "-1"),
    ("logs", "bookbuyer", "--tail", "many"),
    ("proxy", "nope"),
    ("proxy", "get"),
    ("proxy", "get", "config_dump"),
    ("proxy", "get", "../config_dump", "bookbuyer"),
    ("proxy", "get", "stats/../../quitquitquit", "bookbuyer"),
    ("proxy", "get", "stats with spaces", "bookbuyer"),
    ("proxy", "get", "stats\r\nHost: x", "bookbuyer"),
    ("proxy", "get", "", "bookbuyer"),
    ("proxy", "get", LONG, "bookbuyer"),
    ("proxy", "get", "config_dump", "../bookbuyer"),
    ("proxy", "list", "-n", "A_B"),
    ("status", "extra"),
    ("status", "--mesh", "../osm"),
    ("status", "--mesh", "/etc"),
    ("status", "--mesh", LONG),
    ("status", "--mesh", "a" * 21),
    ("status", "--mesh", "-rf"),
    ("down", "--timeout", "-5"),
    ("version", "now"),
    ("completion",),
    ("completion", "tcsh"),
    ("up",),
    ("up", "\0"),
    ("up", ".", "--isolation", "chroot"),
    ("up", ".", "--page-port", "70000"),
    ("up", ".", "--duration", "0"),
    ("up", ".", "--mesh", "../x"),
    ("demo", "extra"),
    ("demo", "--scenario", "nothing"),
    ("demo", "--duration", "soon"),
    ("controller",),
    ("controller", ".", "--ads", "nowhere"),
    ("controller", ".", "--ads", "host:99999"),
    ("dashboard", "--port", "1"),
    ("dashboard", "-p", "70000"),
    ("namespace", "add"),
    ("namespace", "add", "../default"),
    ("namespace", "add", "a", "--mesh-name", "../x"),
    ("namespace", "remove", "a", "b"),
    ("namespace", "ignore"),
    ("namespace", "list", "-o", "xml"),
    ("metrics", "enable"),
    ("metrics", "enable", "--namespace", "a,../b"),
    ("proxy", "set", "logging?level=debug"),
    ("proxy", "set", "logging?level=debug", "bookbuyer"),
    ("proxy", "set", "../quitquitquit", "bookbuyer"),
    ("proxy", "get", "clusters", "bookbuyer", "-p", "0"),
    ("policy", "check-pods", "bookbuyer"),
    ("policy", "check-pods", "bookbuyer", "../x"),
    ("policy", "check-conflicts", "Egress", "-n", "a"),
    ("policy", "check-conflicts", "IngressBackend"),
    ("policy", "check-conflicts", "IngressBackend", "-n", "a,b"),
    ("verify", "connectivity", "--from-pod", "bookbuyer"),
    ("verify", "connectivity", "--from-pod", "a/b"),
    ("verify", "connectivity", "--from-pod", "a/b", "--to-pod", "a/b"),
    ("verify", "connectivity", "--from-pod", "a/../b", "--to-ext-port", "80"),
    ("verify", "egress", "--from-pod", "a/b", "--to-ext-host", "x", "--to-ext-port", "0"),
    ("verify", "ingress", "--from-service", "a"),
    ("support", "error-info", "E12"),
    ("support", "error-info", "E9999"),
    ("support", "error-info", "OSM999"),
    ("support", "bug-report", "--app-pods", "../x"),
    ("status", "--kubeconfig"),
    ("status", "--osm-namespace", "../x"),
    ("down", "--context", "there"),
)


@pytest.mark.parametrize("arguments", USAGE, ids=lambda arguments: repr(arguments)[:60])
def test_a_wrong_invocation_is_refused_with_words_and_code_2(
    shared_mesh: Mesh,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.code == 2, result.err
    assert result.out == ""
    assert result.err.startswith("Error: ")
    assert "Traceback" not in result.err
    assert "\x1b" not in result.err
    assert len(result.err) < 2500
    assert shared_mesh.api.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("apply", "-f", "missing.yaml"), "Cannot read 'missing.yaml': No such file"),
        (("apply", "-f", LONG), "File name too long"),
        (("apply", "-f", "empty"), "has no files that end in .yaml"),
        (("apply", "-f", "binary.yaml"), "binary.yaml:2: this is not UTF-8 text."),
        (("apply", "-f", "nothing.yaml"), "There are no objects"),
        (("apply", "-f", "secret.yaml"), "Cannot read"),
        (("apply", "-f", "/dev/zero"), "neither a file nor a pipe"),
        (("delete", "-f", "broken.yaml"), "broken.yaml:2: this is not YAML"),
        (("delete", "-f", "list.yaml"), "list.yaml:1: this is not an object"),
        (("delete", "-f", "nameless.yaml"), "nameless.yaml:1: an object needs a kind"),
        (("up", "missing"), "Cannot read 'missing'"),
        (("controller", "nothing.yaml"), "'nothing.yaml' is not a directory."),
        (("demo", "--directory", "edited"), "is not as the demo would write it"),
        (("proxy", "get", "clusters", "bookbuyer", "-f", "nothing.yaml"), "exists already"),
        (("proxy", "get", "clusters", "bookbuyer", "-f", "link"), "exists already"),
        (("proxy", "get", "clusters", "bookbuyer", "-f", "no/such/dir"), "Cannot write"),
        (("proxy", "get", "clusters", "bookbuyer", "-f", LONG), "Cannot write"),
        (("status", "--mesh", "other"), "No mesh named other is running."),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_cannot_be_done_is_said_and_leaves_every_file_as_it_was(
    shared_mesh: Mesh,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outside = tmp_path / "outside"
    (tmp_path / "empty").mkdir()
    (tmp_path / "edited").mkdir()
    (tmp_path / "edited" / "mesh-config.yaml").write_text("mine: true\n")
    (tmp_path / "binary.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (tmp_path / "nothing.yaml").write_text("\n")
    (tmp_path / "broken.yaml").write_text("a: 1\nb: ]\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "nameless.yaml").write_text("kind: Service\n")
    (tmp_path / "secret.yaml").symlink_to("secret.yaml")
    (tmp_path / "link").symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    result = run(*arguments)
    assert result.code == 1, result.err
    assert said in result.err
    assert "Traceback" not in result.err
    assert sorted(tmp_path.rglob("*")) == before
    assert not outside.exists()
    assert (tmp_path / "edited" / "mesh-config.yaml").read_text() == "mine: true\n"
    assert shared_mesh.api.calls == []


def test_verbose_shows_where_an_error_came_from(shared_mesh: Mesh, run: Run) -> None:
    result = run("status", "--mesh", "other", "-v")
    assert result.code == 1
    assert "Traceback" in result.err
    assert result.err.endswith("Running: osm.\n")
    assert "Traceback" in run("-v", "status", "--mesh", "other").err


def test_a_mistake_of_osm_itself_is_called_so(
    mesh: Mesh, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object) -> None:
        raise ZeroDivisionError("by \x1b[31m zero")

    monkeypatch.setattr("osm.cli.client.MeshClient.view", fail)
    result = run("status")
    assert (result.code, result.out) == (1, "")
    assert "osm itself failed: ZeroDivisionError: by \\x1b[31m zero" in result.err
    assert "Traceback" not in result.err


@pytest.fixture
def follower(start_mesh: Callable[..., Mesh]) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is stopped, and has printed its first line."""
    mesh = start_mesh(api=TalkingMesh())
    # Whoever started the tests in the background of a shell has them, and their children, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "osm", "logs", "bookbuyer", "-f", "--tail", "5"],
        env=os.environ | {"XDG_RUNTIME_DIR": str(mesh.root.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("line ")
            yield process
        finally:
            process.kill()


def test_ctrl_c_ends_a_command_with_130_and_no_traceback(
    follower: subprocess.Popen[str],
) -> None:
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=20)
    assert (follower.returncode, err) == (130, "\nStopped.\n")


def test_a_reader_that_has_enough_is_no_reason_to_complain(
    follower: subprocess.Popen[str],
) -> None:
    assert follower.stdout is not None
    assert follower.stderr is not None
    follower.stdout.close()
    assert follower.wait(timeout=20) == 1
    assert follower.stderr.read() == ""
