"""The command: how soon it answers, and how soon the demo's first request is answered."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from bench.cases.case import Case, Size
from bench.figures import Figure, Result, middle
from bench.unix_http import get_over_unix
from osm.local.runtime_directory import mesh_directory, runtime_base
from osm.runtime.settings import CONTROL_SOCKET

PYTHON = (sys.executable, "-c", "pass")
COMMANDS = {
    "osm --help": (sys.executable, "-m", "osm", "--help"),
    "osm version": (sys.executable, "-m", "osm", "version"),
}
LIMIT_S = 60.0


def commands(size: Size) -> Result:
    """`osm --help` and `osm version`, each right beside a Python that does nothing."""
    times: dict[str, list[float]] = {name: [] for name in ("python", *COMMANDS)}
    with tempfile.TemporaryDirectory(prefix="osm-b-") as empty:
        environment = {**os.environ, "XDG_RUNTIME_DIR": empty}  # no mesh to ask
        for _ in range(size.pick(40, 6)):
            times["python"].append(_run_ms(PYTHON, environment))
            for name, command in COMMANDS.items():
                times[name].append(_run_ms(command, environment))
    figures = []
    nothing = _halves(times["python"])
    for name in COMMANDS:
        one, two = _halves(times[name])
        figures += [
            Figure(f"{name}, p50", one, "ms", two, 150),
            Figure(f"{name}, of `python -c pass`", one / nothing[0], "×", two / nothing[1]),
        ]
    return Result(
        "commands",
        "how soon the command answers",
        f"{len(times['python'])} runs of each, in turn",
        (*figures, Figure("python -c pass, p50", nothing[0], "ms", nothing[1])),
    )


def _run_ms(command: tuple[str, ...], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


def _halves(values: list[float]) -> tuple[float, float]:
    return middle(values[::2]), middle(values[1::2])


def demo(size: Size) -> Result:
    """`osm demo` from the command to the first book that was bought through two proxies."""
    times = [_first_book_s() for _ in range(size.pick(6, 2))]
    one, two = _halves(times)
    return Result(
        "demo",
        "from `osm demo` to the first request answered through two proxies, with mutual TLS",
        f"{len(times)} runs",
        (Figure("osm demo: first request answered, p50", one, "s", two, 10),),
    )


def _first_book_s() -> float:
    mesh = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="osm-b-") as name:
        root = Path(name)
        environment = {**os.environ, "XDG_STATE_HOME": name, "XDG_RUNTIME_DIR": name, "HOME": name}
        environment.pop("VIRTUAL_ENV", None)
        control = mesh_directory(mesh, runtime_base(environment)) / CONTROL_SOCKET
        with (root / "demo.log").open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                (sys.executable, "-m", "osm", "demo", "--mesh", mesh),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment, cwd=root, start_new_session=True,
            )  # fmt: skip
        try:
            while not _books_bought(control):
                if process.poll() is not None or time.monotonic() - started > LIMIT_S:
                    raise RuntimeError(f"no demo:\n{(root / 'demo.log').read_text()[-2000:]}")
                time.sleep(0.05)
            return time.monotonic() - started
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()  # the next start cleans what is left
                process.wait()


def _books_bought(control: Path) -> int:
    with suppress(OSError, ValueError):
        workloads = json.loads(get_over_unix(control, "/api/v1/view"))["workloads"]
        page = next((each["web"] for each in workloads if each["app"] == "bookbuyer"), "")
        if page.startswith("http://127.0.0.1:"):
            with urllib.request.urlopen(f"{page}raw", timeout=2) as answer:  # noqa: S310 - as above
                return int(json.load(answer)["booksBought"])
    return 0


CASES = (Case("commands", commands), Case("demo", demo))
