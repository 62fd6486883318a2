"""`osm explain` tells of retries and limits that count for a request, with the object of each."""

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question, Step
from osm.testing.builders import (
    Part,
    http_group,
    mesh_config,
    model,
    pod,
    retry,
    service,
    target,
    upstream,
)

LIMIT = {"requests": 3, "unit": "minute", "burst": 2, "responseStatusCode": 503}
MESH: tuple[Part, ...] = (
    pod("client"),
    pod("shop", ip="10.0.0.2"),
    service("shop", 80),
    service("db", {"port": 5432, "name": "tcp-db"}, app="shop", ip="10.1.0.2"),
    http_group("g", {"name": "buy", "pathRegex": "/buy.*"}, {"name": "look", "pathRegex": "/l"}),
    target("t", "shop", ["client"], "HTTPRouteGroup/g"),
    mesh_config(featureFlags={"enableRetryPolicy": True}),
)


def steps(path: str, *parts: Part, host: str = "shop") -> list[Step]:
    method = "" if host != "shop" else "GET"
    found = explain(model(*MESH, *parts), Question("client", host, method, path))
    return [s for s in found.steps if s.title.startswith(("retries", "request l", "connection l"))]


def test_without_settings_nothing_is_said_of_them() -> None:
    assert steps("/buy") == []


def test_retries_are_told_with_their_object() -> None:
    (step,) = steps("/buy", retry("r", "client", ["shop"], times=4))
    assert step.text == "up to 4 more tries on 5xx"
    assert [str(o) for o in step.origins] == ["Retry default/r spec.retryPolicy"]


def test_the_limit_of_the_route_counts_before_that_of_the_host() -> None:
    setting = upstream(
        "u",
        "shop.default.svc.cluster.local",
        {
            "rateLimit": {"local": {"http": LIMIT}},
            "httpRoutes": [
                {"path": "/nobody", "rateLimit": {"local": LIMIT}},
                {"path": "/buy.*", "rateLimit": {"local": {"requests": 1, "unit": "hour"}}},
            ],
        },
    )
    (on_route,) = steps("/buy/it", setting)
    assert on_route.text == "requests that each workload takes: 1 per hour; others get 429"
    assert [o.field for o in on_route.origins] == ["spec.httpRoutes[1].rateLimit.local"]
    for path in ("/l", "/nobody"):
        (on_host,) = steps(path, setting)
        assert (
            on_host.text
            == "requests that each workload takes: 3 per minute (and once 2 more); others get 503"
        )


def test_limits_of_connections_are_told_of_both_sides() -> None:
    limits = {
        "connectionSettings": {
            "tcp": {"maxConnections": 1, "connectTimeout": "1.5s"},
            "http": {"maxRequestsPerConnection": 2, "maxRetries": 0},
        },
        "rateLimit": {"local": {"tcp": {"connections": 7, "unit": "second"}}},
    }
    setting = upstream("u", "db.default.svc.cluster.local", limits)
    (step,) = steps("", setting, host="db")
    assert step.text == (
        "at most 1 connections; at most 0 retries at a time; 2 requests on each connection; "
        "1.5 s to connect; connections that each workload lets in: 7 per second"
    )
    assert step.title == "connection limits of default/db:5432"
