"""Plain HTTP from outside of the mesh, through `osm up`'s own way in."""

import asyncio
import http.client
import json
from typing import Any

from osm.testing.calls import request


def ingress_annotation(here: int, port: int) -> dict[str, str]:
    """A pod's annotation: its `port` is reachable at `here` on this machine, if an IngressBackend lets."""
    return {"local.openservicemesh.io/ingress": f"{here}:{port}"}


def ingress_backend(service: str, port: int) -> str:
    """An IngressBackend that lets this machine call the service `<namespace>/<name>`."""
    namespace, _, name = service.partition("/")
    document: dict[str, Any] = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "IngressBackend",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "backends": [{"name": name, "port": {"number": port, "protocol": "http"}}],
            "sources": [{"kind": "IPRange", "name": "127.0.0.1/32"}],
        },
    }
    return json.dumps(document)


async def from_outside(
    here: int, target: str = "/", *, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[int, dict[str, str], str]:
    """One request on a connection of its own: status (0 without an answer), headers, body."""
    return await asyncio.to_thread(_ask, here, target, headers)


def _ask(
    here: int, target: str, headers: tuple[tuple[str, str], ...]
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", here, timeout=15)
    try:
        return request(connection, "GET", target, headers)
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, repr(error)
    finally:
        connection.close()
