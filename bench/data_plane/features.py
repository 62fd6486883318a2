"""What our configuration has and the minimal one has not, one by one, put into the minimal one.

The parts come from the running pair's own configuration, so what is measured is what runs; and
`left_over` finds what no feature speaks of.
"""

import copy
from collections.abc import Callable, Iterable

import msgspec

from bench.data_plane.minimal import Json, Sides
from bench.data_plane.parts import (
    Running,
    add_filters,
    cluster_of,
    copy_options,
    endpoint_of,
    manager_of,
    router_of,
    routes_of,
)

Add = Callable[[Sides, Running, Running], None]
"""Changes both bootstraps of a minimal pair; our client's and our server's parts are its source."""

CONTROL_PLANE = "osm-controller"


class Feature(msgspec.Struct, frozen=True):
    """One difference, and why it is there. `duty`: a pair by hand would need it for the same service."""

    name: str
    minimal: str
    why: str
    add: Add
    duty: bool = True


def with_features(
    minimal: Sides, features: Iterable[Feature], ours: tuple[Running, Running]
) -> Sides:
    """Give a minimal pair with some of our features."""
    sides = copy.deepcopy(minimal)
    for feature in features:
        feature.add(sides, *copy.deepcopy(ours))
    return sides


def left_over(sides: Sides, ours: tuple[Running, Running]) -> list[str]:
    """Options of connection managers, routers and clusters that still differ from ours."""
    own = {"stat_prefix", "rds", "route_config", "@type"}
    own |= {"name", "type", "load_assignment", "eds_cluster_config", "transport_socket"}
    own |= {"connect_timeout", "alt_stat_name"}
    found = []
    for side, bootstrap, running in zip(
        ("client", "server"), (sides.client, sides.server), ours, strict=True
    ):
        pairs = ((manager_of(bootstrap), running.manager), (cluster_of(bootstrap), running.cluster))
        for have, want in pairs:
            names = sorted((have.keys() | want.keys()) - own)
            # What is the default need not be said, and a dump leaves it out.
            found += [
                f"{side}: {name}"
                for name in names
                if (have.get(name) or None) != (want.get(name) or None)
            ]
    return found


def _managers(*options: str) -> Add:
    def add(sides: Sides, client: Running, server: Running) -> None:
        copy_options(manager_of(sides.client), client.manager, options)
        copy_options(manager_of(sides.server), server.manager, options)

    return add


def _router(*options: str) -> Add:
    def add(sides: Sides, client: Running, server: Running) -> None:
        for bootstrap, ours in ((sides.client, client), (sides.server, server)):
            copy_options(router_of(manager_of(bootstrap)), router_of(ours.manager), options)

    return add


def _clusters(*options: str) -> Add:
    def add(sides: Sides, client: Running, server: Running) -> None:
        copy_options(cluster_of(sides.client), client.cluster, options)
        copy_options(cluster_of(sides.server), server.cluster, options)

    return add


def _access(sides: Sides, _: Running, server: Running) -> None:
    manager = manager_of(sides.server)
    names = ("envoy.filters.http.set_filter_state", "envoy.filters.http.rbac")
    add_filters(manager, server.manager, names)
    manager["route_config"]["typed_per_filter_config"] = server.routes["typed_per_filter_config"]


def _traffic_metrics(sides: Sides, client: Running, _: Running) -> None:
    manager = manager_of(sides.client)
    manager["access_log"] = [*manager.get("access_log", ()), *client.manager["access_log"]]
    copy_options(endpoint_of(sides.client), client.endpoint, ("metadata", "load_balancing_weight"))
    copy_options(cluster_of(sides.client), client.cluster, ("metadata",))
    matcher = sides.client["stats_config"]["stats_matcher"]["inclusion_list"]
    matcher["patterns"].append({"prefix": "osm"})


def _on_demand(sides: Sides, client: Running, _: Running) -> None:
    _needs_control_plane(sides.client)
    resources = client.bootstrap["dynamic_resources"]
    sides.client["dynamic_resources"] = {"ads_config": resources["ads_config"]}
    add_filters(manager_of(sides.client), client.manager, ("envoy.filters.http.on_demand",))


def _idle_streams(sides: Sides, client: Running, server: Running) -> None:
    _managers("stream_idle_timeout")(sides, client, server)
    theirs = client.routes["virtual_hosts"][0]["routes"][-1]["route"]
    copy_options(routes_of(sides.client)[-1]["route"], theirs, ("idle_timeout",))


def _refusals(sides: Sides, client: Running, server: Running) -> None:
    _needs_control_plane(sides.server)
    manager = manager_of(sides.server)
    manager["access_log"] = [*manager.get("access_log", ()), *server.manager["access_log"]]
    _managers("local_reply_config")(sides, client, server)


def _needs_control_plane(bootstrap: Json) -> None:
    """A control plane that is never there, where the name must exist."""
    bootstrap["node"] = {"id": "bench", "cluster": "bench"}
    clusters = bootstrap["static_resources"]["clusters"]
    if any(each["name"] == CONTROL_PLANE for each in clusters):
        return
    options: Json = {"explicit_http_config": {"http2_protocol_options": {}}}
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    clusters.append(
        {
            "name": CONTROL_PLANE,
            "type": "STATIC",
            "load_assignment": {"cluster_name": CONTROL_PLANE},
            "typed_extension_protocol_options": {
                kind: {"@type": f"type.googleapis.com/{kind}", **options}
            },
        }
    )


def _routes(sides: Sides, client: Running, server: Running) -> None:
    theirs = client.routes["virtual_hosts"][0]["routes"][-1]
    copy_options(routes_of(sides.client)[-1], theirs, ("metadata",))
    routes = routes_of(sides.server)
    for each in server.routes["virtual_hosts"][0]["routes"][:-1]:
        routes.insert(len(routes) - 1, {**each, "route": {**each["route"], "cluster": "next"}})


def _retries(sides: Sides, client: Running, _: Running) -> None:
    theirs = client.routes["virtual_hosts"][0]["routes"][-1]["route"]
    copy_options(routes_of(sides.client)[-1]["route"], theirs, ("retry_policy",))


def _stats(sides: Sides, client: Running, server: Running) -> None:
    for bootstrap, ours in ((sides.client, client), (sides.server, server)):
        copy_options(bootstrap, ours.bootstrap, ("stats_config", "stats_flush_interval"))


def _runtime(sides: Sides, client: Running, server: Running) -> None:
    for bootstrap, ours in ((sides.client, client), (sides.server, server)):
        layers = ours.bootstrap["layered_runtime"]["layers"]
        bootstrap["layered_runtime"] = {"layers": [x for x in layers if "static_layer" in x]}
        copy_options(bootstrap, ours.bootstrap, ("overload_manager",))


FEATURES = (
    Feature(
        "OSM's traffic metrics (stats access logger)",
        "none",
        "`osm_request_total`, `osm_request_duration_ms`: 17 labels for each request",
        _traffic_metrics,
    ),
    Feature(
        "access rules (set_filter_state, RBAC)",
        "any caller of one identity",
        "who may send what; path rules do not see the query",
        _access,
    ),
    Feature(
        "the router's counters of answers, at the caller",
        "off",
        "OSM's dashboards read `envoy_cluster_upstream_rq_xx`",
        _router("dynamic_stats"),
    ),
    Feature(
        "identity of the caller for the application (XFCC)",
        "removed",
        "the application learns who calls, and from nobody else",
        _managers("forward_client_cert_details", "set_current_client_cert_details"),
    ),
    Feature(
        "header hygiene (early header mutation)",
        "none",
        "callers cannot speak with the proxies' voice",
        _managers("early_header_mutation_extensions"),
    ),
    Feature(
        "path normalisation",
        "off",
        "another spelling does not pass a path rule",
        _managers("normalize_path", "merge_slashes", "path_with_escaped_slashes_action"),
    ),
    Feature(
        "retries of what cannot have arrived",
        "none",
        "no request fails because an endpoint goes",
        _retries,
    ),
    Feature(
        "refusals: logs and answers",
        "none",
        "a refusal names its reason and its origin",
        _refusals,
    ),
    Feature(
        "the router's headers, at the caller",
        "suppressed",
        "`x-envoy-upstream-service-time`, as with OSM",
        _router("suppress_envoy_headers"),
    ),
    Feature(
        "upgrades and protocol options",
        "Envoy's defaults",
        "WebSocket through HTTP/2; HTTP/1.0; a bound on streams",
        _managers("upgrade_configs", "http_protocol_options", "http2_protocol_options"),
    ),
    Feature(
        "routes for gRPC, and routes' origins",
        "one route",
        "HTTP/2 to gRPC applications; decisions name their object",
        _routes,
    ),
    Feature(
        "clusters: circuit breakers, HTTP options, connection age",
        "Envoy's defaults",
        "OSM's limits; old certificates end",
        _clusters("circuit_breakers", "typed_extension_protocol_options"),
    ),
    Feature(
        "on-demand discovery",
        "none",
        "a proxy holds what it uses, and asks on first use",
        _on_demand,
        duty=False,
    ),
    Feature(
        "time limit for a request's headers",
        "none",
        "against callers that are slow on purpose",
        _managers("request_headers_timeout"),
        duty=False,
    ),
    Feature(
        "time limit for idle streams",
        "5 min (Envoy's default)",
        "ours has none: long streams are ordinary (5 s until there is a route)",
        _idle_streams,
        duty=False,
    ),
    Feature(
        "name of the server, request identifiers",
        "`envoy`; off",
        "the caller's proxy names it; identifiers are for tracing",
        _managers("server_header_transformation", "generate_request_id"),
        duty=False,
    ),
    Feature(
        "limits: regexes (runtime), connections (overload manager)",
        "Envoy's defaults",
        "ordinary regexes pass; connections are bounded",
        _runtime,
        duty=False,
    ),
    Feature(
        "Envoy's statistics that we keep",
        "four counters",
        "`osm`, the page and dashboards read them",
        _stats,
        duty=False,
    ),
)
