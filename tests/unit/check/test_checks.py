"""Every check: when it is fine, and what it says when it is not."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.check.facts_of import (
    EMPTY,
    HERE,
    NODE,
    NOW,
    PLANE,
    ROOT_CERTIFICATE,
    WEBHOOKS,
    WELL,
    facts,
    result,
)

from osm.core.check.facts import (
    Definition,
    Lease,
    MeshNamespace,
    Permission,
    Pod,
    Proxy,
    Trial,
    Unseen,
)
from osm.core.check.outcome import State
from osm.core.check.run import GROUPS, run_checks
from osm.core.check.take_over import TAKE_OVER
from osm.core.install.names import Installation

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "check.md"
CHECKS = [check for group in GROUPS for check in group.checks]
TAKER = msgspec.structs.replace(PLANE, former_mesh="old")
TAKING_OVER = facts(
    planes=(
        TAKER,
        msgspec.structs.replace(
            PLANE, installation=Installation("old", "old-system"), version="v1.2.4", ours=False
        ),
    ),
    namespaces=(MeshNamespace("shop", "enabled", "", ignored=False, former_mesh="old"),),
    former_namespaces=("bank",),
)
OTHER = msgspec.structs.replace(PLANE, installation=Installation("shop", "shop"))


def test_a_cluster_and_a_mesh_that_are_well_pass() -> None:
    assert {(each.check, each.state) for each in run_checks(EMPTY, before=True)} == {
        (check.name, State.OK) for check in CHECKS if check.before
    }
    assert {(each.check, each.state) for each in run_checks(WELL, before=False)} == {
        (check.name, State.OK) for check in CHECKS if check.after and check not in TAKE_OVER.checks
    }
    assert {(each.check, each.state) for each in run_checks(TAKING_OVER, before=False)} == {
        (check.name, State.OK) for check in CHECKS if check.after
    }


BEFORE = [
    ("may-install", "error", "you may not create roles.rbac.authorization.k8s.io in osm-system",
     {"permissions": (Permission("create", "roles.rbac.authorization.k8s.io", "osm-system",
                                 allowed=False),)}),
    ("no-other-mesh", "error", "mesh shop in namespace shop wants to be the only mesh",
     {"planes": (OTHER,)}),
    ("no-other-mesh", "error", "this mesh wants to be the only one",
     {"planes": (msgspec.structs.replace(OTHER, single=False),)}),
    ("no-other-mesh", "error", "take over from it by --set osm.formerMeshName=shop",
     {"planes": (msgspec.structs.replace(OTHER, ours=False),)}),
    ("no-other-mesh", "warning", "mesh osm is installed already", {"planes": (PLANE,)}),
    ("no-other-mesh", "error", "mesh osm is of OSM v1.2.4: `osm migrate check`",
     {"planes": (msgspec.structs.replace(PLANE, version="v1.2.4"),)}),
    ("names-are-free", "error", "ClusterRole osm exists, and is not of this mesh",
     {"foreign": ("ClusterRole osm",)}),
]  # fmt: skip
AFTER = [
    ("api-answers", "error", "no route", {"server": Unseen("no route")}),
    ("version-new-enough", "error", "the API server is v1.22.17", {"server": "v1.22.17"}),
    ("version-native-sidecars", "warning", "the API server is v1.28.9", {"server": "v1.28.9"}),
    ("version-native-sidecars", "warning", "node n1 is v1.28.3",
     {"nodes": (msgspec.structs.replace(NODE, kubelet="v1.28.3"),)}),
    ("nodes-usable", "warning", "the cluster has no nodes", {"nodes": ()}),
    ("nodes-usable", "error", "of 1 nodes none is ready",
     {"nodes": (msgspec.structs.replace(NODE, ready=False),)}),
    ("nodes-usable", "skipped", "you may not list nodes", {"nodes": Unseen("you may not list nodes")}),
    ("nodes-all-fit", "warning", "node n1 runs windows",
     {"nodes": (msgspec.structs.replace(NODE, system="windows"),)}),
    ("nodes-all-fit", "warning", "node n1 is s390x",
     {"nodes": (msgspec.structs.replace(NODE, architecture="s390x"),)}),
    ("nodes-all-fit", "warning", "node n1 has kernel 3.10.0",
     {"nodes": (msgspec.structs.replace(NODE, kernel="3.10.0-1160.el7"),)}),
    ("mesh-installed", "error", "there is no mesh osm in namespace osm-system", {"planes": ()}),
    ("mesh-installed", "error", "mesh shop is in namespace shop", {"planes": (OTHER,)}),
    ("rolled-out", "error", "1 of 2 pods are available",
     {"planes": (msgspec.structs.replace(PLANE, why_unready="1 of 2 pods are available"),)}),
    ("pods-ready", "error", "there is no pod", {"pods": ()}),
    ("pods-ready", "error", "pod c-1: container x: ImagePullBackOff",
     {"pods": (Pod("c-1", "container x: ImagePullBackOff", 0, "n"),)}),
    ("pods-steady", "warning", "pod c-1 was started again 9 times", {"pods": (Pod("c-1", "", 9, "n"),)}),
    ("highly-available", "warning", "there is one replica", {"pods": (Pod("c-1", "", 0, "n1"),)}),
    ("highly-available", "warning", "all replicas are on node n1",
     {"pods": (Pod("c-1", "", 0, "n1"), Pod("c-2", "", 0, "n1"))}),
    ("services-there", "error", "Service osm-validator is missing",
     {"services": ("osm-controller", "osm-injector")}),
    ("config-there", "error", "MeshConfig osm-system/osm-mesh-config is missing", {"has_config": False}),
    ("same-version", "warning", "this osm is 2.1.0, the control plane 2.0.0", {"client_version": "2.1.0"}),
    ("lease-held", "error", "nobody holds the lease", {"lease": None}),
    ("lease-held", "error", "c-1 held it last: 2026-11-21 11:59:00 UTC",
     {"lease": Lease("c-1", NOW - timedelta(seconds=60), 15)}),
    ("stored-versions-known", "error", "egresses.x has objects stored as v0",
     {"definitions": (Definition("egresses.x", "", ("v1",), ("v0", "v1")),)}),
    ("kinds-defined", "error", "egresses.x is missing", {"definitions": ()}),
    ("kinds-defined", "error", "egresses.x does not serve v1",
     {"definitions": (Definition("egresses.x", "", ("v0",), ("v1",)),)}),
    ("kinds-defined", "error", "egresses.x: it is not established yet",
     {"definitions": (Definition("egresses.x", "it is not established yet", ("v1",), ("v1",)),)}),
    ("webhooks-there", "error", "webhook configuration osm-webhook-osm is missing",
     {"webhooks": WEBHOOKS[1:]}),
    ("webhooks-reachable", "error", "no ready pod stands behind Service osm-system/osm-injector",
     {"webhooks": (msgspec.structs.replace(WEBHOOKS[0], endpoints=0),)}),
    ("webhooks-trusted", "error", "osm-webhook-osm has no caBundle yet",
     {"webhooks": (msgspec.structs.replace(WEBHOOKS[0], bundle=""),)}),
    ("webhooks-trusted", "error", "osm-webhook-osm trusts another root",
     {"webhooks": (msgspec.structs.replace(WEBHOOKS[0], bundle="other"),)}),
    ("webhooks-trusted", "skipped", "you may not read it", {"root": Unseen("you may not read it")}),
    ("root-valid", "error", "there is no root certificate yet", {"root": None}),
    ("root-valid", "error", "it ended on 2026-11-20",
     {"root": msgspec.structs.replace(ROOT_CERTIFICATE, not_after=NOW - timedelta(days=1))}),
    ("root-valid", "error", "is a clock wrong?",
     {"root": msgspec.structs.replace(ROOT_CERTIFICATE, not_before=NOW + timedelta(hours=1))}),
    ("root-lasts", "warning", "it ends in 59 days, on 2027-01-20",
     {"root": msgspec.structs.replace(ROOT_CERTIFICATE, not_after=NOW + timedelta(days=59.5))}),
    ("namespaces-in-mesh", "warning", "no namespace is in the mesh yet", {"namespaces": ()}),
    ("injection-understood", "error", "namespace shop: sidecar-injection is 'on'",
     {"namespaces": (MeshNamespace("shop", "on", "", ignored=False),)}),
    ("namespaces-not-ignored", "warning", "namespace shop has the label",
     {"namespaces": (MeshNamespace("shop", "enabled", "", ignored=True),)}),
    ("pod-security-fits", "error", "namespace shop enforces restricted",
     {"namespaces": (MeshNamespace("shop", "Enabled", "restricted", ignored=False),)}),
    ("injection-works", "error", "was refused: webhook said no",
     {"trial": Trial("shop", "webhook said no", injected=False)}),
    ("injection-works", "error", "a pod for namespace shop got no proxy",
     {"trial": Trial("shop", "", injected=False)}),
    ("injection-works", "skipped", "no namespace is in the mesh with injection", {"trial": None}),
    ("pods-have-proxies", "warning", "pod shop/old was made before, and has no proxy",
     {"proxies": (Proxy("shop", "old", "", ""),)}),
    ("proxied-pods-ready", "warning", "pod shop/cart: Pending",
     {"proxies": (Proxy("shop", "cart", "envoy:1", "Pending"),)}),
    ("proxies-alike", "warning", "1 with envoy:2",
     {"proxies": (Proxy("a", "b", "envoy:1", ""), Proxy("a", "c", "envoy:2", ""))}),
    ("proxies-connected", "error", "the proxy of shop/cart is not connected",
     {"disconnected": ("shop/cart",)}),
]  # fmt: skip

TAKE_OVERS = [
    ("former-mesh-is-there", "warning", "there is no control plane of mesh old any more",
     {"planes": (TAKER,)}),
    ("former-mesh-is-there", "ok", "to be taken over still: bank", {}),
    ("taken-namespaces-served", "error", "namespace shop of mesh old was taken over, and that mesh is not",
     {"planes": (PLANE,)}),
    ("former-proxies-gone", "warning", "pod shop/cart-1 has its proxy from OSM still",
     {"proxies": (Proxy("shop", "cart-1", "", "", former=True),)}),
    # It has a proxy, and will get another one.
    ("proxied-pods-ready", "ok", "0 pods", {"proxies": (Proxy("shop", "cart-1", "", "", former=True),)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "state", "text", "changed"), TAKE_OVERS)
def test_of_a_mesh_that_takes_over(
    name: str, state: str, text: str, changed: dict[str, Any]
) -> None:
    _expect(name, state, text, facts(TAKING_OVER, **changed), before=False)


def test_an_old_proxy_is_not_missing() -> None:
    old = Proxy("shop", "cart-1", "", "", former=True)
    assert result("pods-have-proxies", facts(TAKING_OVER, proxies=(old,))).state is State.OK


@pytest.mark.parametrize(("name", "state", "text", "changed"), BEFORE)
def test_before_an_installation(name: str, state: str, text: str, changed: dict[str, Any]) -> None:
    _expect(name, state, text, facts(EMPTY, **changed), before=True)


@pytest.mark.parametrize(("name", "state", "text", "changed"), AFTER)
def test_of_an_installed_mesh(name: str, state: str, text: str, changed: dict[str, Any]) -> None:
    _expect(name, state, text, facts(WELL, **changed), before=False)


def _expect(name: str, state: str, text: str, looked_at: Any, *, before: bool) -> None:
    found = result(name, looked_at, before=before)
    assert found.state == state
    assert any(text in line for line in found.details), found.details
    assert bool(found.hint) == (state in ("warning", "error"))


def test_every_check_has_a_row_above_in_which_it_fails() -> None:
    assert {name for name, *_ in (*BEFORE, *AFTER, *TAKE_OVERS)} == {check.name for check in CHECKS}


def test_what_is_fatal_ends_the_list() -> None:
    gone = run_checks(facts(server=Unseen("no route")), before=False)
    assert [each.check for each in gone] == ["api-answers"]
    nothing = run_checks(facts(planes=()), before=False)
    assert nothing[-1].check == "mesh-installed"


def test_hints_name_the_namespace_of_the_mesh() -> None:
    away = Installation("osm", "mesh")
    plane = msgspec.structs.replace(PLANE, installation=away)
    found = result("pods-ready", facts(installation=away, planes=(plane,), pods=()))
    assert "kubectl logs -n mesh -l" in found.hint


def test_the_page_has_a_part_for_each_check_and_for_nothing_else() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (\S+)$", text, re.MULTILINE) == [check.name for check in CHECKS]
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == [group.name for group in GROUPS]
    parts = re.split(r"^##+ .*$", text, flags=re.MULTILINE)[1:]
    assert [part for part in parts if part.strip()] == [
        part for part in parts if len(part.strip()) > 40
    ]
    assert {each.page for each in run_checks(WELL, before=False)} <= {
        f"docs/reference/check.md#{check.name}" for check in CHECKS
    }


def test_a_mesh_elsewhere_is_not_the_one_that_is_meant() -> None:
    plane = msgspec.structs.replace(PLANE, installation=Installation(HERE.mesh, "elsewhere"))
    found = result("mesh-installed", facts(planes=(plane,)))
    assert found.details == (
        "there is no mesh osm in namespace osm-system",
        "mesh osm is in namespace elsewhere",
    )
