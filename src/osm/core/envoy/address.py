"""Addresses of the model as Envoy's."""

from ipaddress import AddressValueError, IPv4Address

from osm._envoy.envoy.config.core.v3 import address_pb2
from osm.core.model.workload import Address, PipeAddress


def envoy_address(address: Address) -> address_pb2.Address:
    """A socket address, or a unix socket that only its owner may connect to."""
    if isinstance(address, PipeAddress):
        return address_pb2.Address(pipe=address_pb2.Pipe(path=address.path, mode=0o600))
    return address_pb2.Address(
        socket_address=address_pb2.SocketAddress(address=address.ip, port_value=address.port)
    )


def is_socket_address(text: str) -> bool:
    """Whether a text is `<IPv4 address>:<port>`, as Envoy writes the destination of a connection."""
    ip, _, port = text.rpartition(":")
    try:
        IPv4Address(ip)
    except AddressValueError:
        return False
    return port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
