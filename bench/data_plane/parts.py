"""The parts of an Envoy's configuration that a request meets, and where they are in a bootstrap."""

from collections.abc import Iterable, Iterator

import msgspec

from bench.data_plane.minimal import HTTP_MANAGER, Json


class Running(msgspec.Struct, frozen=True):
    """The parts of one proxy of ours, as it runs with them."""

    bootstrap: Json
    manager: Json
    routes: Json
    cluster: Json
    endpoint: Json


def running(dump: Json, *, listener: str, routes: str, cluster: str) -> Running:
    """Find the parts in a configuration dump. Listeners and routes: how their names begin."""
    parts = {each["@type"].rpartition(".")[2]: each for each in dump["configs"]}
    listeners = _states(parts["ListenersConfigDump"]["dynamic_listeners"], "listener")
    route_configs = parts["RoutesConfigDump"]["dynamic_route_configs"]
    endpoints = parts["EndpointsConfigDump"]
    return Running(
        bootstrap=parts["BootstrapConfigDump"]["bootstrap"],
        manager=_manager(next(x for x in listeners if x["name"].startswith(listener))),
        routes=next(
            each["route_config"]
            for each in route_configs
            if each["route_config"]["name"].startswith(routes)
        ),
        cluster=next(
            each["cluster"]
            for each in parts["ClustersConfigDump"]["dynamic_active_clusters"]
            if each["cluster"]["name"] == cluster
        ),
        endpoint=next(
            each["endpoint_config"]["endpoints"][0]["lb_endpoints"][0]
            for kind in ("dynamic_endpoint_configs", "static_endpoint_configs")
            for each in endpoints.get(kind, ())
            if each["endpoint_config"].get("cluster_name") == cluster
        ),
    )


def manager_of(bootstrap: Json) -> Json:
    """The connection manager of a minimal bootstrap."""
    return _manager(bootstrap["static_resources"]["listeners"][0])


def cluster_of(bootstrap: Json) -> Json:
    """The cluster of a minimal bootstrap that requests go to."""
    found: Json = bootstrap["static_resources"]["clusters"][0]
    return found


def endpoint_of(bootstrap: Json) -> Json:
    """The one endpoint of a minimal bootstrap."""
    found: Json = cluster_of(bootstrap)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    return found


def router_of(manager: Json) -> Json:
    """The configuration of a connection manager's router."""
    found: Json = manager["http_filters"][-1]["typed_config"]
    return found


def routes_of(bootstrap: Json) -> list[Json]:
    """The routes of a minimal bootstrap; the last one takes everything."""
    found: list[Json] = manager_of(bootstrap)["route_config"]["virtual_hosts"][0]["routes"]
    return found


def add_filters(manager: Json, ours: Json, names: Iterable[str]) -> None:
    """Put our HTTP filters of these names, in our order, before the router."""
    wanted = set(names)
    manager["http_filters"][-1:-1] = [x for x in ours["http_filters"] if x["name"] in wanted]


def copy_options(to: Json, ours: Json, options: Iterable[str]) -> None:
    """Take options as ours has them; one that ours has not is Envoy's default."""
    for option in options:
        to.pop(option, None)
        if option in ours:
            to[option] = ours[option]


def _manager(listener: Json) -> Json:
    found: Json = next(
        each["typed_config"]
        for each in listener["filter_chains"][0]["filters"]
        if each["name"] == HTTP_MANAGER
    )
    return found


def _states(entries: Iterable[Json], what: str) -> Iterator[Json]:
    for each in entries:
        if "active_state" in each:
            yield each["active_state"][what]
