"""Keeps HTTP that leaves the mesh to ranges of addresses: those that the application connects to.

The filter is empty; a route that has ranges brings them along.
"""

from ipaddress import IPv4Network

from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.core.v3 import address_pb2
from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2


def only_to(ranges: tuple[str, ...]) -> http_rbac_pb2.RBACPerRoute:
    """What a route admits: requests on connections to addresses in these ranges."""
    places = [rbac_pb2.Permission(destination_ip=cidr(each)) for each in ranges]
    policy = rbac_pb2.Policy(
        permissions=[rbac_pb2.Permission(or_rules=rbac_pb2.Permission.Set(rules=places))],
        principals=[rbac_pb2.Principal(any=True)],
    )
    return http_rbac_pb2.RBACPerRoute(
        rbac=http_rbac_pb2.RBAC(
            rules=rbac_pb2.RBAC(action=rbac_pb2.RBAC.ALLOW, policies={"ranges": policy})
        )
    )


def cidr(text: str) -> address_pb2.CidrRange:
    """A range as Envoy writes it."""
    network = IPv4Network(text)
    return address_pb2.CidrRange(
        address_prefix=str(network.network_address),
        prefix_len=UInt32Value(value=network.prefixlen),
    )
