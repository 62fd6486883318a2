"""Hosts and ranges of addresses, as checked types."""

import ipaddress
import re
from typing import Annotated

from osm.core.api import codes
from osm.core.api.limits import clipped
from osm.core.api.problem import Complaint
from osm.core.api.scalars import check_cidr, checked
from osm.core.model.origin import Severity

_PART = r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_PART}(\.{_PART})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOOPBACK = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv4Network("0.0.0.0/32"))


def check_ipv4_range(value: object) -> Complaint | None:
    """As `check_cidr`, and IPv4: there is no IPv6 in the mesh."""
    text = str(value)
    if len(text) > 64:
        return Complaint(codes.CIDR, f"{clipped(text)} is no address range")
    complaint = check_cidr(text)
    if (complaint is None or complaint.severity is not Severity.ERROR) and ":" in text:
        return Complaint(
            codes.CIDR, f"{text!r} is a range of IPv6 addresses", "The mesh carries IPv4."
        )
    return complaint


def is_loopback(text: str) -> bool:
    """Whether a host or an address range is the caller's own machine, and nothing else."""
    try:
        network = ipaddress.ip_network(text.rstrip("."), strict=False)
    except ValueError:
        return text.lower().rstrip(".").rpartition(".")[2] == "localhost"
    return isinstance(network, ipaddress.IPv4Network) and any(
        network.subnet_of(one) for one in _LOOPBACK
    )


def is_everything(text: str) -> bool:
    """Whether a range holds every address, however it is written: `10.1.2.3/0` does."""
    return ipaddress.ip_network(text, strict=False).prefixlen == 0


def check_destination_range(value: object) -> Complaint | None:
    """An IPv4 range beyond the mesh. The caller's own machine is not beyond anything."""
    complaint = check_ipv4_range(value)
    if (complaint is None or complaint.severity is not Severity.ERROR) and is_loopback(str(value)):
        return _loopback(value)
    return complaint


def _loopback(value: object) -> Complaint:
    return Complaint(
        codes.LOOPBACK,
        f"{clipped(value)} is the caller's own machine",
        "Connections to 127.0.0.0/8 never leave the pod, and need no policy.",
    )


def check_host(value: object) -> Complaint | None:
    """A host name or an IPv4 address, in any case, with a final dot or without."""
    text = str(value)
    bare = text.removesuffix(".")
    if len(bare) <= 253 and _HOST.fullmatch(bare.lower()) and not _half_address(bare):
        return None
    hint = "Write a name such as httpbin.org."
    if "://" in text:
        hint = "Write the host alone, without scheme and path."
    elif re.fullmatch(r"[^:]{1,253}:\d{1,5}", text):
        hint = "Ports have a field of their own."
    elif text.startswith("*"):
        hint = "A wildcard cannot stand here."
    return Complaint(codes.HOST, f"{clipped(text)} is no host name", hint)


def _half_address(text: str) -> bool:
    """A number at the end makes an address of it (RFC 1123 §2.1), and this one is wrong.

    A hexadecimal one does so for some programs: `0x7f000001` is their 127.0.0.1.
    """
    if not _NUMBER.fullmatch(text.lower().rpartition(".")[2]):
        return False
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return True
    return False


def check_optional_host(value: object) -> Complaint | None:
    """As `check_host`, or nothing."""
    return check_host(value) if value else None


def check_qualified_host(value: object) -> Complaint | None:
    """A host name of at least two parts: which namespace a service is in must be said."""
    complaint = check_host(value)
    if complaint is None and "." not in str(value).rstrip("."):
        return Complaint(
            codes.HOST,
            f"{clipped(value)} does not say which namespace it is in",
            f"For instance {str(value)[:63] + '.default.svc.cluster.local'!r}.",
        )
    return complaint


def check_server_name(value: object) -> Complaint | None:
    """A name that TLS clients ask for; `*.example.com` is every name below example.com."""
    text = str(value)
    complaint = check_host(text.removeprefix("*."))
    if complaint is not None and text == "*":
        return Complaint(
            codes.HOST, "'*' is no host name", "Leave the list out: any name is meant."
        )
    return complaint


def check_destination(value: object) -> Complaint | None:
    """As `check_server_name`; the caller's own machine is refused."""
    complaint = check_server_name(value)
    return _loopback(value) if complaint is None and is_loopback(str(value)) else complaint


DestinationRange = Annotated[str, checked(check_destination_range)]
Host = Annotated[str, checked(check_host)]
Ipv4Range = Annotated[str, checked(check_ipv4_range)]
OptionalHost = Annotated[str, checked(check_optional_host)]
QualifiedHost = Annotated[str, checked(check_qualified_host)]
ServerName = Annotated[str, checked(check_server_name)]
ServerDestination = Annotated[str, checked(check_destination)]
