"""The proxies of the bookstore in memory: how they fare, what they run and what they should run."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from osm.core.explain.view import ProxyView, ResourceTypeView
from osm.ports import ExpectedResource


def proxy_views(
    elapsed_s: float, now: datetime, workloads: Iterable[tuple[str, str, str]], trust_domain: str
) -> tuple[ProxyView, ...]:
    """The proxies, one of which has refused its routes; `workloads` are namespace, name and account."""
    proxies = []
    for namespace, name, account in workloads:
        refused = name == "bookstore-v2"
        starting = elapsed_s < 2 and name == "mysql-0"
        error = (
            "Proto constraint validation failed (RouteConfiguration.virtual_hosts[0].routes[2]): "
            "embedded message failed validation | regex: no argument for repetition operator: *"
        )
        proxies.append(
            ProxyView(
                namespace=namespace,
                name=name,
                identity=f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}",
                connected=not starting,
                in_sync=not (refused or starting),
                version="1.40.0",
                connected_s=max(0.0, elapsed_s - 1.5),
                certificate_expires=(now + timedelta(hours=23, minutes=12)).isoformat(),
                types=()
                if starting
                else (
                    replace(_held("CDS", 4, 6, elapsed_s), wildcard=True),
                    _held("EDS", 3, 9, elapsed_s),
                    _held("SDS", 3, 3, elapsed_s),
                    replace(_held("LDS", 2, 2, elapsed_s), subscribed=0, wildcard=True),
                    replace(
                        _held("RDS", 3, 8, elapsed_s),
                        acknowledged=7,
                        refused=1,
                        last_error=error,
                        at_fault=(
                            "HTTPRouteGroup bookstore/bookstore-service-routes spec.matches[2]",
                        ),
                    )
                    if refused
                    else _held("RDS", 3, 8, elapsed_s),
                ),
            )
        )
    return tuple(proxies)


def _held(kind: str, names: int, sent: int, elapsed_s: float) -> ResourceTypeView:
    return ResourceTypeView(
        kind, names, sent, sent, 0, subscribed=names, bytes=700 * names,
        sent_ago_s=round(elapsed_s / 2, 3), acknowledged_ago_s=round(elapsed_s / 2.001, 3),
    )  # fmt: skip


def expected_resources(name: str) -> tuple[ExpectedResource, ...]:
    """Some of what the proxy of a workload should run."""
    store = "bookstore/bookstore-v1|14001"
    endpoint = {"endpoint": {"address": {"pipe": {"path": "/run/in.14001.sock", "mode": 384}}}}
    host = "rds-outbound.14001/bookstore.bookstore:14001"
    key = {"inline_bytes": "W3JlZGFjdGVkXQ=="}
    chain = {"inline_bytes": "Y2VydGlmaWNhdGUg" * 20}
    routes = [{"match": {"safe_regex": {"regex": "/books-bought"}}, "route": {"cluster": "local"}}]
    configs: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("RTDS", "access", {"layer": {"osm.tcp.3306.a": 100.0}}),
        ("CDS", store, {"type": "EDS", "connect_timeout": "5s"}),
        ("EDS", store, {"cluster_name": store, "endpoints": [{"lb_endpoints": [endpoint]}]}),
        (
            "SDS",
            "service-cert",
            {"tls_certificate": {"certificate_chain": chain, "private_key": key}},
        ),
        ("LDS", "outbound-listener", {"traffic_direction": "OUTBOUND"}),
        ("RDS", "rds-outbound.14001", {"vhds": {"config_source": {"ads": {}}}}),
        ("RDS", "rds-inbound.14001", {"virtual_hosts": [{"name": name, "routes": routes}]}),
        ("VHDS", host, {"domains": ["bookstore.bookstore:14001"]}),
        ("ECDS", "tcp-access.3306", {"typed_config": {"stat_prefix": "tcp-access.3306."}}),
    )
    return tuple(
        ExpectedResource(
            kind, each, f"{number:016x}", config if kind == "EDS" else {"name": each, **config}
        )
        for number, (kind, each, config) in enumerate(configs, 1)
    )


def running_resources(name: str) -> tuple[ExpectedResource, ...]:
    """What the proxy runs of it: the one that refused its routes has older ones."""
    return tuple(
        replace(
            each,
            version=f"{0:016x}",
            config={"name": each.name, "virtual_hosts": [{"name": name, "routes": []}]},
        )
        if name == "bookstore-v2" and each.name == "rds-inbound.14001"
        else each
        for each in expected_resources(name)
    )
