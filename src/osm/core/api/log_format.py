"""Formats of access logs, checked as Envoy 1.40 reads them: it refuses a listener with a wrong one.

An operator is `%NAME%`, `%NAME(parameter)%` or `%NAME(parameter):length%`, and `%%` is a percent
sign. What runs programs of its own (CEL), reads files or tells the proxy's environment is refused.
"""

import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

from osm.core.api import codes
from osm.core.api.limits import clipped
from osm.core.api.problem import Complaint
from osm.core.api.scalars import check_header_name, checked

LONGEST = 16384
DEEPEST = 10
"""Envoy reads messages at most 100 deep, and a JSON object in an object takes three of them."""
_OPERATOR = re.compile(r"%(?:%|([A-Z0-9_]+)(?:\(([^)\n\r\0]*)\))?(?::([0-9]{1,5}))?%)")
_SIDES = {
    "UPSTREAM": (
        "HOST HOST_NAME HOST_NAME_WITHOUT_PORT CONNECTION_ID CLUSTER CLUSTER_RAW LOCAL_ADDRESS "
        "LOCAL_ADDRESS_WITHOUT_PORT LOCAL_PORT REMOTE_ADDRESS REMOTE_ADDRESS_WITHOUT_PORT "
        "REMOTE_PORT REQUEST_ATTEMPT_COUNT TLS_CIPHER TLS_VERSION TLS_SESSION_ID PEER_ISSUER "
        "PEER_CERT PEER_SUBJECT PEER_URI_SAN PEER_DNS_SAN PEER_IP_SAN LOCAL_URI_SAN LOCAL_DNS_SAN "
        "LOCAL_IP_SAN TRANSPORT_FAILURE_REASON DETECTED_CLOSE_TYPE PROTOCOL WIRE_BYTES_SENT "
        "WIRE_BYTES_RECEIVED HEADER_BYTES_SENT HEADER_BYTES_RECEIVED "
        "CONNECTION_POOL_READY_DURATION"
    ),
    "DOWNSTREAM": (
        "LOCAL_ADDRESS LOCAL_ADDRESS_WITHOUT_PORT LOCAL_PORT DIRECT_LOCAL_ADDRESS "
        "DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DIRECT_LOCAL_PORT REMOTE_ADDRESS "
        "REMOTE_ADDRESS_WITHOUT_PORT REMOTE_PORT DIRECT_REMOTE_ADDRESS "
        "DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DIRECT_REMOTE_PORT PEER_URI_SAN PEER_DNS_SAN "
        "PEER_IP_SAN LOCAL_URI_SAN LOCAL_DNS_SAN LOCAL_IP_SAN PEER_SUBJECT LOCAL_SUBJECT "
        "TLS_SESSION_ID TLS_CIPHER TLS_VERSION PEER_FINGERPRINT_256 PEER_FINGERPRINT_1 PEER_SERIAL "
        "PEER_ISSUER PEER_CERT TRANSPORT_FAILURE_REASON DETECTED_CLOSE_TYPE WIRE_BYTES_SENT "
        "WIRE_BYTES_RECEIVED HEADER_BYTES_SENT HEADER_BYTES_RECEIVED HANDSHAKE_DURATION"
    ),
    "": (
        "PROTOCOL RESPONSE_CODE RESPONSE_CODE_DETAILS CONNECTION_TERMINATION_DETAILS "
        "BYTES_RECEIVED BYTES_SENT DURATION REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_DURATION "
        "RESPONSE_TX_DURATION ROUNDTRIP_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG "
        "REQUESTED_SERVER_NAME ROUTE_NAME VIRTUAL_CLUSTER_NAME CONNECTION_ID STREAM_ID UNIQUE_ID "
        "HOSTNAME TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT GRPC_STATUS_NUMBER LOCAL_REPLY_BODY "
        "ACCESS_LOG_TYPE REQUEST_HEADERS_BYTES RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES "
        "TRACE_ID SPAN_ID GRPC_STATUS"
    ),
}
PLAIN = frozenset(
    f"{side}_{name}" if side else name for side, names in _SIDES.items() for name in names.split()
)
"""Operators without a parameter."""
HEADERS = frozenset(
    (
        "REQ",
        "RESP",
        "TRAILER",
        "REQ_WITHOUT_QUERY",
        "REQUEST_HEADER",
        "RESPONSE_HEADER",
        "RESPONSE_TRAILER",
    )
)
"""Operators whose parameter is a header, or `header?other`."""
TIMES = frozenset(
    (
        "START_TIME",
        "START_TIME_LOCAL",
        "EMIT_TIME",
        "EMIT_TIME_LOCAL",
        "DOWNSTREAM_PEER_CERT_V_START",
        "DOWNSTREAM_PEER_CERT_V_END",
        "UPSTREAM_PEER_CERT_V_START",
        "UPSTREAM_PEER_CERT_V_END",
    )
)
"""Operators whose parameter, if there is one, says how to write a time."""
NAMED = frozenset(
    (
        "DYNAMIC_METADATA",
        "CLUSTER_METADATA",
        "UPSTREAM_METADATA",
        "FILTER_STATE",
        "UPSTREAM_FILTER_STATE",
    )
)
"""Operators whose parameter names a value that a filter keeps."""
_NAMED_VALUE = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*")
_STATE = re.compile(r"[A-Za-z0-9_.-]+(:(PLAIN|TYPED|FIELD:[A-Za-z0-9_.-]+))?")
_TIME = re.compile(r"[ -~]{0,100}")


def check_log_format(value: object) -> Complaint | None:
    """Complain about what Envoy would refuse. An empty format is the default one."""
    text = str(value)
    if len(text) > LONGEST:
        return Complaint(
            codes.TOO_LONG, f"is {len(text)} characters long; at most {LONGEST} are allowed"
        )
    if not text.lstrip().startswith("{"):
        return _complaint_about_text(text)
    try:
        members = msgspec.json.decode(text.encode(), type=dict[str, object])
        texts = tuple(_texts(members))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return Complaint(
            codes.LOG_FORMAT,
            f"begins with a brace, and is no JSON object: {clipped(error)}",
            "A format that is plain text cannot begin with a brace.",
        )
    if _depth(members) > DEEPEST:
        return Complaint(codes.LOG_FORMAT, f"is nested more than {DEEPEST} deep")
    return next((found for each in texts if (found := _complaint_about_text(each))), None)


def needs_req_without_query(text: str) -> bool:
    """Whether Envoy needs the formatter extension `req_without_query` for this format."""
    return any(part.group(1) == "REQ_WITHOUT_QUERY" for part in _OPERATOR.finditer(text))


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    members = list(value.values()) if isinstance(value, dict) else value
    return [t for each in members for t in _texts(each)] if isinstance(members, list) else []


def _depth(value: object) -> int:
    members = value.values() if isinstance(value, dict) else value
    if not isinstance(members, Iterable) or isinstance(members, str):
        return 0
    return 1 + max((_depth(each) for each in members), default=0)


def _complaint_about_text(text: str) -> Complaint | None:
    position = 0
    while (percent := text.find("%", position)) >= 0:
        operator = _OPERATOR.match(text, percent)
        if operator is None:
            return Complaint(
                codes.LOG_FORMAT,
                f"the percent sign before {clipped(text[percent + 1 :], 20)} begins no operator",
                "Operators are written as %PROTOCOL% or %REQ(user-agent)%; a percent sign is %%.",
            )
        name, parameter, length = operator.groups()
        if name and (wrong := _wrong_operator(name, parameter or "", length)):
            return Complaint(codes.LOG_FORMAT, f"{clipped(operator.group())}: {wrong}")
        position = operator.end()
    return None


def _wrong_operator(name: str, parameter: str, length: str | None) -> str:
    if name in PLAIN:
        if name == "GRPC_STATUS" and parameter in ("", "CAMEL_STRING", "SNAKE_STRING", "NUMBER"):
            parameter = ""
        return f"{name} takes neither a parameter nor a length" if parameter or length else ""
    if name in HEADERS:
        names = parameter.split("?")
        if len(names) > 2:
            return "at most one other header may be named, after `?`"
        return next((w for n in names if (w := check_header_name(n.removeprefix(":")))), "")
    if name in TIMES:
        return "" if _TIME.fullmatch(parameter) else "this is no format of a time"
    if name in NAMED:
        form = _STATE if "FILTER_STATE" in name else _NAMED_VALUE
        return "" if form.fullmatch(parameter) else "names nothing that a filter keeps"
    return "there is no such operator, or it may not be used here"


LogFormat = Annotated[str, checked(check_log_format)]
