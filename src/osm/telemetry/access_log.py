"""Turns the proxies' logs of refused requests into denials that people can read.

Proxies send one entry for each request or connection that their access rules refused, over Envoy's
gRPC access log service; whoever serves that calls `DenialLog.handle`. Everything in an entry but
the proxy that sent it was chosen by the client that was refused: it is cut, escaped, and bounded.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from google.protobuf.message import DecodeError

from osm._envoy.envoy.config.core.v3.base_pb2 import RequestMethod
from osm._envoy.envoy.data.accesslog.v3.accesslog_pb2 import AccessLogCommon, HTTPAccessLogEntry
from osm._envoy.envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from osm.core.envoy.access import NO_RULE_FOR_SOURCE
from osm.core.envoy.filters.denials import FORMER_TAG
from osm.core.explain.view import DenialView
from osm.core.model.identity import Identity, ProxyIdentity
from osm.ports import Clock
from osm.telemetry.text import displayable

CAPACITY = 500
PAIR_CAPACITY = 2000
RATE_SPAN_S = 60
PORT_TAG = "osm.port"
"""A custom tag of the access logger with the target port, for listeners on unix sockets."""

# To the last bracket, since the names of policies contain some themselves.
_DENIED = re.compile(r"rbac_access_denied_matched_policy\[(.*)\]", re.DOTALL)
_NO_POLICY = ("", "none")
_AUTHORIZER = {
    "ext_authz_denied": "external-authorizer-refused",
    "ext_authz_error": "external-authorizer-did-not-answer",
}
UNKNOWN_CALLER = "SAN matcher"
"""What Envoy says of a handshake whose caller no access rule of the TCP port names."""
NO_RULE = "no access rule allows it"
NO_CERTIFICATE = "unknown"


class Denial(msgspec.Struct, frozen=True, gc=False):
    """One kind of refused request: equal ones are counted together."""

    source: str
    destination: str
    port: int
    method: str
    """Empty for a TCP connection."""
    path: str
    reason: str


class DenialRate(msgspec.Struct, frozen=True, gc=False):
    """What was refused between a source and a destination. `reason` is the newest one."""

    per_second: float
    total: int
    reason: str


class _Pair:
    """Refusals between one source and one destination, by second."""

    __slots__ = ("reason", "seconds", "total")

    def __init__(self) -> None:
        self.total = 0
        self.reason = ""
        self.seconds: deque[list[int]] = deque(maxlen=RATE_SPAN_S)

    def count(self, second: int, reason: str) -> None:
        self.total += 1
        self.reason = reason
        if self.seconds and self.seconds[-1][0] == second:
            self.seconds[-1][1] += 1
        else:
            self.seconds.append([second, 1])

    def per_second(self, now_s: float, window_s: float) -> float:
        recent = sum(n for second, n in self.seconds if now_s - window_s < second + 1 <= now_s + 1)
        return recent / window_s


class DenialLog:
    """The last denials of the mesh, newest first, and how often they happen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._denials: OrderedDict[Denial, tuple[datetime, int]] = OrderedDict()
        self._pairs: OrderedDict[tuple[str, str], _Pair] = OrderedDict()
        self.malformed = 0
        """Messages that could not be read."""

    def handle(self, message: bytes | StreamAccessLogsMessage, peer: ProxyIdentity) -> None:
        """Take one message of the proxy whose certificate names `peer`."""
        if isinstance(message, bytes):
            try:
                message = StreamAccessLogsMessage.FromString(message)
            except DecodeError:
                self.malformed += 1
                return
        for denial in read_denials(message, peer):
            self._count(denial)

    def views(self) -> tuple[DenialView, ...]:
        """What people see: newest first, at most 500."""
        return tuple(
            DenialView(
                time=at.isoformat(timespec="milliseconds"),
                source=denial.source,
                destination=denial.destination,
                port=denial.port,
                method=denial.method,
                path=denial.path,
                reason=denial.reason,
                count=count,
            )
            for denial, (at, count) in reversed(self._denials.items())
        )

    def rates(self, window_s: float = 5.0) -> Mapping[tuple[str, str], DenialRate]:
        """By source and destination, as `DenialView` names them. `window_s` is at most 60."""
        now_s = self._clock.now().timestamp()
        return {
            names: DenialRate(pair.per_second(now_s, window_s), pair.total, pair.reason)
            for names, pair in self._pairs.items()
        }

    def _count(self, denial: Denial) -> None:
        now = self._clock.now()
        _, count = self._denials.pop(denial, (now, 0))
        self._denials[denial] = (now, count + 1)
        if len(self._denials) > CAPACITY:
            self._denials.popitem(last=False)
        names = (denial.source, denial.destination)
        pair = self._pairs.pop(names, None) or _Pair()
        self._pairs[names] = pair
        pair.count(int(now.timestamp()), denial.reason)
        if len(self._pairs) > PAIR_CAPACITY:
            self._pairs.popitem(last=False)


def read_denials(message: StreamAccessLogsMessage, peer: ProxyIdentity) -> Iterator[Denial]:
    """Yield the denials in a message. Entries of requests that were not refused are passed over."""
    for request in message.http_logs.log_entry:
        reason = _reason(request.response.response_code_details)
        if reason is not None:
            yield _denial(request.common_properties, peer, reason, _method(request), _path(request))
    for connection in message.tcp_logs.log_entry:
        common = connection.common_properties
        reason = _reason(common.connection_termination_details)
        if reason is None and UNKNOWN_CALLER in common.downstream_transport_failure_reason:
            reason = NO_RULE_FOR_SOURCE
        if reason is not None:
            yield _denial(common, peer, reason, "", "")


def _denial(
    common: AccessLogCommon, peer: ProxyIdentity, reason: str, method: str, path: str
) -> Denial:
    return Denial(
        source=_source(common, peer.identity.trust_domain),
        destination=displayable(peer.name),
        port=_port(common),
        method=method,
        path=path,
        reason=reason,
    )


def _reason(details: str) -> str | None:
    """The policy that refused, or None when it was not an access rule that did."""
    match = _DENIED.search(details)
    if match is None:
        return _AUTHORIZER.get(details)
    return NO_RULE if match[1] in _NO_POLICY else displayable(match[1])


def _source(common: AccessLogCommon, trust_domain: str) -> str:
    names = common.tls_properties.peer_certificate_properties.subject_alt_name
    claimed = next((name.uri for name in names if name.uri), "")
    who = Identity.from_spiffe_id(claimed)
    if not claimed:
        who = Identity.from_dns_name(common.custom_tags.get(FORMER_TAG, ""), trust_domain)
    # Without a certificate it came from outside of the mesh: its address says who called.
    address = common.downstream_remote_address.socket_address.address
    return displayable((who.short if who else claimed) or address) or NO_CERTIFICATE


def _port(common: AccessLogCommon) -> int:
    tag = common.custom_tags.get(PORT_TAG, "")
    if tag.isascii() and tag.isdigit() and len(tag) <= 5:
        return int(tag)
    return common.downstream_local_address.socket_address.port_value


def _method(entry: HTTPAccessLogEntry) -> str:
    number = entry.request.request_method
    if number == RequestMethod.METHOD_UNSPECIFIED or number not in RequestMethod.values():
        return "OTHER"
    return RequestMethod.Name(number)


def _path(entry: HTTPAccessLogEntry) -> str:
    """Without the query: it may hold what is secret, and makes every request look different."""
    path = entry.request.path  # `original_path` is a header that callers may send
    return displayable(path.partition("?")[0].partition("#")[0]) or "/"
