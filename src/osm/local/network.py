"""A pod's network, by netlink: loopback up, virtual addresses local, all TCP through the proxy.

The messages are written by hand: there are few of them, and a netlink library costs each pod
140 ms of CPU and 25 MB at its start (measured with pyroute2 0.9.7). Standard library only: this
runs in pods. Layouts and numbers: rtnetlink(7), linux/rtnetlink.h, linux/netfilter/nf_tables.h.
"""

import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_REQUEST, _ACK, _CREATE, _EXCLUSIVE, _APPEND = 0x1, 0x4, 0x400, 0x200, 0x800
_NESTED = 0x8000
_MESSAGE_ERROR = 2

_NEW_LINK, _NEW_ROUTE, _NEW_POLICY = 16, 24, 32
_IFF_UP = 1
_TABLE_LOCAL, _PROTOCOL_STATIC, _SCOPE_HOST, _TYPE_LOCAL = 255, 4, 254, 2
_ROUTE_DESTINATION, _ROUTE_DEVICE, _ROUTE_SOURCE = 1, 4, 7
_POLICY_PROTOCOL, _POLICY_LOOK_UP = 22, 1
_TABLE_BEYOND = 100

_NETLINK_NETFILTER = 12
_NFTABLES = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 3, 6
_HOOK_OUTPUT, _PRIORITY_DSTNAT = 3, -100
_REGISTER = 1
_META_L4PROTO = 16
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_EQUAL, _NOT_EQUAL = 0, 1
_VERDICT, _ACCEPT = 0, 1
_SOURCE_OFFSET, _DESTINATION_OFFSET = 12, 16
_TABLE = "osm"
_CHAIN = "output"
_RULES_AT_ONCE = 200
"""What surely fits into a socket's buffer."""

PROXY_SOURCE = "127.0.0.6"
"""Where the proxy's calls of its own application come from, when they go to the pod's address."""
Around = Mapping[str, Sequence[Any]]
"""What goes around the proxy: `ports`, `ranges`, and all but `included` ones if there are any."""
NOTHING_AROUND: Around = {"ports": (), "ranges": (), "included": ()}


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("=HH", len(value) + 4, kind) + value + padding


def _nested(kind: int, *attributes: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(attributes))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack(">i", value))


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", len(body) + 16, kind, _REQUEST | flags, sequence, 0) + body


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, *attributes))


def _compare(operation: int, value: bytes) -> bytes:
    data = _nested(3, _attribute(1, value))
    return _expression("cmp", _number(1, _REGISTER), _number(2, operation), data)


def redirect_batches(
    port: int, around_port: int, around: Around, own: str = ""
) -> Iterator[tuple[bytes, int]]:
    """The nftables transactions that hand TCP which does not go to 127.0.0.0/8 to `port`, and to
    `around_port` what shall go around the proxy; each with the number of its last message that is
    acknowledged. The first rule that fits decides. What the proxy sends to the pod's `own` address
    arrives there: it comes from an address of its own.
    """
    family = struct.pack(">BBH", socket.AF_INET, 0, 0)
    hook = _nested(4, _number(1, _HOOK_OUTPUT), _number(2, _PRIORITY_DSTNAT))
    chain = _text(1, _TABLE) + _text(3, _CHAIN) + hook + _text(7, "nat")
    made = [(_NEW_TABLE, family + _text(1, _TABLE)), (_NEW_CHAIN, family + chain)]
    made += [
        (_NEW_RULE, family + _text(1, _TABLE) + _text(2, _CHAIN) + expressions)
        for expressions in _rules(port, around_port, around, own)
    ]
    for start in range(0, len(made), _RULES_AT_ONCE):
        yield _batch(made[start : start + _RULES_AT_ONCE])


def _batch(changes: Sequence[tuple[int, bytes]]) -> tuple[bytes, int]:
    batch = struct.pack(">BBH", 0, 0, _NFTABLES)
    flags, last = _ACK | _CREATE | _APPEND, len(changes) + 1
    messages = [
        _message(_NFTABLES << 8 | kind, flags, number, body)
        for number, (kind, body) in enumerate(changes, 2)
    ]
    begin, end = _message(_BATCH_BEGIN, 0, 1, batch), _message(_BATCH_END, 0, last + 1, batch)
    return b"".join([begin, *messages, end]), last


def _rules(port: int, around_port: int, around: Around, address: str) -> Iterator[bytes]:
    if address:
        source = _payload(_NETWORK_HEADER, _SOURCE_OFFSET, 4)
        from_proxy = source + _compare(_EQUAL, socket.inet_aton(PROXY_SOURCE))
        yield _rule(from_proxy + _within(f"{address}/32") + _accept())
    own = _network_field(1) + _compare(_NOT_EQUAL, b"\x7f")
    proxied, passed = _redirect(port), _redirect(around_port)
    for text in around["ranges"]:
        yield _rule(own + _within(text) + passed)
    for number in around["ports"]:
        field = _payload(_TRANSPORT_HEADER, 2, 2)
        yield _rule(own + field + _compare(_EQUAL, struct.pack(">H", number)) + passed)
    for text in around["included"]:
        yield _rule(own + _within(text) + proxied)
    yield _rule(own + (passed if around["included"] else proxied))


def _rule(expressions: bytes) -> bytes:
    """A rule for TCP."""
    protocol = _expression("meta", _number(1, _REGISTER), _number(2, _META_L4PROTO))
    return _nested(4, protocol, _compare(_EQUAL, bytes([socket.IPPROTO_TCP])), expressions)


def _network_field(length: int) -> bytes:
    """The beginning of the destination's address."""
    return _payload(_NETWORK_HEADER, _DESTINATION_OFFSET, length)


def _payload(header: int, offset: int, length: int) -> bytes:
    numbers = (_REGISTER, header, offset, length)
    fields = [_number(kind, value) for kind, value in enumerate(numbers, 1)]
    return _expression("payload", *fields)


def _within(text: str) -> bytes:
    """The destination is in a range of addresses, as `10.0.0.0/8`."""
    address, _, prefix = text.partition("/")
    mask = (0xFFFFFFFF << (32 - int(prefix))) & 0xFFFFFFFF
    network = struct.unpack(">I", socket.inet_aton(address))[0] & mask
    masked = _expression(
        "bitwise",
        *(_number(1, _REGISTER), _number(2, _REGISTER), _number(3, 4)),
        _nested(4, _attribute(1, struct.pack(">I", mask))),
        _nested(5, _attribute(1, bytes(4))),
    )
    return _network_field(4) + masked + _compare(_EQUAL, struct.pack(">I", network))


def _accept() -> bytes:
    verdict = _nested(2, _nested(2, _number(1, _ACCEPT)))
    return _expression("immediate", _number(1, _VERDICT), verdict)


def _redirect(port: int) -> bytes:
    data = _nested(2, _attribute(1, struct.pack(">H", port)))
    loaded = _expression("immediate", _number(1, _REGISTER), data)
    return loaded + _expression("redir", _number(1, _REGISTER))


def _talk(protocol: int, data: bytes, last: int) -> None:
    """Send messages and wait for the last acknowledgement; raises OSError when one is refused."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as link:
        link.settimeout(5)
        link.bind((0, 0))
        link.send(data)
        while True:
            for kind, sequence, body in _messages(link.recv(65536)):
                if kind == _MESSAGE_ERROR:
                    (number,) = struct.unpack_from("=i", body)
                    if number:
                        raise OSError(-number, os.strerror(-number))
                    if sequence == last:
                        return


def _messages(data: bytes) -> Iterable[tuple[int, int, bytes]]:
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        yield kind, sequence, data[offset + 16 : offset + length]
        offset += max(16, (length + 3) & ~3)


def bring_up_loopback() -> None:
    """Set `lo` up; 127.0.0.0/8 and ::1 then work."""
    index = socket.if_nametoindex("lo")
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _IFF_UP, _IFF_UP)
    _talk(socket.NETLINK_ROUTE, _message(_NEW_LINK, _ACK, 1, body), 1)


def make_local(address: str, prefix: int) -> None:
    """Treat a whole network as addresses of this namespace, as 127.0.0.0/8 is."""
    header = struct.pack(
        "=BBBBBBBBI",
        *(socket.AF_INET, prefix, 0, 0),
        *(_TABLE_LOCAL, _PROTOCOL_STATIC, _SCOPE_HOST, _TYPE_LOCAL),
        0,
    )
    destination = _attribute(_ROUTE_DESTINATION, socket.inet_aton(address))
    device = _attribute(_ROUTE_DEVICE, struct.pack("=i", socket.if_nametoindex("lo")))
    message = _message(_NEW_ROUTE, _ACK | _CREATE | _EXCLUSIVE, 1, header + destination + device)
    _talk(socket.NETLINK_ROUTE, message, 1)


def let_connections_begin() -> None:
    """Give all TCP a route, so that it gets as far as the redirection; else connect(2) knows better.

    Datagrams have none: who tries them learns at once that the network is unreachable.
    """
    header = struct.pack(
        "=BBBBBBBBI",
        *(socket.AF_INET, 0, 0, 0),
        *(_TABLE_BEYOND, _PROTOCOL_STATIC, _SCOPE_HOST, _TYPE_LOCAL),
        0,
    )
    device = _attribute(_ROUTE_DEVICE, struct.pack("=i", socket.if_nametoindex("lo")))
    source = _attribute(_ROUTE_SOURCE, socket.inet_aton("127.0.0.1"))
    route = _message(_NEW_ROUTE, _ACK | _CREATE | _EXCLUSIVE, 1, header + device + source)
    _talk(socket.NETLINK_ROUTE, route, 1)
    header = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, 0, 0, 0, _TABLE_BEYOND, 0, 0, _POLICY_LOOK_UP, 0
    )
    protocol = _attribute(_POLICY_PROTOCOL, bytes([socket.IPPROTO_TCP]))
    policy = _message(_NEW_POLICY, _ACK | _CREATE | _EXCLUSIVE, 1, header + protocol)
    _talk(socket.NETLINK_ROUTE, policy, 1)


def redirect_to_proxy(
    port: int, around_port: int = 0, around: Around = NOTHING_AROUND, own: str = ""
) -> None:
    """Hand every TCP connection that does not go to 127.0.0.0/8 to the proxy's port, but for what goes
    around it.
    """
    for data, last in redirect_batches(port, around_port, around, own):
        _talk(_NETLINK_NETFILTER, data, last)
