"""`osm` as a person runs it: a process, with directories of the test's own and nothing shared."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from osm.demo.scenario import FLAT_NAMES, MANIFESTS, NAMED_MANIFESTS
from osm.local import namespaces, process_table

OSM = str(Path(sys.executable).parent / "osm")
NOBODY = 65534
START_LIMIT_S = 30.0

Counters = Mapping[str, int]


class Output(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read what it printed as JSON."""
        return json.loads(self.out)


class Bench:
    """A place in which `osm` runs: its own XDG directories, HOME, user and mesh name.

    The path is short: unix sockets in there have 107 bytes for their names.
    """

    def __init__(
        self,
        root: Path,
        *,
        mesh: str = "osm",
        uid: int | None = None,
        user_namespaces: bool = True,
    ) -> None:
        self.root = root
        self.mesh = mesh
        self.uid = uid
        self.user_namespaces = user_namespaces
        self.runtime = root / "r"
        for directory in (root, self.runtime, self.state, self.files):
            directory.mkdir(mode=0o700, exist_ok=True)
            if uid is not None:
                os.chown(directory, uid, uid)
        kept = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HOME": str(root),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_STATE_HOME": str(self.state),
            "OSM_MESH": mesh,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def state(self) -> Path:
        return self.root / "s"

    @property
    def files(self) -> Path:
        """Where a test puts YAML files, and runs commands."""
        return self.root / "f"

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The command line of an `osm` of the bench's user."""
        if self.uid is None and self.user_namespaces:
            return (OSM, *arguments)
        uid = os.geteuid() if self.uid is None else self.uid
        may = "yes" if self.user_namespaces else "no"
        return (sys.executable, __file__, str(uid), may, OSM, *arguments)

    def run(self, *arguments: str, text: str = "", within: float = 60.0) -> Output:
        """Run a command of osm to its end."""
        ended = subprocess.run(
            self.command(*arguments), input=text, capture_output=True, text=True, timeout=within,
            env=self.environment, cwd=self.files, check=False,
        )  # fmt: skip
        return Output(ended.returncode, ended.stdout, ended.stderr)

    def succeed(self, *arguments: str, text: str = "") -> str:
        """Run a command that must succeed, and give what it printed."""
        output = self.run(*arguments, text=text)
        assert output.code == 0, output
        return output.out

    def start(self, *arguments: str) -> "OsmProcess":
        """Start a command that goes on, such as `demo`."""
        return OsmProcess(self, arguments)

    @contextmanager
    def demo(self, *arguments: str) -> Iterator["OsmProcess"]:
        """Run `osm demo` until all of it is ready, and end it after."""
        running = self.start("demo", *arguments)
        try:
            running.wait_ready(workloads=6 if "split" in arguments else 5)
            yield running
        except AssertionError as error:
            running.explain(error)
            raise
        finally:
            running.end()


@contextmanager
def bench(
    *, mesh: str = "osm", uid: int | None = None, user_namespaces: bool = True
) -> Iterator[Bench]:
    """Make a bench below /tmp, and remove it after."""
    root = Path(tempfile.mkdtemp(prefix="osm", dir="/tmp"))
    try:
        yield Bench(root, mesh=mesh, uid=uid, user_namespaces=user_namespaces)
    finally:
        shutil.rmtree(root, ignore_errors=True)


class OsmProcess:
    """A running `osm`. What it prints goes to a file, so that it never waits for a reader."""

    def __init__(self, bench: Bench, arguments: tuple[str, ...]) -> None:
        self.bench = bench
        self.began = time.monotonic()
        self._log = bench.root / f"log-{time.monotonic_ns()}"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                bench.command(*arguments),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=bench.environment, cwd=bench.files, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def printed(self) -> str:
        """All that it printed so far, on both streams."""
        return self._log.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, within: float = 30.0) -> int:
        """Wait for its end, and give its exit code."""
        return self._process.wait(within)

    def end(self) -> int:
        """End it in order; by SIGKILL if that takes too long."""
        if self._process.poll() is None:
            self.signal(signal.SIGINT)
            try:
                return self.wait()
            except subprocess.TimeoutExpired:
                everything = (self.pid, *self.descendants())
                process_table.kill(everything)
                self._process.wait()
                raise AssertionError(f"osm did not end within 30 s:\n{self.printed}") from None
        return self._process.wait()

    def descendants(self) -> list[int]:
        """The processes below it at this moment."""
        return process_table.descendants(process_table.read_all(), self.pid)

    def programs(self, app: str) -> set[int]:
        """The processes of one of the demo's applications."""
        return {
            pid
            for pid in self.descendants()
            if f"-m osm.demo.{app} " in process_table.command_line(pid) + " "
        }

    def explain(self, failure: AssertionError) -> None:
        """Add to a failure what a person would look at next."""
        failure.add_note(f"osm has {'ended with ' + str(self.code) if self.code else 'not ended'}")
        for look in (("status",), ("proxy", "list", "-o", "wide")):
            failure.add_note(self.bench.run(*look).out)
        for app in ("bookbuyer", "bookthief", "bookstore"):
            failure.add_note(self.bench.run("logs", app, "--tail", "4").out)

    # What the mesh says of itself

    def text(self, path: str, method: str = "GET", body: bytes | None = None) -> str:
        """Ask the mesh's API on its unix socket, where commands ask it, too."""
        connection = _UnixConnection(self.bench.runtime / "osm" / self.bench.mesh / "control.sock")
        try:
            connection.request(method, f"/api/v1{path}", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, content
        return content.decode()

    def view(self) -> Any:
        """Everything at this moment, as the page and `osm status` get it."""
        return json.loads(self.text("/view"))

    def wait_ready(self, *, workloads: int = 1, within: float = START_LIMIT_S) -> None:
        """Wait until all workloads, at least so many, are ready and their proxies in sync."""

        def ready() -> bool:
            assert self.code is None, f"osm ended with {self.code}:\n{self.printed}"
            try:
                view = self.view()
            except OSError:
                return False
            phases = [each["phase"] for each in view["workloads"]]
            in_sync = [each["in_sync"] for each in view["proxies"]]
            return len(phases) >= workloads and set(phases) == {"ready"} and all(in_sync)

        try:
            wait_for(ready, f"{workloads} workloads are ready", within=within)
        except AssertionError as error:
            self.explain(error)
            raise

    def page(self, app: str) -> str:
        """The address on this machine of a workload's own page; empty when there is none."""
        return next((each["web"] for each in self.view()["workloads"] if each["app"] == app), "")

    def counters(self, app: str) -> Counters:
        """The counters that a demo application shows at `/raw` of its forwarded page."""
        status, body = fetch(self.page(app) + "raw")
        assert status == 200, body
        counters: dict[str, int] = json.loads(body)
        return counters

    def denials(self, account: str) -> int:
        """How many requests of a service account (`<namespace>/<name>`) were refused so far."""
        return sum(each["count"] for each in self.view()["denials"] if each["source"] == account)

    # The mesh's directory

    @property
    def directory(self) -> Path:
        return Path(self.view()["directory"])

    def copy(self, name: str) -> None:
        """Do what `osm apply -f demo:NAME` does, by nothing but writing a file."""
        manifest = NAMED_MANIFESTS[name]
        target = self.directory / FLAT_NAMES.get(manifest, Path(manifest).name)
        text = (MANIFESTS / manifest).read_text()
        self.write(target.name, hurried(text) if manifest.startswith("apps") else text)

    def write(self, file: str, text: str) -> None:
        (self.directory / file).write_text(text)

    def remove(self, file: str) -> None:
        (self.directory / file).unlink()

    def edit(self, file: str, change: Callable[[str], str]) -> None:
        """Change a file in place."""
        old = (self.directory / file).read_text()
        new = change(old)
        assert new != old, f"{file} is as it was"
        self.write(file, new)


def hurried(text: str) -> str:
    """Make the demo's applications quick: ask again at once, and answer at once."""
    settings = {"CI_SLEEP_BETWEEN_REQUESTS": "0.05", "RESPONSE_DELAY_MS": "0"}
    lines = "".join(
        f'\n            - name: {name}\n              value: "{value}"'
        for name, value in settings.items()
    )
    return re.sub(r"(?m)^          env:$", f"          env:{lines}", text)


def hurry(mesh: OsmProcess) -> None:
    """Edit the manifests of a running demo so that its shoppers do not wait between requests."""
    apps = ("bookbuyer", "bookthief", "bookstore")
    before = {app: mesh.programs(app) for app in apps}
    for app in apps:
        mesh.edit(f"{app}.yaml", hurried)
    for app in apps:
        wait_for(lambda: mesh.programs(app) - before[app], f"{app} was started anew")  # noqa: B023
    mesh.wait_ready(workloads=len(mesh.view()["workloads"]))


def wait_for(condition: Callable[[], object], what: str, *, within: float = 10.0) -> float:
    """Wait until something holds, and give the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within} s: {what}"
        time.sleep(0.03)
    return time.monotonic() - began


def fetch(url: str, body: bytes | None = None, *, timeout: float = 10.0) -> tuple[int, bytes]:
    """Send a request on this machine, past every proxy: status and body of the answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, body, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def become(uid: int) -> None:
    """Turn this process, which is root's, into another user's.

    In a mount namespace of its own, where that user can read our Python wherever it is installed.
    """
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.keep_mounts_private()
    closed: dict[str, list[tuple[str, int]]] = {}
    for needed in sorted({sys.base_prefix, sys.prefix, str(Path(__file__).parents[2])}):
        for parent in reversed(Path(needed).parents):
            if not parent.stat().st_mode & 1:
                source = os.open(needed, os.O_PATH)
                closed.setdefault(str(parent), []).append((needed, source))
                break
    for directory, hidden in closed.items():
        namespaces.mount("tmpfs", directory, "tmpfs", 0, "mode=755")
        for needed, source in hidden:
            Path(needed).mkdir(parents=True, exist_ok=True)
            namespaces.mount(f"/proc/self/fd/{source}", needed, flags=namespaces.MS_BIND)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def forbid_user_namespaces() -> None:
    """Make this process one of a system that lets nobody make user namespaces."""
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER)
    namespaces.map_user(uid, uid, gid, gid)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    namespaces.give_up_privileges()


def launch(uid: int, may_make_user_namespaces: str, *command: str) -> NoReturn:
    """Execute a command as a user, on a system that may forbid user namespaces."""
    if uid != os.geteuid():
        become(uid)
        # Once more: only what a user has executed belongs to it in /proc.
        again = (sys.executable, __file__, str(uid), may_make_user_namespaces, *command)
        os.execv(again[0], again)  # noqa: S606
    if may_make_user_namespaces == "no":
        forbid_user_namespaces()
    os.execv(command[0], command)  # noqa: S606


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


if __name__ == "__main__":
    launch(int(sys.argv[1]), *sys.argv[2:])
