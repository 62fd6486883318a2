"""What the server tells whoever counts: `osm.telemetry.control_plane` does."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol


class Observer(Protocol):
    """Hears of proxies that come and go, and of what is sent to them. Types are xDS type URLs."""

    def connected(self, *, again: bool = False) -> None: ...

    def disconnected(self) -> None: ...

    def forget(self, proxy: str) -> None: ...

    def requested(self, proxy: str, identity: str, type_url: str) -> None: ...

    def sent(
        self,
        proxy: str,
        identity: str,
        type_url: str,
        *,
        size: int,
        resources: int,
        queued_s: float,
        triggers: Iterable[str],
    ) -> None: ...

    def not_sent(self, proxy: str, identity: str, type_url: str) -> None: ...

    def acknowledged(self, type_url: str, seconds: float) -> None: ...

    def refused_configuration(self, type_url: str, seconds: float) -> None: ...

    def refused_client(self, reason: str) -> None: ...

    def cut_off(self) -> None: ...

    def loop_lag(self, seconds: float) -> None: ...

    def watch_pending(self, pending: Callable[[], Mapping[str, int]]) -> None: ...
