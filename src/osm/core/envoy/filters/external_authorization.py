"""Asks the external authorizer about each request that access rules let in."""

import msgspec

from osm._envoy.envoy.config.core.v3 import config_source_pb2
from osm._envoy.envoy.extensions.common.matching.v3 import extension_matcher_pb2
from osm._envoy.envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.filters.by_route import brought, place_for
from osm.core.envoy.filters.extension import grpc_service
from osm.core.model.authorization import Authorization

AUTHORIZATION = "osm.external_authorization"
LONGEST_BODY = 8192
"""Bytes of a request's body that the authorizer sees, as with OSM."""


class AskedAuthorizer(msgspec.Struct, frozen=True, order=True, gc=False):
    """The authorizer, and the cluster that it is reached by."""

    authorization: Authorization
    cluster: str


def external_authorization() -> http_connection_manager_pb2.HttpFilter:
    """Where the authorizer is asked, if routes say so."""
    return place_for(AUTHORIZATION)


def ask_authorizer(
    value: AskedAuthorizer, *, with_body: bool = True
) -> extension_matcher_pb2.ExtensionWithMatcherPerRoute:
    """What routes say to have it asked. It learns of the caller's identity, and `with_body` waits for
    the body's start.
    """
    authorization = value.authorization
    config = ext_authz_pb2.ExtAuthz(
        grpc_service=grpc_service(authorization.server, value.cluster, authorization.timeout_ns),
        transport_api_version=config_source_pb2.ApiVersion.V3,
        failure_mode_allow=authorization.failure_mode_allow,
        stat_prefix=authorization.stat_prefix,
        with_request_body=ext_authz_pb2.BufferSettings(
            max_request_bytes=LONGEST_BODY, allow_partial_message=True
        )
        if with_body
        else None,
        # What it says cannot turn a request into one that no proxy would send.
        validate_mutations=True,
    )
    return brought("envoy.filters.http.ext_authz", config)
