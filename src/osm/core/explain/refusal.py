"""What the mesh refused, read from what it said: the body of an answer, a line of a log, a header."""

import re
from collections.abc import Mapping

import msgspec

from osm.core.explain.view import DenialView
from osm.core.model.identity import Identity


class Refusal(msgspec.Struct, frozen=True):
    """A request that was refused, or without a method a TCP connection."""

    source: str
    """SPIFFE ID, `<namespace>/<service account>`, or the address of a caller outside of the mesh."""
    destination: str
    """`<namespace>/` and the name of a workload or its service account. Empty: only `authority`."""
    port: int = 0
    """The target port; 0 where it was not told."""
    method: str = ""
    path: str = ""
    authority: str = ""
    reason: str = ""
    time: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """No log has them. Whoever knows them can add them."""


class Unreadable(msgspec.Struct, frozen=True):
    """A text that does not say which request was refused: why, and what to do."""

    text: str
    hint: str


_FORMS = (
    "the body of the 403, a line of `osm logs WORKLOAD --proxy`, or a JSON entry of an access log"
)
_CALLER = r"(?P<source>\S*)(?: \[[^\]]*\])?"
"""From outside of the mesh: the address, and what the certificate says in brackets."""
_BODY = re.compile(
    rf"access denied by the mesh: {_CALLER} may not (?P<method>\S+) (?P<path>\S+) of "
    r"(?P<destination>[^\s()]+)(?: \((?P<reason>[^()]*)\))?"
)
_LINE = re.compile(
    rf"(?:\[(?P<time>[^\]\s]+)\] )?denied source={_CALLER} destination=(?P<destination>\S+) "
    r"port=(?P<port>\d+) method=(?P<method>\S+) path=(?P<path>\S+)(?: reason=(?P<reason>.*))?"
)
_POLICY = re.compile(r"rbac_access_denied_matched_policy\[(.*)\]")
_HEADER = re.compile(r"(?im)^\W*(x-osm-(?:denied|reason|limited))\s*[:=]\s*(.+)$")
_UNKNOWN_HOST = re.compile(
    r"osm: (?:the mesh knows no HTTP service by the name and port|no route) of (\S+)"
)
_NO_ANSWER = "its external authorizer did not answer"
_KEYS: Mapping[str, tuple[str, ...]] = {
    "source": ("source", "downstream_peer_uri_san", "peer_uri_san"),
    "destination": ("destination", "downstream_local_uri_san"),
    "port": ("port",),
    "method": ("method",),
    "path": ("path", "original_path"),
    "authority": ("authority", "host", "requested_server_name"),
    "status": ("response_code",),
    "reason": ("reason", "response_code_details"),
    "time": ("time", "start_time"),
}
"""Fields of JSON entries: ours (`osm status -o json`), and how access logs usually name them."""


def refusal_of(denial: DenialView) -> Refusal:
    """A refusal that the mesh has kept."""
    return Refusal(
        source=denial.source,
        destination=denial.destination,
        port=denial.port,
        method=denial.method,
        path=denial.path,
        reason=denial.reason,
        time=denial.time,
    )


def read_refusal(text: str, caller: str = "") -> Refusal | Unreadable:
    """The request that a text says was refused. `caller` is who sent it, for texts that do not say."""
    for form in (_BODY, _LINE):
        found = form.search(text)
        if found is not None:
            return _checked(found.groupdict(default=""), caller)
    if (fields := _json(text)) is not None:
        return _checked(fields, caller)
    return _unreadable(text)


def _checked(fields: Mapping[str, str], caller: str) -> Refusal | Unreadable:
    known = {name: "" if value == "-" else value for name, value in fields.items()}
    if known.get("status", "") not in ("", "0", "403"):
        return Unreadable(
            f"It was answered with {known['status']}: nobody refused it.", f"Give {_FORMS}."
        )
    reason = _POLICY.search(known.get("reason", ""))
    refusal = Refusal(
        source=known.get("source", "") or caller,
        destination=_without_scheme(known.get("destination", "")),
        port=_number(known.get("port", "")),
        method=known.get("method", ""),
        path=known.get("path", "").partition("?")[0],
        authority=known.get("authority", ""),
        reason=reason[1] if reason else known.get("reason", ""),
        time=known.get("time", ""),
    )
    if not refusal.source or refusal.source == "unknown":
        hint = "Say so: `osm explain SOURCE --denied …`, where SOURCE is a workload, or an address."
        return Unreadable("It does not say who called.", hint)
    if not refusal.destination and not refusal.authority:
        return Unreadable("It does not say whom the request was for.", f"Give {_FORMS}.")
    return refusal


def _number(text: str) -> int:
    """A port; 0 for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0


def _without_scheme(destination: str) -> str:
    who = Identity.from_spiffe_id(destination)
    return who.short if who else destination


def _json(text: str) -> dict[str, str] | None:
    """The known fields of a JSON object somewhere in the text."""
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        return None
    try:
        found = msgspec.json.decode(text[start : end + 1], type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return None
    return {
        field: next((str(found[name]) for name in names if found.get(name) is not None), "")
        for field, names in _KEYS.items()
    }


def _unreadable(text: str) -> Unreadable:
    if (unknown := _UNKNOWN_HOST.search(text)) is not None:
        return Unreadable(
            f"The caller's own proxy answered that: it knows no way to {unknown[1]}.",
            f"Ask `osm explain SOURCE {unknown[1]} METHOD PATH`.",
        )
    if (header := _HEADER.search(text)) is not None:
        name, value = header[1].lower(), header[2].strip()
        if name == "x-osm-limited":
            hint = "Nobody refused it: it was one too many. `osm explain` names the limits of a request."
            return Unreadable(f"The limit of {value} was used up.", hint)
        return Unreadable(
            f"The header {name} gives the reason ({value}), and not the request.",
            f"Give {_FORMS}.",
        )
    if _NO_ANSWER in text:
        hint = (
            "A line of the proxy's log says which request it was; `osm explain` names the server."
        )
        return Unreadable("The external authorizer did not answer.", hint)
    return Unreadable("It is no refusal of the mesh.", f"Give {_FORMS}.")
