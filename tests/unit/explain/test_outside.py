"""`explain` for callers outside of the mesh."""

import pytest

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.testing.builders import http_group, ingress_backend, model, pod, service

MODEL = model(
    pod("shop"),
    service(
        "shop",
        {"port": 80, "name": "http", "targetPort": 8080},
        {"port": 81, "name": "http-admin", "targetPort": 8081},
    ),
    pod("closed", ip="10.0.0.2"),
    service("closed", 80, ip="10.1.0.2"),
    http_group("read", {"name": "m", "methods": ["GET"], "pathRegex": "/pages/.*"}),
    ingress_backend(
        "pages",
        [{"name": "shop", "port": {"number": 8080, "protocol": "http"}}],
        [{"kind": "IPRange", "name": "10.2.0.0/16"}],
        matches=("read",),
    ),
    ingress_backend(
        "admin",
        [{"name": "shop", "port": {"number": 8081, "protocol": "https"}}],
        [{"kind": "AuthenticatedPrincipal", "name": "gateway.edge.cluster.local"}],
    ),
)


@pytest.mark.parametrize(
    ("source", "destination", "path", "verdict", "text"),
    [
        ("10.2.1.1", "shop.default:8080", "/pages/1", "allowed", "allowed by IngressBackend"),
        ("10.3.1.1", "shop.default:8080", "/pages/1", "denied", "10.3.1.1 may not call"),
        ("10.2.1.1", "shop.default:8080", "/other", "denied", "no match of IngressBackend"),
        ("10.2.1.1", "shop.default:8080", "/pages/../x", "denied", "no match of IngressBackend"),
        ("10.2.1.1", "shop.default:8080", "/pages%2fx", "redirected", "escaped slash"),
        ("10.2.1.1", "shop.default:80", "/pages/1", "denied", "no IngressBackend"),
        ("10.2.1.1", "shop.default", "/pages/1", "bad destination", "name one"),
        ("10.2.1.1", "closed.default", "/", "denied", "no IngressBackend"),
        ("10.2.1.1", "gone.default", "/", "no route", "no service 'gone.default'"),
        (
            "1.1.1.1",
            "shop.default.svc.cluster.local:8081",
            "/",
            "allowed",
            "if the client's certificate shows gateway.edge.cluster.local",
        ),
    ],
)
def test_a_request_from_outside_is_explained(
    source: str, destination: str, path: str, verdict: str, text: str
) -> None:
    found = explain(MODEL, Question(source, destination, "GET", path))
    assert (found.verdict, found.allowed) == (verdict, verdict == "allowed")
    assert text in found.summary
