"""Who may reach the API, and how: over a unix socket, or from a browser on this machine."""

import secrets

import msgspec

MEBIBYTE = 1024 * 1024


def _new_token() -> str:
    return secrets.token_urlsafe(32)


class SocketAccess(msgspec.Struct, frozen=True):
    """A unix socket. Its file mode (0600) is the guard, so everything is allowed."""

    body_limit: int = 16 * MEBIBYTE


class LoopbackAccess(msgspec.Struct, frozen=True):
    """A TCP port on loopback. Other users and every web page can reach it, so it is guarded.

    `token` is new for each run; only a page of the same origin can read it. With `writes` False
    (the page needs none) objects cannot be changed here at all.
    """

    port: int
    token: str = msgspec.field(default_factory=_new_token)
    writes: bool = False
    body_limit: int = MEBIBYTE

    @property
    def hosts(self) -> frozenset[str]:
        """What a browser may send as `Host`. Any other name is DNS rebinding."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    def __repr__(self) -> str:
        return f"LoopbackAccess(port={self.port}, writes={self.writes})"


Access = SocketAccess | LoopbackAccess
