"""Takes away headers by which the mesh's proxies talk, when a caller sends them.

An application, or a log, would take them for a proxy's own words. What says who calls
(`x-forwarded-client-cert`) is replaced by the connection manager itself.
"""

from osm._envoy.envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from osm._envoy.envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.type.matcher.v3 import string_pb2
from osm.core.envoy.filters.extension import http_filter

PREFIXES = ("x-osm-", "x-envoy-original-", "x-envoy-peer-", "x-envoy-external-")


def internal_headers() -> http_connection_manager_pb2.HttpFilter:
    """The filter; it must come before every other that looks at headers."""
    config = header_mutation_pb2.HeaderMutation()
    for prefix in PREFIXES:
        removal = mutation_rules_pb2.HeaderMutation.RemoveOnMatch(
            key_matcher=string_pb2.StringMatcher(prefix=prefix)
        )
        config.mutations.request_mutations.add(remove_on_match=removal)
    return http_filter("envoy.filters.http.header_mutation", config)
