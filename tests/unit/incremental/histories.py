"""Random histories of a small mesh, as numbers that hypothesis can shrink."""

from collections.abc import Sequence
from functools import cache

import msgspec

from osm.core.api.manifest import Key, Manifest
from osm.testing.builders import (
    Document,
    egress,
    http_group,
    ingress_backend,
    manifests,
    mesh_config,
    namespace,
    pod,
    retry,
    service,
    service_account,
    split,
    target,
    tcp_route,
    upstream,
)
from osm.testing.observation import extension_service, telemetry

KINDS = 16
POD, SERVICE, GROUP, TCP_ROUTE, TARGET, SPLIT, SETTINGS = 0, 2, 4, 5, 6, 7, 8
INGRESS, EGRESS, RETRY, LIMITS, ACCOUNT, TELLING, STREAM = 9, 10, 11, 12, 13, 14, 15
"""Kinds of change; pods and services have two numbers each, since all others are about them."""
VARIANTS = 8
Step = tuple[int, int, int]
"""What kind of change, which object, and how it is written; see `change`."""

_SPACES = ("red", "blue")
_APPS = ("a", "b", "c")


class Change(msgspec.Struct, frozen=True):
    """Objects that are written and that go, identities that get a certificate, guarded proxies."""

    applied: tuple[Manifest, ...] = ()
    deleted: tuple[Key, ...] = ()
    renewed: int = -1
    guarded: int = -1


@cache
def change(step: Step) -> Change:
    """What a step does. The last variant of each object deletes it."""
    kind, which, how = step
    if kind == KINDS - 1:
        return Change(renewed=which) if how % 2 else Change(guarded=which)
    (manifest,) = manifests(_document(kind, which, how))
    if how == VARIANTS - 1:
        return Change(deleted=(manifest.key,))
    return Change(applied=(manifest,))


def _document(kind: int, which: int, how: int) -> Document:
    makers = (
        _pod,
        _pod,
        _service,
        _service,
        _group,
        _tcp_route,
        _target,
        _split,
        _settings,
        _ingress,
        _egress,
        _retry,
        _limits,
        _account,
        _telling,
    )
    return makers[kind](which, how)


def _pod(which: int, how: int) -> Document:
    space, app = _SPACES[which % 2], _APPS[which // 2 % 3]
    other = _APPS[(which + how) % 3]
    return pod(
        f"{app}-{which // 6}",
        namespace=space,
        app=other if how == 3 else app,
        account=(app, app, "shared")[how % 3],
        ip="" if how == 4 else f"10.0.0.{which + 1 + (20 if how == 5 else 0)}",
        ports={"web": 8080 if how % 2 else 80},
        ready=how != 1,
        subdomain=app if how in (2, 6) else "",
        owner=("ReplicaSet", f"{app}-1f") if how == 6 else None,
        annotations={"openservicemesh.io/discovery": "eager"} if how == 2 else {"note": str(how)},
    )


def _service(which: int, how: int) -> Document:
    if which >= 10:
        return _alias(which, how)
    space, app = _SPACES[which % 2], _APPS[which // 2 % 3]
    unknown = {1: "mongo", 3: "mysql"}.get(how)
    how = 1 if how == 3 else how  # but for a protocol that is not known the same
    spoken = ("http", "tcp", "http", "grpc", "tcp-server-first", "http", "tls", "http")[how]
    web: Document = {"port": 80, "name": f"{spoken}-x", "targetPort": "web" if how % 2 else 80}
    more: dict[str, object] = {"port": 81, "name": "tcp-y" if how % 3 else "http-y"}
    alone: Document = {"port": 5432, "name": "tcp-db"}
    if unknown:
        more["appProtocol"] = unknown
    return service(
        app,
        *((web, more, alone) if how % 3 == 2 else (web, more) if how % 4 else (web,)),
        namespace=space,
        app=_APPS[which % 3] if how == 5 else app,
        ip=("10.1.0.9", "", f"10.1.0.{which + 1}", "", "None", "10.1.0.9")[how % 6],
        publish_not_ready=how == 6,
    )


def _alias(which: int, how: int) -> Document:
    """Of a service or a host, by another one, in a circle, of the caller's own machine, or of nothing."""
    targets = (
        "a",
        "b.red.svc.cluster.local",
        "x.test",
        "d.red",
        "d.blue",
        "127.0.0.1",
        "c.gone",
        "a",
    )
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "d", "namespace": _SPACES[which % 2]},
        "spec": {"type": "ExternalName", "externalName": targets[how]},
    }


def _group(which: int, how: int) -> Document:
    match: Document = {"name": "mn"[how % 2], "pathRegex": f"/{how // 2}", "methods": ["GET"]}
    return http_group("gh"[which // 2 % 2], match, namespace=_SPACES[which % 2])


def _tcp_route(which: int, how: int) -> Document:
    ports = ((), (80,), (81,), (80, 81), (8080,), (), (80, 8080))[how % 7]
    return tcp_route("t", *ports, namespace=_SPACES[which % 2])


def _target(which: int, how: int) -> Document:
    rules = (
        ("HTTPRouteGroup/g",),
        ("HTTPRouteGroup/g/m",),
        ("HTTPRouteGroup/g", "TCPRoute/t"),
        ("TCPRoute/t",),
        ("HTTPRouteGroup/h/n", "HTTPRouteGroup/g"),
        ("HTTPRouteGroup/gone",),
        ("TCPRoute/t", "TCPRoute/gone"),
    )[how % 7]
    sources = [f"{_SPACES[how % 2]}/{_APPS[how % 3]}", "red/shared"]
    return target(
        f"t{which // 2}",
        (*_APPS, "shared")[(which + how // 4) % 4],
        sources[: 1 + how % 2],
        *rules,
        namespace=_SPACES[which % 2],
    )


def _split(which: int, how: int) -> Document:
    leaves = {_APPS[how % 3]: how % 4, (*_APPS, "gone")[(how + 1) % 4]: 1}
    return split(
        f"s{which // 2 % 2}",
        _APPS[(which + how // 5) % 3],
        leaves,
        namespace=_SPACES[which % 2],
        created=("", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")[how % 3],
        matches=((), (), ("g",), ("h", "gone"))[how % 4],
    )


def _retry(which: int, how: int) -> Document:
    return retry(
        f"r{which // 2 % 3}",
        f"red/{_APPS[which // 6]}",
        [f"{_SPACES[how % 2]}/{app}" for app in (*_APPS, "gone")[: 1 + which % 4]],
        namespace=_SPACES[which % 2],
        created=("", "2026-01-02T00:00:00Z")[how // 2 % 2],
        times=how,
    )


def _limits(which: int, how: int) -> Document:
    space, name = _SPACES[which % 2], _APPS[(which // 2 + how // 6) % 3]
    limit = {"requests": how + 1, "unit": "minute"}
    by_key = [{"entries": [{"key": "k", "value": str(how)}]}]
    asked: Document = {
        "rateLimitService": {"host": ("b", "a.red", "x.test")[how % 3], "port": 80},
        "domain": "d",
        "descriptors": [{"entries": [{"genericKey": {"value": "v"}}]}],
    }
    parts: tuple[Document, ...] = (
        {"connectionSettings": {"tcp": {"maxConnections": which}}},
        {"rateLimit": {"local": {"http": limit}}},
        {"rateLimit": {"local": {"tcp": {"connections": 1, "unit": "hour", "burst": which}}}},
        {"httpRoutes": [{"path": f"/{which % 4}", "rateLimit": {"local": limit}}]},
        {"httpRoutes": [{"path": ".*", "rateLimit": {"local": limit}}]},
        {"rateLimit": {"global": {"http": asked, "tcp": {**asked, "descriptors": by_key}}}},
    )
    return upstream(
        f"u{which // 2 % 4}",
        f"{name}.{space if how not in (4, 5) else 'gone'}.svc.cluster.local",
        {**parts[how % 6], **parts[which % 6]},
        namespace=space,
        created=("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")[how % 2],
    )


def _account(which: int, how: int) -> Document:
    return service_account((*_APPS, "shared")[which // 2 % 4], namespace=_SPACES[which % 2])


def _telling(which: int, how: int) -> Document:
    """A Telemetry, or the collector that it names: beyond the mesh, or one of the services."""
    if which % 4 == 3:
        host = ("x.test", "a.blue.svc.cluster.local", "b.red")[how % 3]
        return extension_service("otel", host, 80, namespace="red", connectTimeout=f"{how + 1}s")
    app = {"app": _APPS[which // 4]}
    return telemetry(
        f"t{which // 4}",
        namespace=(*_SPACES, "osm-system")[which % 3],
        created=("", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")[how // 3 % 3],
        selector=({}, app, {**app, "nobody": "has"})[how % 3],
        text="" if how % 2 else "%PROTOCOL%",
        collector="red/otel" if how in (0, 3, 5, 6) else "",
    )


def _settings(which: int, how: int) -> Document:
    if which % 2:
        return namespace(_SPACES[which // 2 % 2], **({"ignore": "true"} if how % 2 else {}))
    if how == 5:
        return mesh_config("another")
    return mesh_config(
        traffic={
            "enablePermissiveTrafficPolicyMode": how % 2 == 1,
            "enableEgress": how in (3, 6),
            "inboundExternalAuthorization": {
                "enable": how in (2, 6),
                "address": ("a.blue", "x.test")[which // 2 % 2],
                "port": 80,
            },
        },
        sidecar={"discovery": "Eager" if how == 2 else "OnDemand"}
        | ({"tlsMinProtocolVersion": "TLSv1_2"} if how == 4 else {}),
        featureFlags={"enableRetryPolicy": how != 6},
        observability={"tracing": {"enable": how == 4, "address": "a.red", "port": 80}},
    )


def _ingress(which: int, how: int) -> Document:
    tls: Document = {"skipClientCertValidation": how == 4, "sniHosts": ["x.test"] * (how % 2)}
    web: Document = {
        "name": _APPS[(which // 2 + how) % 3],
        "port": {"number": (80, 8080, 81)[how % 3], "protocol": "https" if how > 3 else "http"},
        **({"tls": tls} if how > 3 else {}),
    }
    other: Document = {"name": _APPS[how % 3], "port": {"number": 5432, "protocol": "http"}}
    sources: tuple[Document, ...] = (
        {"kind": "Service", "name": _APPS[how % 3], "namespace": _SPACES[how % 2]},
        {"kind": "IPRange", "name": f"10.{how}.0.0/16"},
    )
    if how > 3:
        sources = ({"kind": "AuthenticatedPrincipal", "name": f"p{how}"}, *sources[how % 2 :])
    return ingress_backend(
        f"i{which // 2 % 3}",
        (web,) if how > 3 else (web, other),
        sources,
        namespace=_SPACES[which % 2],
        created=("", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")[how % 3],
        matches=((), ("g",), ("h", "gone"), ("gone",))[how % 4],
    )


def _egress(which: int, how: int) -> Document:
    spoken = (
        ("http:80",),
        ("http:81", "tcp:5432"),
        ("https:80",),
        ("tcp:80", "http:80"),
        ("http:8080", "tcp-server-first:25"),
        ("http:5432",),
        ("https:443", "http:80"),
        ("http:80",),
    )[how]
    return egress(
        f"e{which // 2 % 3}",
        [f"{_SPACES[how % 2]}/{_APPS[(which + how) % 3]}", "red/shared"][: 1 + which % 2],
        spoken,
        "a.blue" if how == 3 else "x.test",
        *(("10.9.9.9",) if how % 2 else ()),
        namespace=_SPACES[which % 2],
        ranges=((), ("10.1.0.0/24",), (), ("10.0.0.0/8", "10.1.0.0/16"))[how % 4],
        groups=((), ("g",), ("h", "gone"))[which // 3 % 3],
        setting="u0" if how in (1, 6) else "",
    )


def beginning() -> Sequence[Step]:
    """Steps after which there is a mesh to change: pods, services and access for both namespaces."""
    steps = [(0, which, 0) for which in range(8)]
    steps += [(2, which, how) for which, how in enumerate((0, 2, 1, 5, 3, 6))]
    steps += [(2, 10, 3), (2, 11, 0)]
    steps += [(4, which, 0) for which in range(4)] + [(5, 0, 0), (5, 1, 3)]
    steps += [(8, 0, 0), (10, 1, 0), (10, 3, 5), (11, 3, 0), (12, 0, 1), (12, 2, 3)]
    steps += [(14, 0, 3), (14, 6, 6), (14, 9, 3), (14, 4, 1)]
    return [*steps, (6, 0, 0), (6, 1, 2), (6, 4, 3), (7, 0, 1)]
