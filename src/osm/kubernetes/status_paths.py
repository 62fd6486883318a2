"""Which kinds have a status here, and under which version: CRDs may be older than we are."""

from collections.abc import Callable

from osm.core.api.registry import Kind
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.served import served_version

LACKING_S = 60.0
"""For how long it is believed that a kind has no status."""


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
        version = await served_version(self._server, kind, "/status")
        if version is None:
            self.has_no_room(kind)
            return None
        self._lacking.pop(kind, None)
        self._found[kind] = kind.written_version(version)
        return self._found[kind]
