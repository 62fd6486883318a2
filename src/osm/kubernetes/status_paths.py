"""Which kinds have a status here, and under which version: CRDs may be older than we are."""

from collections.abc import Callable

import msgspec

from osm.core.api.registry import Kind
from osm.kubernetes.api_server import ApiServer, Status
from osm.kubernetes.writing import NOT_FOUND

LACKING_S = 60.0
"""For how long it is believed that a kind has no status."""


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Resources(msgspec.Struct, frozen=True):
    resources: list[_Named] = []


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Group(msgspec.Struct, frozen=True):
    versions: list[_Version] = []


class StatusPaths:
    """What the API server said of its kinds is kept."""

    def __init__(self, server: ApiServer, now_s: Callable[[], float]) -> None:
        self._server = server
        self._now_s = now_s
        self._found: dict[Kind, str] = {}
        self._lacking: dict[Kind, float] = {}
        """Kinds without a status, and when that was found."""

    def lacks(self, kind: Kind) -> bool:
        """Whether a kind was found to have no status."""
        return kind in self._lacking

    def forget(self, kind: Kind) -> None:
        """Ask again when it is wanted next."""
        self._found.pop(kind, None)

    def has_no_room(self, kind: Kind) -> None:
        """A kind has no status, or one of another form than ours."""
        self._found.pop(kind, None)
        self._lacking[kind] = self._now_s()

    async def api_version(self, kind: Kind) -> str | None:
        """The newest version in which status can be written. Raises `Status` and `Unreachable`."""
        if kind in self._found:
            return self._found[kind]
        if self._now_s() - self._lacking.get(kind, -LACKING_S) < LACKING_S:
            return None
        found = await self._ask(kind)
        if found is None:
            self.has_no_room(kind)
        else:
            self._lacking.pop(kind, None)
            self._found[kind] = found
        return found

    async def _ask(self, kind: Kind) -> str | None:
        try:
            group = msgspec.json.decode(await self._server.get(f"/apis/{kind.group}"), type=_Group)
            served = {each.version for each in group.versions}
            for version in reversed(kind.versions):
                if version in served:
                    api_version = kind.written_version(version)
                    body = await self._server.get(f"/apis/{api_version}")
                    found = msgspec.json.decode(body, type=_Resources).resources
                    if any(each.name == f"{kind.plural}/status" for each in found):
                        return api_version
        except Status as status:
            if status.code != NOT_FOUND:
                raise
        return None
