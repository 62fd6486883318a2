"""MeshConfig names an external authorizer: who is asked about what, and who may ask."""

from typing import Any

import pytest
from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.envoy.catalog import Value
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.envoy.ingress import IngressRoutes
from osm.core.model.authorization import CHECK_PATH, Authorization
from osm.core.model.extension import ExtensionServer
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    Document,
    identity,
    ingress_backend,
    mesh_config,
    model,
    pod,
    port_name,
    proxy,
    service,
    upstream,
)

MESH = (
    pod("shop"),
    service("shop", 80),
    pod("db", ip="10.0.0.4"),
    service("db", {"port": 5432, "name": "tcp-db"}, ip="10.1.0.4"),
    pod("opa", namespace="opa", ip="10.0.0.2"),
    service(
        "opa",
        {"port": 9191, "name": "grpc"},
        {"port": 8181, "name": "http-api"},
        namespace="opa",
        ip="10.1.0.2",
    ),
)
FIXED = {"entries": [{"genericKey": {"value": "x"}}]}


def config(address: str = "opa.opa.svc.cluster.local", **more: Any) -> Document:
    written = {"enable": True, "address": address, "port": 9191, **more}
    return mesh_config(traffic={"inboundExternalAuthorization": written})


def routes(found: Model, workload: str, name: str) -> Value | None:
    return value_of(catalog_of(found), proxy(found, workload), types.ROUTE, name)


def asked_by(found: Model, workload: str, port: int) -> str:
    """The cluster that is asked about requests to a port; empty: nobody is."""
    value = routes(found, workload, f"rds-inbound.{port}")
    assert isinstance(value, InboundRoutes)
    return value.authorizer.cluster if value.authorizer else ""


def test_the_settings_are_those_that_were_written() -> None:
    found = model(*MESH, config(timeout="1.5s", failureModeAllow=True, statPrefix="s"))
    assert found.settings.authorization == Authorization(
        ExtensionServer("opa.opa.svc.cluster.local", 9191), 1_500_000_000, True, "s"
    )
    (plain,) = {model(*MESH, config()).settings.authorization}
    assert plain is not None and plain.stat_prefix == "inboundExtAuthz"
    assert (plain.timeout_ns, plain.failure_mode_allow) == (1_000_000_000, False)


def test_nobody_is_asked_unless_it_is_enabled() -> None:
    found = model(*MESH, config(enable=False))
    assert found.settings.authorization is None
    assert asked_by(found, "shop", 80) == "" and found.asked == {}


@pytest.mark.parametrize(
    ("address", "cluster"),
    [
        ("opa.opa.svc.cluster.local", "opa/opa|9191"),
        ("OPA.opa.", "opa/opa|9191"),
        ("10.1.0.2", "opa/opa|9191"),
        ("opa.example.org", "extension|opa.example.org|9191|h2|0"),
    ],
)
def test_the_authorizer_is_asked_in_the_mesh_or_beyond_it(address: str, cluster: str) -> None:
    found = model(*MESH, config(address))
    assert asked_by(found, "shop", 80) == cluster
    catalog = catalog_of(found)
    # It is there before the first request; and not where there is nothing to ask.
    assert cluster in catalog.names(proxy(found, "shop"), types.CLUSTER)
    assert cluster not in catalog.names(proxy(found, "db"), types.CLUSTER)
    assert found.findings == ()


def test_nobody_is_asked_about_the_authorizer_or_about_servers_that_keep_limits() -> None:
    host = {"host": "shop.default", "port": 80}
    spec = {
        "rateLimit": {
            "global": {
                "http": {"rateLimitService": host, "domain": "d", "descriptors": [FIXED]},
            }
        }
    }
    found = model(
        *MESH, config(), upstream("u", "opa.opa.svc.cluster.local", spec, namespace="opa")
    )
    # Here the shop keeps limits for OPA, which asks nobody about itself.
    for workload, port in (("opa/opa", 9191), ("opa/opa", 8181), ("shop", 80)):
        value = routes(found, workload, f"rds-inbound.{port}")
        assert isinstance(value, InboundRoutes)
        assert value.authorizer is None and not any(host.everywhere for host in value.hosts)


def test_every_identity_may_ask_the_authorizer_and_nothing_else() -> None:
    (rule,) = model(*MESH, config()).asked[port_name("opa/opa:9191")]
    assert rule.destination == identity("opa/opa") and rule.anyone
    assert rule.http is not None and rule.http.path is not None
    assert (rule.http.methods, rule.http.path.value, rule.ports) == (("POST",), CHECK_PATH, (9191,))
    assert (
        str(rule.origin) == "MeshConfig osm-mesh-config spec.traffic.inboundExternalAuthorization"
    )


def test_it_is_asked_about_what_comes_from_outside() -> None:
    backend = {"name": "shop", "port": {"number": 80, "protocol": "http"}}
    ingress = ingress_backend("i", [backend], [{"kind": "IPRange", "name": "10.0.0.0/8"}])
    value = routes(model(*MESH, config(), ingress), "shop", "rds-ingress.80")
    assert isinstance(value, IngressRoutes) and value.authorizer is not None


@pytest.mark.parametrize(
    "address", ["gone.opa.svc.cluster.local", "opa.gone.svc.cluster.local", "db.default"]
)
def test_an_authorizer_that_is_not_there_is_told(address: str) -> None:
    parts = config(address, port=5432) if address == "db.default" else config(address)
    found = model(*MESH, parts)
    assert [finding.code for finding in found.findings] == ["OSM391"]
