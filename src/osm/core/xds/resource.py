"""A resource in the form in which it goes over the wire, serialised once and shared by all who ask."""

import hashlib

import msgspec
from google.protobuf.message import Message

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.model.origin import Origin

EMPTY_VERSION = "none"


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One named resource. `wire` is a serialised `envoy.service.discovery.v3.Resource`.

    A resource without a body (`empty`) tells that a virtual host does not exist: Envoy answers 404 at
    once, where a removal would leave the request waiting (measured with Envoy 1.40).
    """

    name: str
    version: str
    wire: bytes
    origins: tuple[Origin, ...] = ()
    endpoints: str = ""
    """For a cluster, the name of its endpoints, which have to be sent again with it."""


def make_resource(
    name: str,
    message: Message,
    *,
    aliases: tuple[str, ...] = (),
    origins: tuple[Origin, ...] = (),
    endpoints: str = "",
) -> Resource:
    """Serialise `message`; the version is a hash of its bytes, so that equal content is one version."""
    resource = discovery_pb2.Resource(name=name, aliases=aliases)
    resource.resource.Pack(message, deterministic=True)
    version = hashlib.blake2b(resource.resource.value, digest_size=8).hexdigest()
    resource.version = version
    wire = resource.SerializeToString(deterministic=True)
    return Resource(name, version, wire, origins, endpoints)


def make_empty(name: str, *, aliases: tuple[str, ...] = ()) -> Resource:
    """A resource that says that there is nothing of that name."""
    resource = discovery_pb2.Resource(name=name, aliases=aliases, version=EMPTY_VERSION)
    return Resource(name, EMPTY_VERSION, resource.SerializeToString(deterministic=True))


def encode_response(
    type_url: str, nonce: str, resources: tuple[Resource, ...], removed: tuple[str, ...] = ()
) -> bytes:
    """A `DeltaDiscoveryResponse` made from bytes that exist already (protobuf encoding, field 2)."""
    head = discovery_pb2.DeltaDiscoveryResponse(
        type_url=type_url, nonce=nonce, removed_resources=removed
    ).SerializeToString()
    parts = [head]
    for resource in resources:
        parts += (b"\x12", _varint(len(resource.wire)), resource.wire)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
