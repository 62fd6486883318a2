"""What a proxy should run, in a form that people and programs can read."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.session import Session
from osm.core.envoy.catalog import Value
from osm.core.model.identity import ProxyIdentity
from osm.core.xds import types
from osm.core.xds.distribution import Distribution
from osm.core.xds.resource import Resource
from osm.ports import ExpectedResource

SECRET_FIELDS = frozenset(
    {"private_key", "private_key_provider", "password", "session_ticket_keys", "generic_secret"}
)
REDACTED = {"inline_bytes": "W3JlZGFjdGVkXQ=="}
"""`[redacted]`, as Envoy itself writes what it hides."""


def expected_resources(
    session: Session, distribution: Distribution[ProxyIdentity, Value]
) -> tuple[ExpectedResource, ...]:
    """Return the present form of all that a proxy asked for or gets unasked, by type and name.

    What was asked for and does not exist is left out, and several names of one resource are it once.
    """
    expected = []
    for type_url in types.ORDER:
        state = session.stream.types.get(type_url)
        if state is None:
            continue
        names = state.names | state.found.keys()
        if state.wildcard or type_url in types.PUSHED_TYPES:
            names |= distribution.own_names(session.number, type_url)
        found = (distribution.lookup(session.number, type_url, name) for name in names)
        resources = {resource.name: resource for resource in found if resource is not None}
        expected += [_readable(type_url, resource) for _, resource in sorted(resources.items())]
    return tuple(expected)


def _readable(type_url: str, resource: Resource) -> ExpectedResource:
    message = discovery_pb2.Resource.FromString(resource.wire).resource
    config = json_format.MessageToDict(message, preserving_proto_field_name=True)
    config.pop("@type", None)
    return ExpectedResource(
        types.SHORT_NAMES[type_url], resource.name, resource.version, redacted(config)
    )


def redacted(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace what is secret, wherever it stands."""
    return {
        key: REDACTED if key in SECRET_FIELDS else _redacted(value) for key, value in config.items()
    }


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return redacted(value)
    return [_redacted(each) for each in value] if isinstance(value, list) else value
