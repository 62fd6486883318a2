"""Limits of values: how large, how long, how many; and what headers and other names may hold.

Each is a check (`problem.Check`); those that hold figures are structs, so that `crd_schema` can
write the same figures into a schema.
"""

import re
from collections.abc import Sized
from typing import Annotated

import msgspec

from osm.core.api import codes
from osm.core.api.duration import parse_duration
from osm.core.api.problem import Complaint
from osm.core.api.regex import check_regex
from osm.core.api.scalars import check_duration, check_header_name, checked

GREATEST_COUNT = 2**32 - 1
"""Envoy counts in 32 bits."""
LONGEST_LIST = 1000
LONGEST_TEXT = 1024
LONGEST_HEADER_VALUE = 4096

_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_STATISTIC = re.compile(r"[A-Za-z0-9_.-]+")
_URL_PATH = re.compile(r"/[!-~]*")
_RESERVED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def clipped(value: object, longest: int = 80) -> str:
    """A value for a message, however long it is."""
    text = str(value)
    return repr(text) if len(text) <= longest else repr(text[:longest]) + "…"


class Between(msgspec.Struct, frozen=True):
    """A check that refuses numbers outside of a range, which both ends belong to."""

    minimum: int
    maximum: int

    def __call__(self, value: object) -> Complaint | None:
        if isinstance(value, int) and not self.minimum <= value <= self.maximum:
            shown = str(value) if abs(value) < 10**40 else "a huge number"
            return Complaint(
                codes.OUT_OF_RANGE, f"must be {self.minimum} to {self.maximum}, not {shown}"
            )
        return None


class Text(msgspec.Struct, frozen=True):
    """A check of how long a text may be, and that a terminal can show it."""

    at_least: int = 1
    at_most: int = LONGEST_TEXT

    def __call__(self, value: object) -> Complaint | None:
        text = str(value)
        if len(text) < self.at_least:
            return Complaint(codes.EMPTY, "must not be empty")
        if len(text) > self.at_most:
            return Complaint(
                codes.TOO_LONG,
                f"is {len(text)} characters long; at most {self.at_most} are allowed",
            )
        if not text.isprintable():
            return Complaint(
                codes.NOT_ALLOWED, f"{clipped(text)} holds a character that is no text"
            )
        return None


class Items(msgspec.Struct, frozen=True):
    """A check of how many items a list or mapping may have."""

    at_least: int = 0
    at_most: int = LONGEST_LIST

    def __call__(self, value: object) -> Complaint | None:
        count = len(value) if isinstance(value, Sized) else 0
        if count < self.at_least:
            return Complaint(codes.EMPTY, f"needs at least {self.at_least}", "Add one.")
        if count > self.at_most:
            return Complaint(
                codes.TOO_LONG,
                f"has {count} items; at most {self.at_most} are allowed",
                "Divide it among several objects.",
            )
        return None


def check_positive_duration(value: object) -> Complaint | None:
    """A duration in Go's syntax that is above 0."""
    complaint = check_duration(value)
    if complaint is None and parse_duration(str(value)) == 0:
        return Complaint(codes.DURATION, f"{clipped(value)} must be above 0")
    return complaint


def check_optional_duration(value: object) -> Complaint | None:
    """As `check_positive_duration`, or nothing."""
    return check_positive_duration(value) if value else None


def check_filled_regex(value: object) -> Complaint | None:
    """As `check_regex`, and not empty: Envoy takes no empty one."""
    return check_regex(value) if value else Complaint(codes.EMPTY, "must not be empty")


def check_header(value: object) -> Complaint | None:
    """The name of a header that a request may have; `:path` and its like are names too."""
    name = str(value)
    if len(name) > 256 or check_header_name(name.removeprefix(":")):
        return Complaint(codes.HEADER, f"{clipped(name)} is no name of an HTTP header")
    return None


def check_response_header(value: object) -> Complaint | None:
    """The name of a header that may be added to an answer."""
    name = str(value)
    if complaint := check_header_name(name[:LONGEST_TEXT]):
        return Complaint(codes.HEADER, complaint[:120])
    if len(name) > 256:
        return Complaint(codes.TOO_LONG, f"is {len(name)} characters long; at most 256 are allowed")
    if name.lower() in _RESERVED_HEADERS or name.lower().startswith(("x-osm-", "x-envoy-")):
        return Complaint(
            codes.HEADER,
            f"{name!r} is the proxy's own, and cannot be set",
            "Choose another name, for instance `x-rate-limited`.",
        )
    return None


def check_header_value(value: object) -> Complaint | None:
    """The value of a header: visible ASCII and spaces. `%` has no meaning: it stands for itself."""
    text = str(value)
    if not text:
        return Complaint(codes.EMPTY, "must not be empty")
    if len(text) > LONGEST_HEADER_VALUE:
        return Complaint(
            codes.TOO_LONG,
            f"is {len(text)} characters long; at most {LONGEST_HEADER_VALUE} are allowed",
        )
    if not _PRINTABLE.fullmatch(text):
        return Complaint(codes.HEADER, f"{clipped(text)} holds a character that no header may hold")
    return None


def check_principal(value: object) -> Complaint | None:
    """A name that a certificate shows: `ingress.nginx.cluster.local`, a URI, or `*` for any."""
    text = str(value)
    if not text or len(text) > 2048 or not re.fullmatch(r"[!-~]+", text):
        return Complaint(
            codes.NAME,
            f"{clipped(text)} is no name that a certificate shows",
            "For instance `ingress-nginx.ingress.cluster.local`, or `*` for any certificate.",
        )
    if "*" in text and text != "*":
        return Complaint(
            codes.NAME,
            f"{clipped(text)}: `*` may stand alone only",
            "Names are compared as a whole; list each of them.",
        )
    return None


def check_interface(value: object) -> Complaint | None:
    """The name of a network interface, as Linux takes it: at most 15 characters, none special."""
    if _INTERFACE.fullmatch(str(value)):
        return None
    return Complaint(codes.NAME, f"{clipped(value)} is no name of a network interface")


def check_image(value: object) -> Complaint | None:
    """The reference of a container image, or nothing."""
    text = str(value)
    if not text or (len(text) <= LONGEST_TEXT and _IMAGE.fullmatch(text)):
        return None
    return Complaint(
        codes.NAME,
        f"{clipped(text)} is no container image",
        "For instance `envoyproxy/envoy:v1.40`.",
    )


def check_statistic(value: object) -> Complaint | None:
    """A part of the name of an Envoy statistic."""
    text = str(value)
    if len(text) <= LONGEST_TEXT and _STATISTIC.fullmatch(text):
        return None
    return Complaint(codes.NAME, f"{clipped(text)}: use letters, digits, dots, dashes, underscores")


def check_url_path(value: object) -> Complaint | None:
    """The path of a URL."""
    text = str(value)
    if len(text) <= LONGEST_TEXT and _URL_PATH.fullmatch(text):
        return None
    return Complaint(codes.ADDRESS, f"{clipped(text)} is no path", "A path begins with a slash.")


Count = Annotated[int, checked(Between(0, GREATEST_COUNT))]
ErrorStatus = Annotated[int, checked(Between(400, 599))]
FilledRegex = Annotated[str, checked(check_filled_regex)]
HeaderName = Annotated[str, checked(check_header)]
HeaderText = Annotated[str, checked(check_header_value)]
Image = Annotated[str, checked(check_image)]
Interface = Annotated[str, checked(check_interface)]
OptionalDuration = Annotated[str, checked(check_optional_duration)]
PositiveCount = Annotated[int, checked(Between(1, GREATEST_COUNT))]
PositiveDuration = Annotated[str, checked(check_positive_duration)]
ResponseHeader = Annotated[str, checked(check_response_header)]
Statistic = Annotated[str, checked(check_statistic)]
ShortText = Annotated[str, checked(Text())]
UrlPath = Annotated[str, checked(check_url_path)]
