"""A small mesh in order, with every kind of policy, that hostile objects are thrown at.

`default` and `shop` have the names that made-up objects mention; nobody makes up a name of
`bystander`. Nor that of a TCP service: that one is split is written into the outbound listener of everybody.
"""

from random import Random
from typing import Any

from tests.unit.api.test_any_object import maker_of

from osm.core.api.manifest import Manifest
from osm.core.api.registry import Kind
from osm.testing.builders import (
    Document,
    egress,
    http_group,
    ingress_backend,
    manifests,
    mesh_config,
    pod,
    retry,
    service,
    split,
    target,
    tcp_route,
    upstream,
)

BYSTANDER = "bystander"
MADE_UP = "made-up"
"""The name of an object that somebody makes up, and that others refer to already."""


def _namespace(name: str, net: int, app: str, client: str) -> list[Document]:
    space: dict[str, Any] = {"namespace": name}
    limits = {"rateLimit": {"local": {"http": {"requests": 9, "unit": "second"}}}}
    return [
        pod("server", app=app, ip=f"10.{net}.0.1", ports={"web": 8080}, **space),
        pod("canary", app="canary", ip=f"10.{net}.0.2", **space),
        pod("client", app=client, ip=f"10.{net}.0.3", **space),
        service(client, 80, ip=f"10.{net}.1.4", **space),
        service(app, 80, ip=f"10.{net}.1.1", **space),
        service("till", {"port": 443, "name": "tcp-till"}, app=app, ip=f"10.{net}.1.3", **space),
        service("canary", 80, ip=f"10.{net}.1.2", **space),
        http_group(app, {"name": "m", "pathRegex": "/books/.*", "methods": ["GET"]}, **space),
        tcp_route(app, 80, 443, **space),
        target("t", app, [client], f"HTTPRouteGroup/{app}", **space),
        target("u", app, [client], f"TCPRoute/{app}", **space),
        target("v", app, [client], f"HTTPRouteGroup/{MADE_UP}", **space),
        target(
            "w", "canary", [client], f"TCPRoute/{MADE_UP}", f"HTTPRouteGroup/{MADE_UP}", **space
        ),
        split("z", app, {app: 9, "canary": 1}, matches=[app, MADE_UP], **space),
        retry("z", client, [app], **space),
        upstream("z", f"{app}.{name}.svc.cluster.local", limits, **space),
        egress("z", [client], ["http:80", "tcp:5432"], "example.net", **space),
        ingress_backend(
            "z",
            [{"name": "canary", "port": {"number": 80, "protocol": "http"}}],
            [{"kind": "IPRange", "name": "10.9.0.0/16"}],
            **space,
        ),
    ]


VILLAGE: tuple[Manifest, ...] = manifests(
    mesh_config(featureFlags={"enableRetryPolicy": True}),
    *_namespace("default", 1, "bookstore", "a"),
    *_namespace("shop", 3, "bookstore", "a"),
    *_namespace(BYSTANDER, 2, "store", "customer"),
)

_NAMESPACES = {"UpstreamTrafficSetting": "shop"}
"""Where made-up objects are: their hosts are of namespace shop, all else that they name of default."""


def made_up(kind: Kind, name: str, random: Random, *, wrong: bool) -> Document:
    """An object of a kind, made up from its schema; a wrong one has had up to four accidents."""
    version = random.choice(kind.versions)
    maker = maker_of(kind, version)
    content: Any = maker.wrong(random) if wrong else maker.right(random)
    return {
        **(content if isinstance(content, dict) else {"spec": content}),
        "apiVersion": kind.written_version(version),
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": _NAMESPACES.get(kind.kind, "default")},
    }
