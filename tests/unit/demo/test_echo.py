"""The echo servers for TCP and gRPC, and the client that calls the first."""

import io
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from tests.unit.demo.apps import LOOPBACK, free_port

from osm.demo.grpc_echo_server import CHAT, SAY, echo_server
from osm.demo.journal import Journal
from osm.demo.tcp_client import echo
from osm.demo.tcp_echo_server import EchoServer


@contextmanager
def tcp_server(greeting: str = "") -> Iterator[tuple[str, int]]:
    with EchoServer(LOOPBACK, 0, greeting, Journal(io.StringIO())) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield LOOPBACK, server.socket.getsockname()[1]
        server.shutdown()


def test_each_line_is_echoed() -> None:
    with tcp_server() as address, socket.create_connection(address, 2) as connection:
        lines = connection.makefile("rb")
        for word in (b"hello", b"", b"again"):
            connection.sendall(word + b"\n")
            assert lines.readline() == b"echo response: " + word + b"\n"
        lines.close()


def test_the_client_gets_its_line_back() -> None:
    with tcp_server() as address:
        assert echo(address, "hello") == "echo response: hello"


def test_a_server_with_a_greeting_speaks_first() -> None:
    with tcp_server("220 ready") as address:
        with socket.create_connection(address, 2) as connection:
            assert connection.recv(100) == b"220 ready\n"
        assert echo(address, "hello", greeted=True) == "echo response: hello"


def test_a_server_that_hangs_up_is_an_error() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        server = threading.Thread(target=hang_up)
        server.start()
        with pytest.raises(ConnectionError):
            echo((LOOPBACK, listener.getsockname()[1]), "hello")
        server.join(5)


def test_grpc_messages_come_back_with_the_identity() -> None:
    server = echo_server("echo-v1", Journal(io.StringIO()))
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    try:
        with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
            say: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SAY)
            answer, call = say.with_call(b"\x00hello", timeout=5)
            assert answer == b"\x00hello"
            assert ("identity", "echo-v1") in [tuple(pair) for pair in call.initial_metadata()]
            chat: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(CHAT)
            assert list(chat(iter([b"a", b"b"]), timeout=5)) == [b"a", b"b"]
            shout: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/osm.demo.Echo/Shout"
            )
            with pytest.raises(grpc.RpcError) as refused:
                shout(b"", timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.stop(None).wait(5)


@pytest.mark.parametrize("module", ["tcp_echo_server", "grpc_echo_server"])
def test_an_echo_server_runs_as_a_process_and_ends_at_sigterm(module: str) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", f"osm.demo.{module}", "--port", str(port)],
        env={"BIND_ADDRESS": LOOPBACK, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert f"answers on {LOOPBACK}:{port}" in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        finally:
            process.kill()
