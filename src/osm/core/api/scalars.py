"""Checked scalar types. Each is a plain `str` or `int` with the check that belongs to it."""

import difflib
import ipaddress
import re
from typing import Annotated

import msgspec

from osm.core.api import codes
from osm.core.api.duration import parse_duration
from osm.core.api.problem import Check, Complaint, enumerate_choices
from osm.core.api.regex import check_regex
from osm.core.model.origin import Severity

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def checked(check: Check) -> msgspec.Meta:
    """Metadata that makes `shape.problems` call a check."""
    return msgspec.Meta(extra={"check": check})


class OneOf(msgspec.Struct, frozen=True):
    """A check that takes these texts only."""

    choices: tuple[str, ...]
    ignore_case: bool = False

    def __call__(self, value: object) -> Complaint | None:
        text = str(value)
        if text in self.choices or (self.ignore_case and text.lower() in self.choices):
            return None
        shown = enumerate_choices(choice for choice in self.choices if choice)
        lower = {choice.lower(): choice for choice in self.choices}
        nearest = difflib.get_close_matches(text[:80].lower(), lower, 1, 0.6)
        hint = f"Did you mean {lower[nearest[0]]}?" if nearest and lower[nearest[0]] else ""
        return Complaint(codes.NOT_ALLOWED, f"{text[:80]!r} is not one of {shown}", hint)


class NotBelow(msgspec.Struct, frozen=True):
    """A check that refuses smaller numbers."""

    minimum: int
    code: str = codes.OUT_OF_RANGE

    def __call__(self, value: object) -> Complaint | None:
        if isinstance(value, int) and value < self.minimum:
            return Complaint(self.code, f"must be {self.minimum} or more, not {value}")
        return None


def one_of(*choices: str, ignore_case: bool = False) -> OneOf:
    """A check that takes these texts only. Empty choices may be given to allow an empty text."""
    return OneOf(choices, ignore_case)


def check_label(value: object) -> Complaint | None:
    """RFC 1123 label: names of namespaces, of containers, and host names."""
    if _LABEL.fullmatch(str(value)):
        return None
    return Complaint(
        codes.NAME,
        f"{str(value)!r} is no name: at most 63 lower-case letters, digits and dashes, "
        "with a letter or digit at both ends",
        _suggest(str(value), 63, "-"),
    )


def check_service_name(value: object) -> Complaint | None:
    """RFC 1035 label, as names of Services: as `check_label`, and the first is a letter."""
    complaint = check_label(value)
    if complaint is None and not str(value)[0].isalpha():
        return Complaint(codes.NAME, f"{str(value)!r}: a Service's name begins with a letter")
    return complaint


def check_subdomain(value: object) -> Complaint | None:
    """RFC 1123 subdomain: names of most objects."""
    if len(str(value)) <= 253 and _SUBDOMAIN.fullmatch(str(value)):
        return None
    return Complaint(
        codes.NAME,
        f"{str(value)!r} is no name: at most 253 lower-case letters, digits, dashes and dots, "
        "with a letter or digit at both ends",
        _suggest(str(value), 253, "-."),
    )


def _suggest(value: str, longest: int, allowed: str) -> str:
    better = "".join(
        c if c.isascii() and (c.isalnum() or c in allowed) else "-" for c in value.lower()
    )
    better = better[:longest].strip("-.")
    return f"For instance {better!r}." if _SUBDOMAIN.fullmatch(better) else ""


def check_port(value: object) -> Complaint | None:
    """A TCP port number."""
    if isinstance(value, int) and not 1 <= value <= 65535:
        return Complaint(codes.PORT, f"{value} is no port: ports are 1 to 65535")
    return None


def check_port_or_name(value: object) -> Complaint | None:
    """A port by number, or by the name that a container gives it."""
    if isinstance(value, str):
        if value.isdecimal():
            return Complaint(codes.PORT, f"{value!r} is text, so it is read as a port's name",
                             f"For port number {value}, leave the quotes out.")  # fmt: skip
        if not _PORT_NAME.fullmatch(value):
            return Complaint(
                codes.PORT,
                f"{value!r} is no name of a port: at most 15 lower-case letters, digits and dashes",
            )
        return None
    return check_port(value)


def check_optional_port_name(value: object) -> Complaint | None:
    """The name of a port, or none."""
    if not value or _PORT_NAME.fullmatch(str(value)) or _LABEL.fullmatch(str(value)):
        return None
    return Complaint(
        codes.PORT, f"{str(value)!r} is no name of a port: lower-case letters, digits and dashes"
    )


def check_cidr(value: object) -> Complaint | None:
    """An address range such as 10.0.0.0/8. One whose address has host bits is only warned about."""
    text = str(value)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return Complaint(codes.CIDR, f"{text!r} is no address range", "Write it as 10.0.0.0/8.")
    if "/" not in text:
        return Complaint(codes.CIDR, f"{text!r} has no prefix length", f"Write {str(network)!r}.")
    if ipaddress.ip_interface(text).ip != network.network_address:
        return Complaint(
            codes.CIDR,
            f"{text!r} means {str(network)!r}",
            f"Write {str(network)!r}.",
            Severity.WARNING,
        )
    return None


def check_duration(value: object) -> Complaint | None:
    """A duration in Go's syntax that is not negative."""
    try:
        nanoseconds = parse_duration(str(value))
    except ValueError:
        return Complaint(
            codes.DURATION,
            f"{str(value)!r} is no duration",
            "Write numbers with units: 500ms, 90s, 30m, 1h30m. There is no unit for days: 24h.",
        )
    return Complaint(codes.DURATION, f"{value!r} is negative") if nanoseconds < 0 else None


def check_cluster_ip(value: object) -> Complaint | None:
    """An IP address, `None` for a headless service, or nothing."""
    if value in ("", "None"):
        return None
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return Complaint(
            codes.ADDRESS, f"{str(value)!r} is no IP address", 'Headless services have "None".'
        )
    return None


def check_labels(value: object) -> Complaint | None:
    """Kubernetes' syntax of label names and values."""
    if not isinstance(value, dict):
        return None
    for name, text in value.items():
        complaint = _label_name(name)
        if not complaint and not _LABEL_VALUE.fullmatch(str(text)):
            complaint = (
                f"the value {str(text)!r} is no label: at most 63 letters, digits, dashes, dots "
                "and underscores, with a letter or digit at both ends"
            )
        if complaint:
            return Complaint(
                codes.LABEL, complaint, "Free text belongs into annotations.", within=(name,)
            )
    return None


def check_annotations(value: object) -> Complaint | None:
    """Kubernetes' syntax of annotation names; their values are free."""
    for name in value if isinstance(value, dict) else ():
        if complaint := _label_name(str(name).lower()):
            return Complaint(codes.LABEL, complaint, within=(name,))
    return None


def _label_name(name: str) -> str:
    prefix, slash, rest = name.rpartition("/")
    if (not slash or _SUBDOMAIN.fullmatch(prefix)) and _LABEL_NAME.fullmatch(rest):
        return ""
    return f"the name {name!r} is not of the form [example.com/]name"


def check_header_name(name: str) -> str:
    """What is wrong with the name of an HTTP header (RFC 9110 §5.1), or nothing."""
    if _TOKEN.fullmatch(name):
        return ""
    return f"{name!r} is no name of an HTTP header"


METHODS = ("*", "GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
TLS_VERSIONS = ("TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3")

DnsLabel = Annotated[str, checked(check_label)]
DnsSubdomain = Annotated[str, checked(check_subdomain)]
GoDuration = Annotated[str, checked(check_duration)]
Method = Annotated[str, checked(one_of(*METHODS))]
NaturalNumber = Annotated[int, checked(NotBelow(0))]
PortName = Annotated[str, checked(check_optional_port_name)]
PortNumber = Annotated[int, checked(check_port)]
PortOrName = Annotated[int | str, checked(check_port_or_name)]
PositiveNumber = Annotated[int, checked(NotBelow(1))]
Regex = Annotated[str, checked(check_regex)]
TlsVersion = Annotated[str, checked(one_of(*TLS_VERSIONS))]
OptionalTlsVersion = Annotated[str, checked(one_of("", *TLS_VERSIONS))]
TransportProtocol = Annotated[str, checked(one_of("TCP", "UDP", "SCTP"))]
