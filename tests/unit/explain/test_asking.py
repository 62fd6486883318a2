"""`osm explain` tells who else is asked about a call: the external authorizer, servers of limits."""

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question
from osm.testing.builders import (
    Part,
    http_group,
    mesh_config,
    model,
    pod,
    service,
    target,
    upstream,
)

CHECK = "/envoy.service.auth.v3.Authorization/Check"
MESH: tuple[Part, ...] = (
    pod("client"),
    pod("shop", ip="10.0.0.2"),
    service("shop", 80),
    pod("opa", ip="10.0.0.3"),
    service("opa", {"port": 9191, "name": "grpc"}, ip="10.1.0.3"),
    http_group("g"),
    target("t", "shop", ["client"], "HTTPRouteGroup/g"),
    mesh_config(
        traffic={
            "inboundExternalAuthorization": {
                "enable": True,
                "address": "opa.default",
                "port": 9191,
                "timeout": "500ms",
            }
        }
    ),
)


def asked(host: str, *parts: Part, method: str = "GET", path: str = "/") -> Explanation:
    return explain(model(*MESH, *parts), Question("client", host, method, path))


def told(explanation: Explanation, title: str) -> list[str]:
    return [step.text for step in explanation.steps if step.title.startswith(title)]


def test_the_authorizer_is_told_with_what_happens_without_an_answer() -> None:
    (text,) = told(asked("shop"), "external authorization")
    assert text == (
        "opa.default:9191 decides, within 0.5 s; without an answer the request is refused"
    )


def test_the_authorizer_itself_may_be_asked_and_nobody_is_asked_about_it() -> None:
    found = asked("opa:9191", method="POST", path=CHECK)
    assert found.verdict == "allowed"
    (access,) = told(found, "access")
    assert "MeshConfig osm-mesh-config spec.traffic.inboundExternalAuthorization" in access
    assert told(found, "external") == [
        "nobody is asked about calls of a server that proxies themselves ask"
    ]
    assert asked("opa:9191", method="POST", path="/other").verdict == "denied"


def test_the_global_limit_of_the_route_counts_before_that_of_the_host() -> None:
    entries = [
        {"genericKey": {"value": "x"}},
        {"remoteAddress": {}},
        {"requestHeader": {"name": "a", "key": "b"}},
    ]
    route = {"entries": [{"genericKey": {"value": "route"}}]}
    spec = {
        "rateLimit": {
            "global": {
                "http": {
                    "rateLimitService": {"host": "limits.example.org", "port": 8081},
                    "domain": "d",
                    "descriptors": [{"entries": entries}],
                    "failOpen": False,
                },
                "tcp": {
                    "rateLimitService": {"host": "limits.example.org", "port": 8081},
                    "domain": "d",
                    "descriptors": [{"entries": [{"key": "k", "value": "v"}]}],
                },
            }
        },
    }
    host = "shop.default.svc.cluster.local"
    found = asked("shop", upstream("u", host, spec))
    (of_requests,) = told(found, "global request limit")
    assert of_requests == (
        "limits.example.org:8081 is asked (domain d) about generic_key=x, remote_address, "
        "b=(header a); without an answer within 20 ms it is refused; too many get 429"
    )
    (of_connections,) = told(found, "global connection limit")
    assert of_connections == (
        "each connection: limits.example.org:8081 is asked (domain d) about k=v; without an answer "
        "within 20 ms it passes; too many are closed"
    )
    routes = [{"path": ".*", "rateLimit": {"global": {"descriptors": [route]}}}]
    (text,) = told(asked("shop", upstream("u", host, {**spec, "httpRoutes": routes})), "global req")
    assert "generic_key=route" in text
