"""An ingress gateway: a stock Envoy that belongs to no mesh, as Contour runs it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.waiting import listens

from osm.local.proxy import envoy_binary
from osm.ports import KeyPair

PATIENCE_S = 10.0
_EXTENSIONS = "type.googleapis.com/envoy.extensions"


@asynccontextmanager
async def gateway(directory: Path, port: int, tls: dict[str, Any] | None) -> AsyncIterator[Path]:
    """Run one that leads to a port of this machine. Gives the socket where it listens, for `call`."""
    config = directory / "envoy.json"
    config.write_text(json.dumps(_bootstrap(directory, port, tls)))
    socket = directory / "in.sock"
    process = await asyncio.create_subprocess_exec(
        *(envoy_binary(), "-c", config, "--concurrency", "1"),
        *("--use-dynamic-base-id", "--log-path", directory / "envoy.log"),
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await listens(socket):
                assert process.returncode is None, (directory / "envoy.log").read_text()
                await asyncio.sleep(0.02)
        yield socket
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        socket.unlink(missing_ok=True)


def verifying(bundle: bytes, pair: KeyPair, server_name: str) -> dict[str, Any]:
    """TLS to a workload, whose certificate must have this name; `pair` is what the gateway shows."""
    return {
        "sni": server_name,
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"inline_string": pair.certificate.decode()},
                    "private_key": {"inline_string": pair.private_key.decode()},
                }
            ],
            "validation_context": {
                "trusted_ca": {"inline_string": bundle.decode()},
                "match_typed_subject_alt_names": [
                    {"san_type": "DNS", "matcher": {"exact": server_name}}
                ],
            },
        },
    }


async def call(socket: Path, target: str = "/get") -> int:
    """The status that the gateway gives to `GET TARGET`."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: httpbin.org\r\nConnection: close\r\n\r\n".encode()
        )
        status = int((await reader.readline()).split()[1])
        writer.close()
    return status


def _bootstrap(directory: Path, port: int, tls: dict[str, Any] | None) -> dict[str, Any]:
    upstream: dict[str, Any] = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }
    if tls is not None:
        kind = f"{_EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext"
        upstream["transport_socket"] = {"name": "tls", "typed_config": {"@type": kind, **tls}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backend"}}
    manager = f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
    connections = {
        "@type": manager,
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "in",
        "address": {"pipe": {"path": str(directory / "in.sock")}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": connections}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [upstream]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
