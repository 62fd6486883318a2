"""Which version of a kind an API server has: CRDs may be older than we are, newer, or not there."""

import msgspec

from osm.core.api.registry import Kind
from osm.kubernetes.api_server import ApiServer, Status

_NOT_FOUND = 404


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Group(msgspec.Struct, frozen=True):
    versions: list[_Version] = []


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Resources(msgspec.Struct, frozen=True):
    resources: list[_Named] = []


async def served_version(server: ApiServer, kind: Kind, subresource: str = "") -> str | None:
    """The newest version of a kind that the server and we know, or of its `/status`; None when there
    is none. Raises `Status`, `Unreachable` and `MsgspecError`.
    """
    wanted = f"{kind.plural}{subresource}"
    try:
        group = msgspec.json.decode(await server.get(f"/apis/{kind.group}"), type=_Group)
        served = {each.version for each in group.versions}
        for version in reversed(kind.versions):
            if version in served:
                listed = await server.get(f"/apis/{kind.written_version(version)}")
                found = msgspec.json.decode(listed, type=_Resources).resources
                if any(each.name == wanted for each in found):
                    return version
    except Status as status:
        if status.code != _NOT_FOUND:
            raise
    return None
