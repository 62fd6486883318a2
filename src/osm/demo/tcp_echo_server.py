"""tcp-echo-server: answers each line with `echo response: <line>`.

With GREETING set it speaks first, as mail and database servers do: a proxy that waits for the
client's first bytes to learn the protocol would wait for ever.
"""

import os
import socketserver
import sys
import threading
from collections.abc import Sequence

from osm.demo.journal import Journal
from osm.demo.process import bind_address, chosen_port, hold_signals, wait_for_end
from osm.demo.settings import text

PORT = 9000
LONGEST_LINE = 1 << 16


class EchoServer(socketserver.ThreadingTCPServer):
    """Serves lines on one address, a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, bind: str, port: int, greeting: str, journal: Journal) -> None:
        self.greeting = greeting
        self.journal = journal
        super().__init__((bind, port), _Conversation)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a peer that hangs up is not an event."""


class _Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: EchoServer

    def handle(self) -> None:
        if self.server.greeting:
            self.wfile.write(self.server.greeting.encode() + b"\n")
        while line := self.rfile.readline(LONGEST_LINE):
            self.wfile.write(b"echo response: " + line)
            self.server.journal.say(f"echoed {len(line)} bytes", "good")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code."""
    port, bind, journal = chosen_port("tcp-echo-server", PORT, arguments), bind_address(), Journal()
    hold_signals()
    try:
        server = EchoServer(bind, port, text(os.environ, "GREETING", ""), journal)
    except OSError as failure:
        Journal(sys.stderr).say(f"cannot listen on {bind}:{port}: {failure.strerror}")
        return 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    journal.say(f"tcp-echo-server answers on {bind}:{port}")
    wait_for_end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
