"""The lock and the directory of a running mesh, and what is hostile about /tmp."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from osm.errors import NotRunningError, PlatformError, UsageError
from osm.local.runtime_directory import (
    LONGEST_SOCKET_PATH,
    RunningProcess,
    RuntimeDirectory,
    down,
    is_running,
    mesh_directory,
    pod_directory_name,
    read_run,
    runtime_base,
)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """A short path: unix sockets allow no more."""
    path = Path(f"/tmp/osm-u{os.getpid()}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_nothing_is_left_after_a_mesh(base: Path) -> None:
    with RuntimeDirectory("mesh", base=base) as runtime:
        assert runtime.pod("shop", "web-0").is_dir()
        assert oct(runtime.path.stat().st_mode)[-3:] == "700"
        assert is_running(runtime.path)
        run = read_run(runtime.path)
        assert run is not None
        assert run.supervisor.pid == os.getpid()
    assert not base.exists()


def test_a_second_mesh_of_one_name_is_refused_and_one_of_another_is_not(base: Path) -> None:
    with RuntimeDirectory("mesh", base=base):
        with pytest.raises(PlatformError, match=f"already running as process {os.getpid()}"):
            RuntimeDirectory("mesh", base=base).__enter__()
        with RuntimeDirectory("other", base=base) as other:
            assert other.path.is_dir()
    assert not base.exists()


def test_what_a_killed_mesh_left_is_cleaned(base: Path) -> None:
    left = base / "mesh" / "pods" / "shop.web-0"
    left.mkdir(parents=True)
    for directory in (base, base / "mesh"):
        directory.chmod(0o700)
    (left / "key.pem").write_text("secret")
    (base / "mesh" / "run.json").write_text("torn {")
    (base / "mesh" / "odd").symlink_to("/etc")
    with RuntimeDirectory("mesh", base=base) as runtime:
        assert sorted(each.name for each in runtime.path.iterdir()) == ["lock", "pods", "run.json"]
        assert list((runtime.path / "pods").iterdir()) == []
    assert Path("/etc/passwd").exists()


def test_an_agent_that_still_runs_is_ended_and_a_stranger_with_its_pid_is_not(base: Path) -> None:
    program = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with (
        subprocess.Popen(program, stdout=subprocess.PIPE) as agent,
        subprocess.Popen(program, stdout=subprocess.PIPE) as stranger,
    ):
        for process in (agent, stranger):
            assert process.stdout is not None
            process.stdout.readline()
        known = RunningProcess.of(agent.pid)
        other = RunningProcess.of(stranger.pid)
        assert known is not None
        assert other is not None
        (base / "mesh").mkdir(parents=True)
        for directory in (base, base / "mesh"):
            directory.chmod(0o700)

        def described(process: RunningProcess, **changed: object) -> dict[str, object]:
            fields = {"pid": process.pid, "start": process.start, "command": process.command}
            return {**fields, **changed}

        run = {
            "supervisor": described(other, start=1),
            "agents": [
                described(known),
                described(other, start=other.start + 1),
                described(other, command="another"),
            ],
        }
        (base / "mesh" / "run.json").write_text(json.dumps(run))
        with RuntimeDirectory("mesh", base=base):
            assert agent.wait(5) == -9
            assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("hostile", ["file", "symlink", "open", "foreign"])
def test_a_directory_that_somebody_else_prepared_is_refused(base: Path, hostile: str) -> None:
    if hostile == "file":
        base.write_text("")
    elif hostile == "symlink":
        base.symlink_to("/tmp")
    elif hostile == "open":
        base.mkdir()
        base.chmod(0o777)
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        base.mkdir()
        base.chmod(0o700)
        os.chown(base, 65534, 65534)
    with pytest.raises(PlatformError, match=str(base)):
        RuntimeDirectory("mesh", base=base).__enter__()
    base.unlink() if hostile in ("file", "symlink") else base.rmdir()


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "-a", "a" * 21, ".", "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str, base: Path) -> None:
    with pytest.raises(UsageError):
        mesh_directory(name, base)


def test_socket_paths_fit_even_for_the_longest_names(base: Path) -> None:
    mesh = "m" * 20
    with RuntimeDirectory(mesh, base=Path(f"/tmp/osm-{os.getpid()}")) as runtime:
        path = runtime.pod("n" * 63, "p" * 63)
        assert len(os.fsencode(path / "in.65535.sock")) <= LONGEST_SOCKET_PATH
        assert path != runtime.pod("n" * 63, "p" * 62 + "q")
    assert pod_directory_name("shop", "web-0", 40) == "shop.web-0"


def test_the_base_is_xdg_where_that_is_short_and_tmp_otherwise(tmp_path: Path) -> None:
    short = Path(f"/tmp/x{os.getpid()}")
    short.mkdir()
    long = tmp_path / ("x" * 80)
    long.mkdir()
    ours = Path(f"/tmp/osm-{os.geteuid()}")
    try:
        assert runtime_base({"XDG_RUNTIME_DIR": str(short)}) == short / "osm"
        assert runtime_base({"XDG_RUNTIME_DIR": str(long)}) == ours
        assert runtime_base({"XDG_RUNTIME_DIR": "/nonexistent"}) == ours
        assert runtime_base({}) == ours
    finally:
        short.rmdir()


async def test_down_of_nothing_says_so(base: Path) -> None:
    with pytest.raises(NotRunningError):
        await down("mesh", base=base)
    assert not base.exists()
