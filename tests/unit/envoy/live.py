"""One Envoy without a mesh, on a unix socket: what does it make of a request?"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from google.protobuf import json_format
from tests.unit.envoy.static import Manager
from tests.waiting import listens

from osm._envoy.envoy.config.bootstrap.v3 import bootstrap_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.filters.http.router.v3 import router_pb2
from osm.core.envoy.bootstrap import REGEX_PROGRAM_LIMIT
from osm.core.envoy.connection_manager import HttpFilter, http_connection_manager
from osm.local.proxy import envoy_binary


class Ask(msgspec.Struct, frozen=True):
    """A request, written as it goes over the wire."""

    target: str = "/"
    method: str = "GET"
    authority: str = "host"
    headers: tuple[tuple[str, str], ...] = ()


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: str


@asynccontextmanager
async def live_envoy(
    directory: Path,
    host: route_components_pb2.VirtualHost,
    filters: tuple[HttpFilter, ...] = (),
    *,
    inbound: bool = False,
) -> AsyncIterator["LiveEnvoy"]:
    """Envoy with our connection manager, these filters and this virtual host."""
    bootstrap = bootstrap_pb2.Bootstrap()
    limit = bootstrap.layered_runtime.layers.add(name="limits").static_layer
    limit.update({"re2.max_program_size.error_level": REGEX_PROGRAM_LIMIT})
    listener = bootstrap.static_resources.listeners.add(name="listener")
    socket = directory / "envoy.sock"
    listener.address.pipe.path = str(socket)
    listener.filter_chains.add().filters.append(_static(host, filters, inbound=inbound))
    file = directory / "envoy.json"
    file.write_text(json_format.MessageToJson(bootstrap, preserving_proto_field_name=True))
    process = await asyncio.create_subprocess_exec(
        envoy_binary(),
        "-c",
        str(file),
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "-l",
        "error",
    )
    try:
        async with asyncio.timeout(20):
            while not await listens(socket):
                assert process.returncode is None, "Envoy has refused its configuration"
                await asyncio.sleep(0.01)
        yield LiveEnvoy(socket)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _static(
    host: route_components_pb2.VirtualHost, filters: tuple[HttpFilter, ...], *, inbound: bool
) -> listener_components_pb2.Filter:
    made = http_connection_manager(
        stat_prefix="live", routes="live", filters=filters, access_logs=[], inbound=inbound
    )
    manager = Manager()
    made.typed_config.Unpack(manager)
    manager.route_config.virtual_hosts.append(host)
    manager.http_filters[-1].typed_config.Pack(router_pb2.Router())
    made.typed_config.Pack(manager)
    return made


class LiveEnvoy:
    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(self, questions: Iterable[Ask]) -> list[Answer]:
        """One answer for each request, in order, over one connection as long as it lasts."""
        answers: list[Answer] = []
        reader, writer = await asyncio.open_unix_connection(self._socket)
        for question in questions:
            lines = [
                f"{question.method} {question.target} HTTP/1.1",
                f"host: {question.authority}",
                *(f"{name}: {value}" for name, value in question.headers),
                "content-length: 0",
            ]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            status = int((await reader.readline()).split()[1])
            headers: dict[str, str] = {}
            while line := (await reader.readline()).strip().decode():
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            length = 0 if question.method == "HEAD" else int(headers.get("content-length", 0))
            body = (await reader.readexactly(length)).decode()
            answers.append(Answer(status, headers, body))
            if headers.get("connection") == "close":
                writer.close()
                reader, writer = await asyncio.open_unix_connection(self._socket)
        writer.close()
        return answers
