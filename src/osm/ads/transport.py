"""What `AdsServer` needs of a network: authenticated calls with messages both ways.

It measures as the dearest part of a push, so that it can be replaced without touching the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import Enum
from typing import Protocol, TypeAlias

from osm.ports import KeyPair


class Code(Enum):
    """Why a call ends before its time, in gRPC's words: clients know what they mean."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"


class CallEnded(Exception):
    """Raised by a handler: the call ends with this code, and the client reads the message."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Call(Protocol):
    """One call of one client."""

    @property
    def certificate_chain(self) -> bytes:
        """The client's certificate chain (PEM), proved in the handshake. Whose it is is not said."""
        ...

    @property
    def bearer_token(self) -> str:
        """What the call's `authorization` says after `Bearer `; empty when there is none. A secret:
        neither logged nor kept.
        """
        ...

    def requests(self) -> AsyncIterator[bytes]:
        """Messages as they come, until the client ends the call."""
        ...

    async def send(self, message: bytes) -> None:
        """Return when the connection has taken the message: a client that reads nothing delays it."""
        ...


Handler: TypeAlias = Callable[[Call], Awaitable[None]]
"""Serves a call. Its end ends the call; it is cancelled when the client has gone."""


class Transport(Protocol):
    """Serves calls on an address, by TLS."""

    async def serve(
        self,
        address: str,
        certificate: Callable[[], KeyPair],
        bundle: bytes | None,
        started: asyncio.Event,
        handlers: Mapping[str, Handler],
    ) -> None:
        """Serve on `unix:<path>` or `<host>:<port>` until cancelled. `certificate` gives the present
        server certificate for each handshake; clients must have one that `bundle` (PEM) vouches for;
        without a bundle they are asked for none, and handlers must ask for something else.
        `handlers` are by path: `/package.Service/Method`.
        """
        ...
