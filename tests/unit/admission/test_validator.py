"""What the validator answers: as `osm validate`, and about objects that contradict each other."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.admission.reviews import asked, of_mesh, validator

from osm.core.api.codes import CONTRADICTION, NOT_ALLOWED
from osm.core.compile.codes import INGRESS_TWICE, LIMITS_TWICE

Json = dict[str, Any]
POLICY = "policy.openservicemesh.io/v1alpha1"


def an_object(version: str, kind: str, name: str, spec: Json, namespace: str = "shop") -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def ingress(name: str, *backends: tuple[str, int], namespace: str = "shop") -> Json:
    spec = {
        "backends": [
            {"name": service, "port": {"number": port, "protocol": "http"}}
            for service, port in backends
        ],
        "sources": [{"kind": "IPRange", "name": "10.0.0.0/8"}],
    }
    return an_object(POLICY, "IngressBackend", name, spec, namespace)


def limits(name: str, host: str, namespace: str = "shop") -> Json:
    spec = {"host": host, "connectionSettings": {"tcp": {"maxConnections": 1}}}
    return an_object(POLICY, "UpstreamTrafficSetting", name, spec, namespace)


def root(name: str, role: str, **spec: object) -> Json:
    secret = {"name": "osm-ca-bundle", "namespace": "osm-system"}
    given = {"role": role, "provider": {"tresor": {"ca": {"secretRef": secret}}}, **spec}
    version = "config.openservicemesh.io/v1alpha2"
    return an_object(version, "MeshRootCertificate", name, given, "osm-system")


def target(to: str = "shop") -> Json:
    who = {"kind": "ServiceAccount", "name": "buyer", "namespace": "shop"}
    spec = {
        "destination": {"kind": "ServiceAccount", "name": "store", "namespace": to},
        "sources": [who],
        "rules": [{"kind": "TCPRoute", "name": "all"}],
    }
    return an_object("access.smi-spec.io/v1alpha3", "TrafficTarget", "a", spec)


def egress(*matches: Json) -> Json:
    spec = {
        "sources": [{"kind": "ServiceAccount", "name": "a", "namespace": "shop"}],
        "hosts": ["example.com"],
        "ports": [{"number": 80, "protocol": "http"}],
        "matches": list(matches),
    }
    return an_object(POLICY, "Egress", "a", spec)


def reference(kind: str, name: str, group: str = POLICY) -> Json:
    return {"apiGroup": group, "kind": kind, "name": name}


SERVICE = "shop.shop.svc.cluster.local"
SPECS = "specs.smi-spec.io/v1alpha4"

Case = tuple[list[Json], Json | None, Json, str]
CASES: dict[str, Case] = {
    # what is there, what is replaced, what is written, the code of the refusal
    "the first ingress": ([], None, ingress("a", ("shop", 80)), ""),
    "a second one": ([ingress("a", ("shop", 80))], None, ingress("b", ("shop", 80)), INGRESS_TWICE),
    "among others": (
        [ingress("a", ("x", 1), ("shop", 80))],
        None,
        ingress("b", ("y", 1), ("shop", 80)),
        INGRESS_TWICE,
    ),
    "for another port": ([ingress("a", ("shop", 80))], None, ingress("b", ("shop", 81)), ""),
    "for another service": ([ingress("a", ("shop", 80))], None, ingress("b", ("bank", 80)), ""),
    "in another namespace": (
        [ingress("a", ("shop", 80), namespace="mall")],
        None,
        ingress("b", ("shop", 80)),
        "",
    ),
    "the same one, written again": (
        [ingress("a", ("shop", 80))],
        ingress("a", ("shop", 80)),
        ingress("a", ("shop", 80), ("shop", 81)),
        "",
    ),
    "one that grows into another": (
        [ingress("a", ("shop", 80)), ingress("b", ("shop", 81))],
        ingress("b", ("shop", 81)),
        ingress("b", ("shop", 81), ("shop", 80)),
        INGRESS_TWICE,
    ),
    "one that was a second one before": (
        [ingress("a", ("shop", 80)), ingress("b", ("shop", 80))],
        ingress("b", ("shop", 80)),
        ingress("b", ("shop", 80), ("shop", 81)),
        "",
    ),
    "one port twice": ([], None, ingress("a", ("shop", 80), ("shop", 80)), "OSM116"),
    "limits": ([], None, limits("a", SERVICE), ""),
    "limits for the same host": ([limits("a", SERVICE)], None, limits("b", SERVICE), LIMITS_TWICE),
    "for the same host, written otherwise": (
        [limits("a", SERVICE)],
        None,
        limits("b", "Shop.Shop.svc.cluster.local."),
        LIMITS_TWICE,
    ),
    "limits, written again": (
        [limits("a", SERVICE)],
        limits("a", SERVICE),
        limits("a", SERVICE),
        "",
    ),
    "limits of a host beyond the mesh, twice": (
        [limits("a", "example.com")],
        None,
        limits("b", "example.com"),
        "",
    ),
    "limits for a name without namespace": ([], None, limits("a", "shop"), "OSM138"),
    "a target of its namespace": ([], None, target("shop"), ""),
    "a target that names none": ([], None, target(""), "OSM120"),
    "a target of another namespace": ([], None, target("bank"), "OSM142"),
    "an egress": ([], None, egress(reference("HTTPRouteGroup", "a", SPECS)), ""),
    "with limits": ([], None, egress(reference("UpstreamTrafficSetting", "a")), ""),
    "with limits twice": (
        [],
        None,
        egress(reference("UpstreamTrafficSetting", "a"), reference("UpstreamTrafficSetting", "b")),
        "OSM149",
    ),
    "with what cannot stand there": ([], None, egress(reference("Retry", "a")), "OSM149"),
    "the first root": ([], None, root("a", "active"), ""),
    "a passive one beside it": ([root("a", "active")], None, root("b", "passive"), ""),
    "an inactive one": (
        [root("a", "active"), root("b", "passive")],
        None,
        root("c", "inactive"),
        "",
    ),
    "a second active one": ([root("a", "active")], None, root("b", "active"), CONTRADICTION),
    "a second passive one": ([root("a", "passive")], None, root("b", "passive"), CONTRADICTION),
    "a third one": (
        [root("a", "active"), root("b", "active")],
        None,
        root("c", "passive"),
        CONTRADICTION,
    ),
    "from passive to active": (
        [root("a", "active"), root("b", "passive")],
        root("b", "passive"),
        root("b", "active"),
        "",
    ),
    "from active to passive, without another": (
        [root("a", "active")],
        root("a", "active"),
        root("a", "passive"),
        CONTRADICTION,
    ),
    "from active to passive, beside an active one": (
        [root("a", "active"), root("b", "active")],
        root("a", "active"),
        root("a", "passive"),
        "",
    ),
    "from inactive to passive, as a third one": (
        [root("a", "active"), root("b", "passive"), root("c", "inactive")],
        root("c", "inactive"),
        root("c", "passive"),
        CONTRADICTION,
    ),
    "from active to inactive": (
        [root("a", "active"), root("b", "active")],
        root("a", "active"),
        root("a", "inactive"),
        NOT_ALLOWED,
    ),
    "from inactive to active": (
        [root("a", "inactive"), root("b", "active")],
        root("a", "inactive"),
        root("a", "active"),
        NOT_ALLOWED,
    ),
    "another trust domain": (
        [root("a", "active")],
        root("a", "active"),
        root("a", "active", trustDomain="example.com"),
        NOT_ALLOWED,
    ),
    "SPIFFE later": (
        [root("a", "active")],
        root("a", "active"),
        root("a", "active", spiffeEnabled=True),
        NOT_ALLOWED,
    ),
}


def writing(new: Json, old: Json | None) -> Json:
    operation = "CREATE" if old is None else "UPDATE"
    namespace = new["metadata"]["namespace"]
    return of_mesh(new, operation=operation, oldObject=old, namespace=namespace)


@pytest.mark.parametrize(("present", "old", "new", "code"), CASES.values(), ids=CASES)
async def test_what_an_object_may_add(
    present: list[Json], old: Json | None, new: Json, code: str
) -> None:
    found = await asked(validator(*present), writing(new, old))
    assert found.allowed is (code == ""), found
    if code:
        assert f"[{code}]" in found.message
        assert (found.status["code"], found.status["reason"]) == (403, "Forbidden")


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
@pytest.mark.parametrize("new", [case[2] for case in CASES.values()], ids=CASES)
async def test_everything_may_go(new: Json, operation: str) -> None:
    others = [each for case in CASES.values() for each in case[0]]
    deleting = of_mesh(new, operation=operation, oldObject=new)
    deleting["request"]["object"] = None
    assert (await asked(validator(*others), deleting)).allowed


def wrong(change: Callable[[Json], None] | None = None) -> Json:
    """With one mistake from before, and maybe another."""
    found = copy.deepcopy(ingress("a", ("shop", 15000)))
    if change is not None:
        change(found)
    return found


async def test_what_was_wrong_before_is_a_warning_and_what_is_new_is_refused() -> None:
    answer = validator()
    labelled = wrong(lambda it: it["metadata"].update(labels={"a": "b"}))
    same = await asked(answer, writing(labelled, wrong()))
    assert same.allowed and "[OSM130]" in same.warnings[0]
    worse = wrong(lambda it: it["spec"]["sources"].append({"kind": "IPRange", "name": "nowhere"}))
    refused = await asked(answer, writing(worse, wrong()))
    assert not refused.allowed and "[OSM135]" in refused.message
    assert "[OSM130]" not in refused.message and "[OSM130]" in refused.warnings[0]
    leaving = wrong(lambda it: it["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"))
    assert (await asked(answer, writing(leaving, ingress("a", ("shop", 80))))).allowed


async def test_a_refusal_has_the_field_the_code_and_what_to_do() -> None:
    found = await asked(validator(), writing(wrong(), None))
    assert found.message == (
        "spec.backends[0].port.number: port 15000 belongs to the proxy [OSM130]. "
        "Name the port that the application listens on."
    )


async def test_targets_of_other_namespaces_can_be_let_through() -> None:
    """By the flag --validate-traffic-target."""
    found = await asked(validator(validate_traffic_target=False), writing(target("bank"), None))
    assert found.allowed and "[OSM142]" in found.warnings[0]


async def test_hundreds_of_mistakes_make_a_short_message() -> None:
    many = ingress("a", *((f"s{n}", 15000) for n in range(300)))
    found = await asked(validator(), writing(many, None))
    assert found.message.count("\n") == 10
    assert found.message.endswith("and 290 more; `osm validate` shows all")
    odd = target()
    odd["spec"]["rules"] = []
    odd["spec"]["sources"] = []
    odd["spec"].update({f"field{n}": "x" * 1000 for n in range(50)})
    warned = await asked(validator(), writing(odd, None))
    assert warned.allowed
    assert max(map(len, warned.warnings)) <= 256 and len(warned.warnings) == 13
    assert all(each.isprintable() for each in warned.warnings)
