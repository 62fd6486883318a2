"""Inbound routes: who may send what, who else is asked, and limits."""

from collections.abc import Iterator, MutableMapping

import msgspec
from google.protobuf.any_pb2 import Any as Any_
from google.protobuf.wrappers_pb2 import BoolValue

from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm.core.envoy.access import HttpAccess, http_access_per_route
from osm.core.envoy.filters.external_authorization import (
    AUTHORIZATION,
    AskedAuthorizer,
    ask_authorizer,
)
from osm.core.envoy.filters.global_rate_limit import GLOBAL_LIMIT, AskedLimit, ask_limit
from osm.core.envoy.filters.rate_limit import RATE_LIMIT_FILTER, http_rate_limit_per_route
from osm.core.envoy.filters.undelivered import UNDELIVERED
from osm.core.envoy.inbound_host import InboundHost
from osm.core.envoy.route import NO_TIMEOUT, RBAC_FILTER, set_path
from osm.core.model.route import PathMatch
from osm.core.model.upstream import HttpLimit


class InboundRoutes(msgspec.Struct, frozen=True, gc=False):
    """Requests for one port of a workload: who may, and to which local cluster."""

    name: str
    cluster: str
    grpc_cluster: str
    access: HttpAccess
    hosts: tuple[InboundHost, ...] = ()
    """Without any, requests are not told apart."""
    authorizer: AskedAuthorizer | None = None
    """Asked about what access rules let in."""


def build_inbound_routes(value: InboundRoutes) -> route_pb2.RouteConfiguration:
    """Every authority is taken: the connection has chosen the workload, and access rules decide."""
    config = route_pb2.RouteConfiguration(
        name=value.name,
        validate_clusters=BoolValue(value=False),
        response_headers_to_remove=[UNDELIVERED],
        virtual_hosts=[
            _inbound_host(value, host)
            for host in (value.hosts or (InboundHost(value.name, ("*",)),))
        ],
    )
    config.typed_per_filter_config[RBAC_FILTER].Pack(
        http_access_per_route(value.access), deterministic=True
    )
    if value.authorizer is not None:
        config.typed_per_filter_config[AUTHORIZATION].Pack(
            ask_authorizer(value.authorizer), deterministic=True
        )
    return config


def _inbound_host(value: InboundRoutes, host: InboundHost) -> route_components_pb2.VirtualHost:
    out = route_components_pb2.VirtualHost(name=host.name, domains=host.domains)
    _set_limits(out.typed_per_filter_config, host.limit, host.everywhere)
    for limited in host.routes:
        for route in _routes(value, PathMatch("regex", limited.path)):
            _set_limits(route.typed_per_filter_config, limited.limit, limited.everywhere)
            out.routes.append(route)
    out.routes.extend(_routes(value, None))
    return out


def _routes(value: InboundRoutes, path: PathMatch | None) -> Iterator[route_components_pb2.Route]:
    grpc_cluster = value.grpc_cluster or (value.cluster if value.authorizer else "")
    if grpc_cluster:
        grpc = _route(grpc_cluster, path)
        grpc.match.grpc.SetInParent()
        if value.authorizer is not None:
            # A caller may wait for the server's first message before it sends more, without end.
            grpc.typed_per_filter_config[AUTHORIZATION].Pack(
                ask_authorizer(value.authorizer, with_body=False), deterministic=True
            )
        yield grpc
    yield _route(value.cluster, path)


def _route(cluster: str, path: PathMatch | None) -> route_components_pb2.Route:
    route = route_components_pb2.Route(
        route=route_components_pb2.RouteAction(cluster=cluster, timeout=NO_TIMEOUT)
    )
    set_path(route.match, path)
    return route


def _set_limits(
    configs: MutableMapping[str, Any_], limit: HttpLimit | None, everywhere: AskedLimit | None
) -> None:
    if limit is not None:
        configs[RATE_LIMIT_FILTER].Pack(http_rate_limit_per_route(limit), deterministic=True)
    if everywhere is not None:
        configs[GLOBAL_LIMIT].Pack(ask_limit(everywhere), deterministic=True)
