"""A bookstore mesh as a person sees it, at any moment after its start.

Traffic rises and falls, a split sends it both ways, a thief is refused, a proxy has refused its
configuration, and a file has a mistake in it.
"""

import math
from datetime import datetime, timedelta

from msgspec.structs import replace

from osm.core.explain.view import (
    DenialView,
    EdgeView,
    MeshView,
    ObjectView,
    PushView,
    WorkloadView,
)
from osm.core.model.origin import Finding, Origin, Severity
from osm.testing.bookstore_proxies import proxy_views

TRUST_DOMAIN = "cluster.local"
REMEDY = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata:
  name: bookstore-allow-bookthief
  namespace: bookstore
spec:
  destination:
    kind: ServiceAccount
    name: bookstore
    namespace: bookstore
  rules:
  - kind: HTTPRouteGroup
    name: bookstore-service-routes
    matches: [buy-a-book, books-bought]
  sources:
  - kind: ServiceAccount
    name: bookthief
    namespace: bookthief
"""
DENY_REASON = "no TrafficTarget allows bookthief/bookthief"

# namespace, name, app, service account, phase, services, port of its page
_WORKLOADS = (
    ("bookbuyer", "bookbuyer", "bookbuyer", "bookbuyer", "ready", (), 8080),
    ("bookstore", "bookstore", "bookstore", "bookstore", "ready", ("", "-v1"), 8081),
    ("bookstore", "bookstore-v2", "bookstore-v2", "bookstore-v2", "ready", ("", "-v2"), 8082),
    ("bookthief", "bookthief", "bookthief", "bookthief", "ready", (), 8083),
    ("bookwarehouse", "bookwarehouse", "bookwarehouse", "bookwarehouse", "ready", ("",), 0),
    ("bookwarehouse", "mysql-0", "mysql", "mysql", "ready", ("",), 0),
)
_FINDING = Finding(
    code="OSM1204",
    severity=Severity.ERROR,
    origin=Origin("TrafficTarget", "bookwarehouse", "auditors", "spec.rules[0].name"),
    message="HTTPRouteGroup bookwarehouse/audit-routes does not exist, so this rule grants nothing",
    hint="Create it, or name one of: bookwarehouse-service-routes.",
    where="policies/auditors.yaml:12",
)
_WARNING = Finding(
    code="OSM1310",
    severity=Severity.WARNING,
    origin=Origin("TrafficSplit", "bookstore", "bookstore-split", "spec.service"),
    message="the root service is written as bookstore.bookstore; it means the Service bookstore",
    where="policies/split.yaml:7",
)
_SMI = ".smi-spec.io"
# group, version, kind, namespace, name, where, summary, finding
_OBJECTS: tuple[tuple[str, str, str, str, str, str, str, Finding | None], ...] = (
    ("config.openservicemesh.io", "v1alpha2", "MeshConfig", "osm-system", "osm-mesh-config",
     "mesh.yaml:1", "SMI mode", None),
    ("", "v1", "Service", "bookstore", "bookstore",
     "apps/bookstore.yaml:8", "14001 http, 2 endpoints", None),
    ("", "v1", "Service", "bookstore", "bookstore-v1",
     "apps/bookstore.yaml:22", "14001 http, 1 endpoint", None),
    ("", "v1", "Service", "bookstore", "bookstore-v2",
     "apps/bookstore-v2.yaml:8", "14001 http, 1 endpoint", None),
    ("", "v1", "Service", "bookwarehouse", "bookwarehouse",
     "apps/bookwarehouse.yaml:8", "14001 http, 1 endpoint", None),
    ("", "v1", "Service", "bookwarehouse", "mysql",
     "apps/mysql.yaml:8", "3306 tcp, 1 endpoint", None),
    ("access" + _SMI, "v1alpha3", "TrafficTarget", "bookstore", "bookstore",
     "policies/access.yaml:1", "bookbuyer/bookbuyer → bookstore/bookstore: 2 matches", None),
    ("access" + _SMI, "v1alpha3", "TrafficTarget", "bookstore", "bookstore-v2",
     "policies/access.yaml:22", "bookbuyer/bookbuyer → bookstore/bookstore-v2: 2 matches", None),
    ("access" + _SMI, "v1alpha3", "TrafficTarget", "bookwarehouse", "auditors",
     "policies/auditors.yaml:1", "grants nothing", _FINDING),
    ("specs" + _SMI, "v1alpha4", "HTTPRouteGroup", "bookstore", "bookstore-service-routes",
     "policies/access.yaml:43", "buy-a-book, books-bought", None),
    ("split" + _SMI, "v1alpha2", "TrafficSplit", "bookstore", "bookstore-split",
     "policies/split.yaml:1", "bookstore: bookstore-v1 50 %, bookstore-v2 50 %", _WARNING),
)  # fmt: skip


def bookstore_view(elapsed_s: float, started: datetime, *, page: str = "") -> MeshView:
    """The mesh as it is this many seconds after its start. Equal arguments give equal views."""
    now = started + timedelta(seconds=elapsed_s)
    return MeshView(
        mesh="osm",
        platform="local, namespaces as root",
        policy_mode="smi",
        trust_domain=TRUST_DOMAIN,
        started=_text(started),
        now=_text(now),
        window_s=10.0,
        page=page,
        directory="~/bookstore",
        workloads=_workloads(elapsed_s),
        edges=_edges(elapsed_s),
        proxies=proxy_views(
            elapsed_s, now, [(each[0], each[1], each[3]) for each in _WORKLOADS], TRUST_DOMAIN
        ),
        objects=_objects(),
        denials=_denials(elapsed_s, now),
        findings=(_FINDING, _WARNING),
        push=PushView("TrafficSplit bookstore/bookstore-split", 1.8, 11.4, 2, 3),
        counters=_counters(elapsed_s),
    )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wave(elapsed_s: float, period_s: float, phase: float = 0.0) -> float:
    return math.sin(2 * math.pi * elapsed_s / period_s + phase)


def _workloads(elapsed_s: float) -> tuple[WorkloadView, ...]:
    return tuple(
        WorkloadView(
            namespace=namespace,
            name=name,
            app=app,
            service_account=account,
            identity=f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}",
            phase="unready" if name == "mysql-0" and elapsed_s % 90 > 80 else phase,
            reason="tcp probe of 3306: refused"
            if name == "mysql-0" and elapsed_s % 90 > 80
            else "",
            restarts=1 if name == "mysql-0" else 0,
            services=tuple(f"{namespace}/{app.removesuffix('-v2')}{suffix}" for suffix in services),
            web=f"http://127.0.0.1:{port}/" if port else "",
        )
        for namespace, name, app, account, phase, services, port in _WORKLOADS
    )


def _edges(elapsed_s: float) -> tuple[EdgeView, ...]:
    rate = 7.5 + 2.5 * _wave(elapsed_s, 60)
    v1, v2 = rate * 0.51, rate * 0.49
    to_v1 = EdgeView(
        source_namespace="bookbuyer",
        source="bookbuyer",
        destination_namespace="bookstore",
        destination="bookstore",
        protocol="http",
        requests_per_second=round(v1, 2),
        success_percent=100.0,
        p50_ms=8.4 + _wave(elapsed_s, 31),
        p99_ms=24.0,
        total=int(3.8 * elapsed_s),
        split_percent=50.0,
        split_service="bookstore/bookstore",
    )
    to_v2 = replace(
        to_v1,
        destination="bookstore-v2",
        requests_per_second=round(v2, 2),
        success_percent=round(99.2 + 0.7 * _wave(elapsed_s, 17), 1),
        p99_ms=31.0 + 4 * _wave(elapsed_s, 13),
        total=int(3.7 * elapsed_s),
    )
    restock = EdgeView(
        "bookstore", "bookstore", "bookwarehouse", "bookwarehouse", "http",
        round(v1 / 2, 2), 100.0, 12.0, 41.0, int(1.9 * elapsed_s),
    )  # fmt: skip
    restock_v2 = replace(
        restock,
        source="bookstore-v2",
        requests_per_second=round(v2 / 2, 2),
        success_percent=97.5,
        p99_ms=160.0,
        total=int(1.8 * elapsed_s),
    )
    stored = EdgeView(
        "bookwarehouse", "bookwarehouse", "bookwarehouse", "mysql", "tcp",
        0.4, None, None, None, int(0.4 * elapsed_s),
    )  # fmt: skip
    stolen = EdgeView(
        "bookthief", "bookthief", "bookstore", "bookstore", "http",
        0.0, None, None, None, 0,
        denied_per_second=round(3.0 + 0.8 * _wave(elapsed_s, 23, 1), 2),
        denied_total=int(3.0 * elapsed_s),
        deny_reason=DENY_REASON,
        remedy=REMEDY,
    )  # fmt: skip
    return to_v1, to_v2, stolen, restock, restock_v2, stored


def _objects() -> tuple[ObjectView, ...]:
    return tuple(
        ObjectView(
            group, version, kind, namespace, name, where,
            finding.severity.value if finding else "ok", summary,
            (f"{finding.message} [{finding.code}]",) if finding else (),
        )
        for group, version, kind, namespace, name, where, summary, finding in _OBJECTS
    )  # fmt: skip


def _denials(elapsed_s: float, now: datetime) -> tuple[DenialView, ...]:
    stolen = DenialView(
        time=_text(now - timedelta(milliseconds=300)),
        source="bookthief/bookthief",
        destination="bookstore/bookstore",
        port=14001,
        method="GET",
        path="/buy-a-book/new",
        reason=DENY_REASON,
        count=int(3 * elapsed_s) + 1,
    )
    looked = replace(stolen, path="/books-bought", count=int(1.4 * elapsed_s) + 1)
    foreign = DenialView(
        time=_text(now - timedelta(seconds=41)),
        source="spiffe://other.example/ns/a/sa/b",
        destination="bookwarehouse/mysql-0",
        port=3306,
        method="",
        path="",
        reason="the client's trust domain is not trusted",
    )
    posted = replace(
        stolen,
        time=_text(now - timedelta(seconds=73)),
        source="bookbuyer/bookbuyer",
        method="POST",
        path="/books-bought",
        reason="no match of HTTPRouteGroup bookstore/bookstore-service-routes has POST",
        count=2,
    )
    return stolen, looked, foreign, posted


def _counters(elapsed_s: float) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    bought = int(elapsed_s * 1.9)
    v1 = bought // 2
    return (
        ("bookbuyer/bookbuyer",
         (("booksBought", bought), ("booksBoughtV1", v1), ("booksBoughtV2", bought - v1))),
        ("bookstore/bookstore", (("booksSold", v1),)),
        ("bookstore/bookstore-v2", (("booksSold", bought - v1),)),
        ("bookthief/bookthief", (("booksStolen", 0), ("booksStolenV1", 0), ("booksStolenV2", 0))),
    )  # fmt: skip
