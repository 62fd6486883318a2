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
    """0: people come through a port of their own choice, which is forwarded here."""
    token: str = msgspec.field(default_factory=_new_token)
    writes: bool = False
    body_limit: int = MEBIBYTE

    def is_host(self, text: str) -> bool:
        """Whether a browser may send this as `Host`. Any other name is DNS rebinding."""
        name, _, port = text.lower().rpartition(":")
        right_port = port == str(self.port) if self.port else port.isdecimal()
        return right_port and name in ("127.0.0.1", "localhost", "[::1]")

    def __repr__(self) -> str:
        return f"LoopbackAccess(port={self.port}, writes={self.writes})"


Access = SocketAccess | LoopbackAccess
