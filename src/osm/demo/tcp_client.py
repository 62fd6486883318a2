"""tcp-client: connects to the tcp-echo-server again and again, and tells what it answers."""

import os
import signal
import socket
import sys
import threading

from osm.demo.journal import Journal
from osm.demo.settings import Environment, number, text, whole
from osm.errors import OsmError

TIMEOUT_S = 2.0
LONGEST_ANSWER = 1 << 16


def echo(address: tuple[str, int], line: str, *, greeted: bool = False) -> str:
    """Send one line on a connection of its own, and return the answer, without its line end.

    Raises OSError. With `greeted`, first wait for the line with which the server begins.
    """
    with (
        socket.create_connection(address, TIMEOUT_S) as connection,
        connection.makefile("rb") as lines,
    ):
        if greeted and not lines.readline(LONGEST_ANSWER):
            raise ConnectionResetError(0, "closed without a greeting")
        connection.sendall(line.encode() + b"\n")
        answer = lines.readline(LONGEST_ANSWER)
        if not answer.endswith(b"\n"):
            raise ConnectionResetError(0, "closed without an answer")
        return answer.decode(errors="replace").rstrip("\r\n")


def main(environment: Environment = os.environ) -> int:
    """Call the server until SIGTERM or SIGINT, and return the exit code."""
    journal, ended = Journal(), threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    try:
        host = text(environment, "TCP_ECHO_HOST", "tcp-echo-server.tcp-demo.svc.cluster.local")
        address = host, whole(environment, "TCP_ECHO_PORT", 9000, least=1)
        pause_s = number(environment, "CI_SLEEP_BETWEEN_REQUESTS", 1.0)
    except OsmError as failure:
        Journal(sys.stderr).say(f"tcp-client: {failure.message}. {failure.hint}")
        return failure.exit_code
    count = 0
    while not ended.is_set():
        count += 1
        try:
            journal.say(echo(address, f"hello {count}"), "good")
        except OSError as failure:
            journal.say(f"ERROR: no answer: {failure.strerror or failure}", "bad")
        ended.wait(pause_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
