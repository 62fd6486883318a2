"""`osm check` against a real API server, before and after an installation."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane

from .stand_in import clean, new_root, stand_in
from .verbs import Result, nobody_special, osm

pytestmark = pytest.mark.asyncio(loop_scope="session")

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "old"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {
            "kubeletVersion": "v1.28.4",
            "operatingSystem": "linux",
            "architecture": "amd64",
            "kernelVersion": "6.1.0",
        } | dict.fromkeys(
            ("bootID", "containerRuntimeVersion", "kubeProxyVersion", "machineID", "osImage",
             "systemUUID"), "x"
        ),
    },
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def cluster_(lone_cluster: ControlPlane) -> AsyncIterator[ControlPlane]:
    yield lone_cluster
    await clean(lone_cluster)


def states(result: Result) -> dict[str, str]:
    """How each check came out."""
    return {each["check"]: each["state"] for each in json.loads(result.out)["checks"]}


def details(result: Result, check: str) -> list[str]:
    for each in json.loads(result.out)["checks"]:
        if each["check"] == check:
            found: list[str] = each["details"]
            return found
    raise AssertionError(f"no check {check}")


async def test_before_an_installation_rights_names_and_meshes_are_looked_at(
    cluster_: ControlPlane,
) -> None:
    well = await osm(cluster_, "check", "--pre", "-o", "json")
    assert well.code == 0, well.out
    assert states(well) == {
        "api-answers": "ok",
        "version-new-enough": "ok",
        "version-native-sidecars": "ok",
        "may-install": "ok",
        "nodes-usable": "warning",  # there are none
        "nodes-all-fit": "ok",
        "no-other-mesh": "ok",
        "names-are-free": "ok",
        "stored-versions-known": "ok",
    }
    await cluster_.make_namespace("poor")
    poor = await osm(
        cluster_, "check", "--pre", "-o", "json", kubeconfig=await nobody_special(cluster_, "poor")
    )
    assert poor.code == 1
    assert states(poor)["may-install"] == "error"
    assert states(poor)["nodes-usable"] == "skipped"
    missing = details(poor, "may-install")
    assert "you may not create clusterroles.rbac.authorization.k8s.io" in missing
    assert "you may not patch deployments.apps in osm-system" in missing

    await cluster_.kubectl("create", "clusterrole", "osm", "--verb=get", "--resource=pods")
    await cluster_.kubectl("create", "-f", "-", text=json.dumps(NODE))
    try:
        taken = await osm(cluster_, "check", "--pre-install", "-o", "json")
        assert taken.code == 1
        assert details(taken, "names-are-free") == [
            "ClusterRole osm exists, and is not of this mesh"
        ]
        assert details(taken, "version-native-sidecars") == ["node old is v1.28.4"]
        assert states(taken)["nodes-usable"] == "ok"
    finally:
        await cluster_.kubectl("delete", "clusterrole", "osm")
        await cluster_.kubectl("delete", "node", "old")


async def test_a_mesh_without_pods_fails_where_it_should(cluster_: ControlPlane) -> None:
    nothing = await osm(cluster_, "check", "-o", "json")
    assert nothing.code == 1
    assert details(nothing, "mesh-installed") == ["there is no mesh osm in namespace osm-system"]
    assert (await osm(cluster_, "install", "--no-wait")).code == 0
    found = await osm(cluster_, "check", "-o", "json")
    assert found.code == 1
    errors = {check for check, state in states(found).items() if state == "error"}
    assert errors == {
        "rolled-out", "pods-ready", "lease-held", "webhooks-reachable", "webhooks-trusted",
        "root-valid",
    }  # fmt: skip
    assert details(found, "rolled-out") == ["0 of 1 pods are available"]
    before = await osm(cluster_, "check", "--pre", "-o", "json")
    assert details(before, "no-other-mesh") == [
        "mesh osm is installed already: `osm install` would change it"
    ]


async def test_a_mesh_that_runs_passes_and_what_is_spoiled_is_found(
    cluster_: ControlPlane,
) -> None:
    async with stand_in(cluster_, root=new_root(days=30)) as leader:
        installed = await osm(cluster_, "install", "--preset", "ha", "--timeout", "60s")
        assert installed.code == 0, installed.err
        await leader.lead()
        well = await osm(cluster_, "check", "-o", "json", "--wait", "20s")
        assert well.code == 0, well.out
        amiss = {check for check, state in states(well).items() if state != "ok"}
        assert amiss == {
            "nodes-usable", "highly-available", "root-lasts", "namespaces-in-mesh",
            "injection-works",
        }  # fmt: skip
        assert details(well, "root-lasts")[0].startswith("it ends in 29 days")

        await cluster_.make_namespace("shop")
        labels = (
            "openservicemesh.io/monitored-by=osm",
            "pod-security.kubernetes.io/enforce=restricted",
        )
        await cluster_.kubectl("run", "cart", "--image=x", "-n", "shop")
        await cluster_.kubectl("label", "namespace", "shop", *labels)
        note = "openservicemesh.io/sidecar-injection=enabled"
        await cluster_.kubectl("annotate", "namespace", "shop", note)
        await cluster_.kubectl("delete", "secret", "osm-ca-bundle", "-n", "osm-system")
        await cluster_.kubectl("delete", "service", "osm-validator", "-n", "osm-system")
        spoiled = await osm(cluster_, "check", "-o", "json")
    assert spoiled.code == 1
    assert details(spoiled, "services-there") == ["Service osm-validator is missing"]
    assert details(spoiled, "root-valid")[0].startswith("there is no root certificate")
    assert details(spoiled, "pod-security-fits") == [
        "namespace shop enforces restricted, which forbids NET_ADMIN"
    ]
    assert details(spoiled, "pods-have-proxies") == [
        "pod shop/cart was made before, and has no proxy"
    ]
    # Nobody stands behind the webhook here, so the API server refuses; and nothing was made.
    assert "osm-inject.k8s.io" in details(spoiled, "injection-works")[0]
    pods = json.loads(await cluster_.kubectl("get", "pods", "-n", "shop", "-o", "json"))
    assert [each["metadata"]["name"] for each in pods["items"]] == ["cart"]


async def test_it_waits_for_what_is_still_to_come(cluster_: ControlPlane) -> None:
    assert (await osm(cluster_, "install", "--no-wait")).code == 0
    waiting = asyncio.create_task(osm(cluster_, "check", "--wait", "40s"))
    await asyncio.sleep(1)
    async with stand_in(cluster_) as leader:
        await leader.lead()
        result = await waiting
    assert result.code == 0, result.out
    assert "  ✓ its pods are ready (1 pods)" in result.out.splitlines()
