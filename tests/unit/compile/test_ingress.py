"""IngressBackend: who may call what from outside, and what is wrong with it (`reference/osm.md` §10.2)."""

from collections.abc import Mapping, Sequence

import pytest

from osm.core.compile.options import CompileOptions
from osm.core.model.ingress import IngressRule
from osm.core.model.mesh import Model
from osm.testing.builders import (
    Document,
    http_group,
    ingress_backend,
    model,
    namespace,
    pod,
    service,
)

HTTP: Document = {"name": "shop", "port": {"number": 8080, "protocol": "http"}}
HTTPS: Document = {"name": "shop", "port": {"number": 8080, "protocol": "HTTPS"}}
RANGE: Document = {"kind": "IPRange", "name": "10.2.3.4/16"}
GATEWAY: Document = {"kind": "Service", "name": "gateway", "namespace": "edge"}
PRINCIPAL: Document = {"kind": "AuthenticatedPrincipal", "name": "gateway.edge.cluster.local"}
MESH = (
    pod("shop", ip="10.0.0.1"),
    service("shop", {"port": 80, "name": "http", "targetPort": 8080}),
    pod("gateway", namespace="edge", ip="10.0.0.8"),
    pod("gateway-1", namespace="edge", app="gateway", ip="10.0.0.9", ready=False),
    service("gateway", 80, namespace="edge", ip="10.1.0.2"),
)


def meaning(*parts: Document, mesh: Sequence[Document] = MESH) -> Model:
    return model(*mesh, *parts)


def rule(found: Model, workload: str = "shop") -> IngressRule | None:
    """The one rule of a workload, or None."""
    rules = found.ingress.get(("default", workload), ())
    assert len(rules) <= 1
    return rules[0] if rules else None


def with_tls(*names: str, skip: bool = False) -> Document:
    return {**HTTPS, "tls": {"skipClientCertValidation": skip, "sniHosts": list(names)}}


@pytest.mark.parametrize(
    ("backend", "sources", "expected"),
    [
        pytest.param(
            HTTP,
            [RANGE, GATEWAY],
            {"tls": False, "addresses": ("10.0.0.8/32", "10.0.0.9/32", "10.2.0.0/16")},
            id="plain HTTP from a range, and from all pods of a service",
        ),
        pytest.param(
            HTTP,
            [RANGE, PRINCIPAL],
            {"addresses": ("10.2.0.0/16",), "principals": None, "client_certificate": False},
            id="plain HTTP knows no principals",
        ),
        pytest.param(
            HTTPS,
            [PRINCIPAL],
            {
                "tls": True,
                "client_certificate": True,
                "addresses": None,
                "principals": ("gateway.edge.cluster.local",),
                "server_names": (),
            },
            id="HTTPS with a certificate from anywhere, by default",
        ),
        pytest.param(
            with_tls("B.test", "a.test"),
            [PRINCIPAL, RANGE],
            {
                "client_certificate": True,
                "addresses": ("10.2.0.0/16",),
                "principals": ("gateway.edge.cluster.local",),
                "server_names": ("a.test", "b.test"),
            },
            id="HTTPS with a certificate from a range, by server name",
        ),
        pytest.param(
            with_tls(skip=True),
            [RANGE],
            {"tls": True, "client_certificate": False, "principals": None},
            id="HTTPS without a certificate",
        ),
        pytest.param(
            with_tls(skip=True),
            [PRINCIPAL],
            {"addresses": None, "principals": None},
            id="whoever shows no certificate is anybody, as with OSM",
        ),
        pytest.param(
            HTTP,
            [{**GATEWAY, "name": "gone"}],
            {"addresses": ()},
            id="a source that does not exist is nobody",
        ),
        pytest.param(HTTP, [], {"addresses": ()}, id="without sources nobody may call"),
    ],
)
def test_a_backend_means(
    backend: Document, sources: Sequence[Document], expected: Mapping[str, object]
) -> None:
    found = rule(meaning(ingress_backend("i", [backend], sources)))
    assert found is not None
    assert {name: getattr(found, name) for name in expected} == expected
    assert str(found.origin) == "IngressBackend default/i spec.backends[0]"


def test_sources_need_no_proxy_but_a_namespace_of_the_mesh() -> None:
    options = CompileOptions()
    mesh = (namespace("default", monitored_by="osm"), ingress_backend("i", [HTTP], [GATEWAY]))
    outside = model(*MESH, *mesh, options=options)
    inside = model(*MESH, *mesh, namespace("edge", monitored_by="osm"), options=options)
    unmeshed, meshed = rule(outside), rule(inside)
    assert unmeshed is not None and unmeshed.addresses == ()
    (told,) = (each for each in outside.findings if each.code == "OSM343")
    assert "namespace edge is not in the mesh" in told.message
    assert meshed is not None and meshed.addresses == ("10.0.0.8/32", "10.0.0.9/32")


def test_matches_limit_the_requests() -> None:
    group = http_group("g", {"name": "read", "methods": ["GET"], "pathRegex": "/a.*"})
    found = rule(meaning(group, ingress_backend("i", [HTTP], [RANGE], matches=("g", "gone"))))
    assert found is not None and found.matches is not None
    assert [str(match.origin) for match in found.matches] == [
        "HTTPRouteGroup default/g spec.matches[0] (read)"
    ]
    gone = rule(meaning(ingress_backend("i", [HTTP], [RANGE], matches=("gone",))))
    assert gone is not None and gone.matches == ()


@pytest.mark.parametrize(
    ("parts", "code", "where", "text"),
    [
        (
            [ingress_backend("i", [{**HTTP, "name": "gone"}], [RANGE])],
            "OSM341",
            "spec.backends[0]",
            "there is no service 'gone'",
        ),
        (
            [ingress_backend("i", [{"name": "shop", "port": {"number": 80, "protocol": "http"}}], [RANGE])],
            "OSM342",
            "spec.backends[0].port.number",
            "has port 80, which is a port of the service",
        ),
        (
            [ingress_backend("i", [HTTP], [RANGE, {**GATEWAY, "name": "gone"}])],
            "OSM343",
            "spec.sources[1]",
            "there is no service edge/gone",
        ),
        (
            [
                service("empty", 80, namespace="edge", ip="10.1.0.3"),
                ingress_backend("i", [HTTP], [{**GATEWAY, "name": "empty"}]),
            ],
            "OSM343",
            "spec.sources[0]",
            "no pod stands behind service edge/empty",
        ),
        (
            [ingress_backend("i", [HTTP], [RANGE], matches=("gone",))],
            "OSM301",
            "spec.matches[0]",
            "does not exist",
        ),
    ],
)  # fmt: skip
def test_what_takes_nothing_is_told(
    parts: Sequence[Document], code: str, where: str, text: str
) -> None:
    told = meaning(*parts).findings
    (found,) = (each for each in told if each.origin and each.origin.kind == "IngressBackend")
    assert found.origin is not None
    assert (found.code, found.origin.field) == (code, where)
    assert text in found.message


def test_a_port_or_service_that_does_not_exist_takes_nothing() -> None:
    other: Document = {"name": "shop", "port": {"number": 80, "protocol": "http"}}
    gone: Document = {**HTTP, "name": "gone"}
    assert rule(meaning(ingress_backend("i", [other, gone], [RANGE]))) is None


def test_services_of_other_namespaces_are_not_meant() -> None:
    found = meaning(ingress_backend("i", [HTTP], [RANGE], namespace="edge"))
    assert not found.ingress
    assert [finding.code for finding in found.findings] == ["OSM341"]


def test_of_two_for_one_port_the_older_one_counts_whatever_their_names() -> None:
    young = ingress_backend("a", [HTTP], [RANGE], created="2026-01-02T00:00:00Z")
    old = ingress_backend("b", [HTTPS], [PRINCIPAL], created="2026-01-01T00:00:00Z")
    found = meaning(young, old)
    winner = rule(found)
    assert winner is not None and winner.origin.name == "b"
    (conflict,) = found.findings
    assert conflict.code == "OSM344" and str(conflict.origin).startswith("IngressBackend default/a")
    assert "IngressBackend default/b spec.backends[0] already says" in conflict.message


def test_two_services_of_one_pod_may_not_say_different_things_of_its_port() -> None:
    alias = service("alias", {"port": 81, "name": "http", "targetPort": 8080}, app="shop")
    both = ingress_backend("i", [HTTP, {**HTTP, "name": "alias"}], [RANGE])
    found = meaning(alias, both)
    winner = rule(found)
    assert winner is not None and winner.origin.field == "spec.backends[0]"
    assert [str(finding.origin) for finding in found.findings] == [
        "IngressBackend default/i spec.backends[1]"
    ]


def test_two_ingress_backends_for_different_ports_live_together() -> None:
    admin = service("admin", {"port": 80, "name": "http", "targetPort": 9090}, app="shop")
    found = meaning(
        admin,
        ingress_backend("i", [HTTP], [RANGE]),
        ingress_backend("j", [{"name": "admin", "port": {"number": 9090, "protocol": "http"}}], [RANGE]),
    )  # fmt: skip
    assert [each.port for each in found.ingress["default", "shop"]] == [8080, 9090]
    assert not found.findings


def test_the_mesh_is_the_same_with_and_without() -> None:
    without, having = meaning(), meaning(ingress_backend("i", [HTTP], [RANGE]))
    assert having.ingress and not without.ingress
    for name in Model.__struct_fields__:
        if name != "ingress":
            assert getattr(having, name) == getattr(without, name), name
