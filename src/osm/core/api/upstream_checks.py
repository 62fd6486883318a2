"""What one UpstreamTrafficSetting or MeshRootCertificate must fulfil beyond its shape."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from osm.core.api import codes
from osm.core.api.exclusive import exclusive_problems
from osm.core.api.limits import GREATEST_COUNT, clipped
from osm.core.api.problem import Path, Problem
from osm.core.api.rate_limit import LocalHttpLimit, LocalTcpLimit, RateLimit
from osm.core.api.root_certificate import MeshRootCertificate
from osm.core.api.upstream_traffic import UpstreamTrafficSetting
from osm.core.model.origin import Severity

KNOWN_STATUSES = frozenset(
    {*range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431, *range(500, 509), 510, 511}
)
"""Envoy's `StatusCode` from 400 on; it refuses configuration with another one."""


def upstream_problems(form: UpstreamTrafficSetting) -> Iterator[Problem]:
    """Limits fit into Envoy's numbers and can be told apart, and something is limited."""
    yield from exclusive_problems(form)
    spec = form.spec
    if spec.connection_settings is None and spec.rate_limit is None and not spec.http_routes:
        yield Problem(
            ("spec",),
            codes.NO_EFFECT,
            "this UpstreamTrafficSetting limits nothing",
            "Add `connectionSettings`, `rateLimit` or `httpRoutes`.",
            Severity.WARNING,
        )
    if spec.rate_limit is not None:
        yield from _rate_limit_problems(spec.rate_limit, ("spec", "rateLimit"))
    paths: set[str] = set()
    everywhere = spec.rate_limit.global_ if spec.rate_limit is not None else None
    for index, route in enumerate(spec.http_routes):
        here: Path = ("spec", "httpRoutes", index)
        if route.path in paths:
            yield Problem(
                (*here, "path"),
                codes.TWICE,
                f"several routes have the path {clipped(route.path)}; which of them is meant?",
                "Keep one of them.",
            )
        paths.add(route.path)
        if route.rate_limit is None:
            continue
        if route.rate_limit.local is not None:
            yield from _local_problems(route.rate_limit.local, (*here, "rateLimit", "local"))
        if route.rate_limit.global_ is not None and (everywhere is None or everywhere.http is None):
            yield Problem(
                (*here, "rateLimit", "global"),
                codes.NO_EFFECT,
                "which server to ask is said by `spec.rateLimit.global.http`, and that is missing",
                "Add it with `rateLimitService` and `domain`.",
                Severity.WARNING,
            )


def _rate_limit_problems(limit: RateLimit, path: Path) -> Iterator[Problem]:
    if limit.local is not None and limit.local.tcp is not None:
        yield from _local_problems(limit.local.tcp, (*path, "local", "tcp"))
    if limit.local is not None and limit.local.http is not None:
        yield from _local_problems(limit.local.http, (*path, "local", "http"))
    if limit.global_ is not None and limit.global_.http is not None:
        status = limit.global_.http.response_status_code
        yield from _status_problems(status, (*path, "global", "http"))


def _local_problems(limit: LocalTcpLimit | LocalHttpLimit, path: Path) -> Iterator[Problem]:
    count = limit.connections if isinstance(limit, LocalTcpLimit) else limit.requests
    if count + limit.burst > GREATEST_COUNT:
        yield Problem(
            (*path, "burst"),
            codes.OUT_OF_RANGE,
            f"the limit and `burst` are more than {GREATEST_COUNT} together",
            "Use a smaller burst.",
        )
    if isinstance(limit, LocalTcpLimit):
        return
    yield from _status_problems(limit.response_status_code, path)
    names = Counter(header.name.lower() for header in limit.response_headers_to_add)
    for index, header in enumerate(limit.response_headers_to_add):
        if names[header.name.lower()] > 1:
            yield Problem(
                (*path, "responseHeadersToAdd", index, "name"),
                codes.TWICE,
                f"several headers are named {header.name!r}; the last one replaces the others",
                "Keep one of them.",
                Severity.WARNING,
            )


def _status_problems(status: int, path: Path) -> Iterator[Problem]:
    if status not in KNOWN_STATUSES:
        yield Problem(
            (*path, "responseStatusCode"),
            codes.NOT_ALLOWED,
            f"{status} is no status that Envoy knows",
            "429 is the usual one, and 503 stands for overload.",
        )


def root_certificate_problems(form: MeshRootCertificate) -> Iterator[Problem]:
    """Exactly one provider signs."""
    yield from exclusive_problems(form)


def convert_upstream(form: UpstreamTrafficSetting) -> UpstreamTrafficSetting:
    """The internal form: the host in lower case without final dot."""
    host = form.spec.host.lower().rstrip(".")
    return UpstreamTrafficSetting(form.metadata, msgspec.structs.replace(form.spec, host=host))
