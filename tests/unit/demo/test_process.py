"""The applications as processes: how they start, what they need, how they end."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from tests.unit.demo.apps import LOOPBACK, can_connect, free_port, wait_until

from osm.demo.client import NO_ANSWER, fetch, proxy_of
from osm.demo.database import server_arguments
from osm.demo.journal import LONGEST_LINE, REMEMBERED, Journal, one_line
from osm.demo.valkey import Valkey

APPS = ("bookbuyer", "bookthief", "bookstore", "bookwarehouse")
NOWHERE = {"BOOKSTORE_URL": "http://127.0.0.1:1", "DATABASE_HOST": LOOPBACK, "DATABASE_PORT": "1"}


@contextmanager
def process_of(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", f"osm.demo.{module}", *arguments],
        env={**os.environ, **NOWHERE, "BIND_ADDRESS": LOOPBACK},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("app", APPS)
def test_an_application_serves_where_it_is_told_and_ends_at_sigterm(app: str) -> None:
    port = free_port()
    with process_of(app, "--port", str(port)) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert f"{app} answers on {LOOPBACK}:{port}\n" in lines  # unbuffered: it still runs
        for path in ("/", "/readiness"):
            assert fetch("GET", f"http://{LOOPBACK}:{port}{path}", {}, environment={}).status == 200
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert time.monotonic() - begun < 2


def test_the_database_is_a_real_server_and_ends_at_sigterm() -> None:
    port = free_port()
    with process_of("database", "--port", str(port)) as process:
        wait_until(lambda: can_connect(port), "the database accepts connections")
        client = Valkey(lambda: (LOOPBACK, port))
        assert client.increase("a", 2) == 2
        assert client.increase("a", 3) == 5
        assert client.read("b") == 0
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_the_database_writes_nothing_to_disk() -> None:
    arguments = server_arguments("127.0.0.9", 7)
    pairs = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    assert (pairs["--save"], pairs["--appendonly"]) == ("", "no")
    assert (pairs["--bind"], pairs["--port"]) == ("127.0.0.9", "7")


def test_a_port_that_is_taken_is_said_in_words() -> None:
    port = free_port()
    with process_of("bookstore", "--port", str(port)):
        wait_until(lambda: can_connect(port), "the first one serves")
        with process_of("bookstore", "--port", str(port)) as second:
            output, _ = second.communicate(timeout=10)
    assert second.returncode == 1
    assert f"cannot listen on {LOOPBACK}:{port}" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("arguments", [("--port", "many"), ("--port", "70000"), ("--prot", "1")])
def test_a_wrong_argument_is_refused(arguments: tuple[str, ...]) -> None:
    with process_of("bookstore", *arguments) as process:
        output, _ = process.communicate(timeout=10)
    assert process.returncode != 0
    assert arguments[0] in output
    assert "Traceback" not in output


def test_the_applications_import_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, osm.demo.bookbuyer, osm.demo.bookthief, osm.demo.bookstore\n"
        "import osm.demo.bookwarehouse, osm.demo.database\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names - sys.stdlib_module_names - {'osm', '__main__'}))\n"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("src"))},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert found.stdout == "[]\n"


PROXIES: list[tuple[str, Mapping[str, str], tuple[str, int] | None]] = [
    ("http://a.b:80/", {}, None),
    ("http://a.b:80/", {"HTTP_PROXY": "http://127.0.0.1:1234"}, ("127.0.0.1", 1234)),
    ("http://a.b:80/", {"http_proxy": "127.0.0.1:1234"}, ("127.0.0.1", 1234)),
    ("http://a.b:80/", {"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:2"}, ("p", 1)),
    ("http://a.b:80/", {"HTTPS_PROXY": "http://p:1"}, None),
    ("https://a.b/", {"HTTPS_PROXY": "http://p:1"}, ("p", 1)),
    ("http://a.b/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a.b"}, None),
    ("http://a.b/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "x, b"}, None),
    ("http://a.b/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".b"}, None),
    ("http://a.b/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
    ("http://a.bb/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "b"}, ("p", 1)),
    ("http://127.9.0.1/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "127.0.0.0/8"}, None),
    ("http://10.9.0.1/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "127.0.0.0/8"}, ("p", 1)),
]


@pytest.mark.parametrize(("url", "environment", "proxy"), PROXIES)
def test_the_environment_says_which_proxy_to_use(
    url: str, environment: Mapping[str, str], proxy: tuple[str, int] | None
) -> None:
    assert proxy_of(url, environment) == proxy


def test_an_answer_that_trickles_in_is_given_up_in_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:

        def trickle() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                for _ in range(200):
                    peer.sendall(b"a")
                    time.sleep(0.02)

        server = threading.Thread(target=trickle)
        server.start()
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        begun = time.monotonic()
        answer = fetch("GET", url, {}, environment={}, timeout_s=0.2)
        assert (answer.status, answer.error) == (0, NO_ANSWER)
        assert time.monotonic() - begun < 2
        server.join(10)


def test_the_journal_remembers_the_newest_events_and_counts_equal_ones() -> None:
    stream = io.StringIO()
    journal = Journal(stream)
    for text in ("a", "b", "a", *map(str, range(REMEMBERED - 2)), "a"):
        journal.say(text)
    entries = [(entry.text, entry.times) for entry in journal.entries()]
    assert entries[0] == ("a", 3)
    assert entries[-1] == ("b", 1)
    assert len(entries) == REMEMBERED
    journal.say("new")
    assert "b" not in {entry.text for entry in journal.entries()}
    assert stream.getvalue().startswith("a\nb\na\n0\n")


def test_a_journal_whose_reader_is_gone_goes_on() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        journal = Journal(stream)
        journal.say("nobody hears this")
        assert journal.entries()[0].text == "nobody hears this"
        with contextlib.suppress(BrokenPipeError):
            stream.close()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\nlines", "two lines"),
        ("\x1b[31mred\x07", " [31mred "),
        ("long" * 200, ("long" * 200)[: LONGEST_LINE - 1] + "…"),
    ],
)
def test_a_line_of_the_log_is_safe_in_a_terminal(text: str, line: str) -> None:
    assert one_line(text) == line
