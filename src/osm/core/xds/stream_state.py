"""What one proxy holds of one type, and what passes between it and us."""

import msgspec

ABSENT = ""
"""Stands for the resource of a name that has none."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A proxy refused a response: the resources that its words name, or all of it, and its words."""

    type_url: str
    resources: tuple[str, ...]
    message: str


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A response that is not acknowledged yet: what it carries, and when it was made."""

    names: tuple[str, ...]
    sent_at: float


class Response(msgspec.Struct, frozen=True, gc=False):
    """Bytes to send, and what they carry."""

    type_url: str
    nonce: str
    wire: bytes
    names: tuple[str, ...]
    removed: tuple[str, ...]


class Received(msgspec.Struct, frozen=True, gc=False):
    """What a request means for its type. `dropped` is no longer held, whoever asked for it."""

    asked: frozenset[str] = frozenset()
    """Names that must be answered, whatever their version."""
    everything: bool = False
    """The type must be looked at whole: its first request, or "everything that is mine" anew."""
    again: bool = False
    """Something was refused in company, and goes out again in parts."""
    dropped: frozenset[str] = frozenset()
    refusal: Refusal | None = None
    took_s: float | None = None
    """How long the response was out that this request acknowledges or refuses."""


class TypeState(msgspec.Struct):
    """What a proxy holds of one type."""

    wildcard: bool = False
    names: set[str] = msgspec.field(default_factory=set)
    """Asked for by name."""
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    """Resources that the proxy was sent, or said to hold when it connected."""
    found: dict[str, str] = msgspec.field(default_factory=dict)
    """What each name that was asked for was answered with: a resource's name, or `ABSENT`. Several
    names may stand for one resource (aliases of a virtual host)."""
    unknown: set[str] = msgspec.field(default_factory=set)
    """Names that were asked for and have nothing behind them."""
    pending: dict[str, Pending] = msgspec.field(default_factory=dict)
    """The responses that are not acknowledged yet, by nonce."""
    started: bool = False
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    last_sent: float | None = None
    last_acknowledged: float | None = None
    last_error: str = ""
    refusals: tuple[frozenset[str], ...] = ()
    """What was refused, response by response, until something of it was accepted or dropped."""
    again: list[tuple[str, ...]] = msgspec.field(default_factory=list)
    """What was refused in company, in the parts in which it is to be sent again."""
