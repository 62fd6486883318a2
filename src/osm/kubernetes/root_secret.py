"""The root certificate in a Secret, under OSM's names, so that a mesh of OSM's hands its root on."""

import base64
import binascii
from collections.abc import Callable

import msgspec

from osm.core.install.names import INSTANCE_LABEL, NAME, NAME_LABEL, Installation
from osm.errors import IssuerError
from osm.kubernetes.api_server import ApiServer, Status, Unreachable

CERTIFICATE = "ca.crt"
KEY = "private.key"

Root = tuple[bytes, bytes]
"""Certificate and private key, PEM."""


class _Secret(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


async def read_or_create_root(
    server: ApiServer, installation: Installation, name: str, create: Callable[[], Root]
) -> Root:
    """The root in the Secret of this name. Of replicas that find none, one writes its own, and the
    others take that. What is there is never written over.

    Raises `IssuerError` for a Secret that is half a root, and when there is no way to it.
    """
    collection = f"/api/v1/namespaces/{installation.namespace}/secrets"
    where = f"Secret {installation.namespace}/{name}"
    try:
        found = await _read(server, f"{collection}/{name}", where)
        if found is not None:
            return found
        try:
            await server.request("POST", collection, body=_secret(installation, name, create()))
        except Status as status:
            if status.code != 409:
                raise
        found = await _read(server, f"{collection}/{name}", where)
    except (Status, Unreachable) as error:
        raise IssuerError(
            f"{where} cannot be read or made: {error}",
            hint="The control plane's ServiceAccount needs get and create on Secrets there.",
        ) from error
    if found is None:
        raise IssuerError(f"{where} vanished while it was made", hint="Start again.")
    return found


async def _read(server: ApiServer, path: str, where: str) -> Root | None:
    try:
        body = await server.get(path)
    except Status as status:
        if status.code == 404:
            return None
        raise
    try:
        data = msgspec.json.decode(body, type=_Secret).data
        return (
            base64.b64decode(data[CERTIFICATE], validate=True),
            base64.b64decode(data[KEY], validate=True),
        )
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise IssuerError(f"{where} cannot be read: {error}", hint=_HINT) from None
    except KeyError as error:
        raise IssuerError(f"{where} has no {error.args[0]}", hint=_HINT) from None


_HINT = "Restore it from a backup, or delete it for a new root: every workload then starts again."


def _secret(installation: Installation, name: str, root: Root) -> dict[str, object]:
    labels = {NAME_LABEL: NAME, INSTANCE_LABEL: installation.mesh}
    data = {CERTIFICATE: root[0], KEY: root[1]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": installation.namespace, "labels": labels},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
