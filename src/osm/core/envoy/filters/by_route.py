"""HTTP filters that routes bring along whole.

Of most filters a route can change a few settings only, and the rest is in the listener. A change there
would leave live connections without it until they are drained. So a listener has an empty place for
such a filter, which costs nothing, and the route configuration fills it: from the next request on.
"""

from google.protobuf.message import Message

from osm._envoy.envoy.extensions.common.matching.v3 import extension_matcher_pb2
from osm._envoy.envoy.extensions.filters.http.composite.v3 import composite_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.xds.core.v3 import extension_pb2 as xds_extension_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.envoy.filters.extension import http_filter


def place_for(name: str) -> http_connection_manager_pb2.HttpFilter:
    """An empty place with a name."""
    whole = extension_matcher_pb2.ExtensionWithMatcher(xds_matcher=matcher_pb2.Matcher())
    whole.extension_config.name = "envoy.filters.http.composite"
    whole.extension_config.typed_config.Pack(composite_pb2.Composite())
    out = http_filter(name, whole)
    out.disabled = True
    return out


def brought(name: str, config: Message) -> extension_matcher_pb2.ExtensionWithMatcherPerRoute:
    """What a route says under the name of a place: the filter that stands there, for all requests."""
    execute = composite_pb2.ExecuteFilterAction()
    execute.typed_config.name = name
    execute.typed_config.typed_config.Pack(config, deterministic=True)
    action = xds_extension_pb2.TypedExtensionConfig(name="composite-action")
    action.typed_config.Pack(execute, deterministic=True)
    matcher = matcher_pb2.Matcher(on_no_match=matcher_pb2.Matcher.OnMatch(action=action))
    return extension_matcher_pb2.ExtensionWithMatcherPerRoute(xds_matcher=matcher)
