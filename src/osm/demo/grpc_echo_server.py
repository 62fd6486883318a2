"""grpc-echo-server: `osm.demo.Echo` with the methods Say (one message) and Chat (a stream).

Messages are bytes and come back as they are, so that no generated code is needed.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from osm.demo.journal import Journal
from osm.demo.process import bind_address, chosen_port, hold_signals, wait_for_end
from osm.demo.settings import text

PORT = 50051
SERVICE = "osm.demo.Echo"
SAY = f"/{SERVICE}/Say"
CHAT = f"/{SERVICE}/Chat"


def echo_server(identity: str, journal: Journal) -> grpc.Server:
    """Return a server without a port, not yet started. Answers have its identity as metadata."""
    metadata = (("identity", identity),)

    def say(message: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata(metadata)
        journal.say(f"Say: {len(message)} bytes", "good")
        return message

    def chat(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.send_initial_metadata(metadata)
        for message in messages:
            journal.say(f"Chat: {len(message)} bytes", "good")
            yield message

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    server = grpc.server(ThreadPoolExecutor(8, "grpc"))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code."""
    port, bind, journal = (
        chosen_port("grpc-echo-server", PORT, arguments),
        bind_address(),
        Journal(),
    )
    hold_signals()
    server = echo_server(text(os.environ, "IDENTITY", "grpc-echo-server"), journal)
    try:
        server.add_insecure_port(f"{bind}:{port}")
    except RuntimeError as failure:
        Journal(sys.stderr).say(f"cannot listen on {bind}:{port}: {failure}")
        return 1
    server.start()
    journal.say(f"grpc-echo-server answers on {bind}:{port}")
    wait_for_end()
    server.stop(1).wait(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
