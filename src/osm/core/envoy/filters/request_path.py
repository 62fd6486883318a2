"""Keeps the normalised path without its query where access rules can look at it.

Envoy's matchers see `:path` with the query, and a regex could then be satisfied by query text that a
caller chose.
"""

from osm._envoy.envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from osm._envoy.envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.filters.extension import http_filter, text_format
from osm.core.envoy.matching import PATH_STATE


def request_path() -> http_connection_manager_pb2.HttpFilter:
    """Keep the path for the filters that follow."""
    value = value_pb2.FilterStateValue(
        object_key=PATH_STATE,
        factory_key="envoy.string",
        format_string=text_format("%PATH(NQ:PATH)%"),
    )
    return http_filter(
        "envoy.filters.http.set_filter_state",
        set_filter_state_pb2.Config(on_request_headers=[value]),
    )
