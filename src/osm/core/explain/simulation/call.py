"""A call, and what is known of it on its way: all that a matcher can look at."""

import msgspec


class Certificate(msgspec.Struct, frozen=True):
    """What a party shows in a TLS handshake; `trusted`: signed by the mesh's root."""

    uris: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    trusted: bool = True
    subject: str = "CN=caller"


class Call(msgspec.Struct, frozen=True):
    """What an application, or somebody outside, does: connect to an address, and perhaps send HTTP.

    `method` is empty for a TCP connection whose bytes are no HTTP. `server_name` None: no TLS; empty:
    TLS that names no server.
    """

    address: str
    port: int
    authority: str = ""
    method: str = ""
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    server_name: str | None = None
    source: str = "127.0.0.1"
    certificate: Certificate | None = None


class Connection(msgspec.Struct, frozen=True):
    """A connection as a listener sees it. `peer`: the certificate that the caller has shown."""

    ip: str
    port: int
    source: str
    server_name: str | None = None
    """Of TLS that the listener itself has not taken off; None: no TLS."""
    protocols: tuple[str, ...] = ()
    """What the caller offers to speak inside of TLS (ALPN)."""
    peer: Certificate | None = None


class Request(msgspec.Struct, frozen=True):
    """An HTTP request on its way. `target` has the query; names of headers are lower-case."""

    method: str
    authority: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def lines(self, name: str) -> tuple[str, ...]:
        """All values of a header, in order."""
        match name.lower():
            case ":authority" | "host":
                return (self.authority,)
            case ":method":
                return (self.method,)
            case ":path":
                return (self.target,)
            case wanted:
                return tuple(value for key, value in self.headers if key == wanted)

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter; None without it."""
        for part in self.target.partition("?")[2].split("&"):
            key, _, value = part.partition("=")
            if part and key == name:
                return value
        return None
