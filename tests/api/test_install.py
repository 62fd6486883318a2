"""`osm install` against a real API server: what it makes, refuses, waits for, and takes back."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yaml
from tests.kubernetes.control_plane import ControlPlane

from osm.kubernetes.resources import ref_of

from .stand_in import EVERYTHING, clean, forms, names, reading, stand_in
from .verbs import get, nobody_special, osm

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def empty(lone_cluster: ControlPlane) -> AsyncIterator[ControlPlane]:
    """A cluster without a mesh."""
    yield lone_cluster
    await clean(lone_cluster)


def says(wanted: Any, there: Any) -> bool:
    """Whether what is there has all that is wanted; the API server adds defaults."""
    if isinstance(wanted, dict):
        # It also leaves out mappings that are empty.
        return all(says(value, (there or {}).get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(there or ()) and all(map(says, wanted, there or ()))
    return bool(wanted == there) or {"1.5": "1500m", "0.5": "500m"}.get(wanted) == there


async def test_it_makes_what_a_dry_run_prints(empty: ControlPlane) -> None:
    printed = await osm(empty, "install", "--dry-run")
    documents = [each for each in yaml.safe_load_all(printed.out) if each]
    assert (printed.code, printed.err) == (0, "")

    await clean(empty, definitions=True)
    before = await names(empty, *EVERYTHING)
    first = await osm(empty, "install", "--no-wait")
    assert first.code == 0, first.err
    assert first.out == (
        "OSM installed successfully in namespace [osm-system] with mesh name [osm]\n"
    )
    made = await names(empty, *EVERYTHING, "meshconfigs") - before
    assert made == {
        f"{d['kind']}/{d['metadata'].get('namespace', '')}/{d['metadata']['name']}"
        for d in documents
    }
    async with reading(empty) as objects:
        for document in documents:
            assert says(document, await objects.get(ref_of(document))), document


async def test_again_nothing_changes(empty: ControlPlane) -> None:
    first = await osm(empty, "install", "--no-wait")
    # All but the Deployment, whose status goes on.
    kinds = [each for each in (*EVERYTHING, "meshconfigs") if each != "deployments"]
    there = await forms(empty, *kinds)
    again = await osm(empty, "install", "--no-wait")
    assert (again.code, again.out) == (0, first.out)
    assert "created" not in again.err
    assert "configured" not in again.err
    assert await forms(empty, *kinds) == there


async def define(cluster: ControlPlane) -> None:
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    await cluster.kubectl(*apply, text=(await osm(cluster, "crds")).out)
    await cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")


async def test_kubectl_takes_what_a_dry_run_prints(empty: ControlPlane) -> None:
    await define(empty)
    listed = json.loads((await osm(empty, "install", "--dry-run", "-o", "json")).out)
    assert listed["kind"] == "List"
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    await empty.kubectl(*apply, text=json.dumps(listed))
    installed = await osm(empty, "mesh", "list", "-o", "name")
    assert installed.out == "osm-system/osm\n"


async def test_it_waits_until_pods_are_ready_and_webhooks_trusted(empty: ControlPlane) -> None:
    async with stand_in(empty):
        result = await osm(empty, "install", "--timeout", "30s", "--preset", "ha")
    assert result.code == 0, result.err
    assert "Deployment osm-system/osm-controller: ready" in result.err
    # The stand-in's pods answer nobody.
    assert "Warning: the API server does not reach the mesh's webhooks yet" in result.err
    deployment = await get(empty, "deployment", "osm-controller", "-n", "osm-system")
    assert deployment["status"]["availableReplicas"] == 3


async def test_a_wait_that_takes_too_long_shows_the_pods_and_warnings(
    empty: ControlPlane,
) -> None:
    result = await osm(empty, "install", "--timeout", "2s")
    assert (result.code, result.out) == (1, "")
    pods = result.err[result.err.index("\nPOD ") :]
    assert "Unschedulable: no nodes available" in pods.splitlines()[2]
    assert "The last warnings in namespace osm-system:" in pods
    assert "FailedScheduling" in pods
    assert "Error: Not ready within 2 s:" in pods
    assert "Deployment osm-system/osm-controller: 0 of 1 pods are available" in pods
    # It may be tried again, and comes to its end.
    async with stand_in(empty):
        again = await osm(empty, "install", "--timeout", "30s")
    assert again.code == 0, again.err


async def test_atomic_takes_back_what_it_made_and_nothing_else(empty: ControlPlane) -> None:
    await empty.kubectl("create", "namespace", "osm-system")
    await empty.kubectl("create", "configmap", "mine", "-n", "osm-system")
    await define(empty)
    before = await names(empty, *EVERYTHING, "meshconfigs")
    result = await osm(empty, "install", "--timeout", "1s", "--atomic")
    assert (result.code, result.out) == (1, "")
    assert "Everything that was made is undone." in result.err
    assert await names(empty, *EVERYTHING, "meshconfigs") == before
    assert "ConfigMap/osm-system/mine" in before


async def test_a_mesh_that_wants_to_be_alone_lets_no_other_in(empty: ControlPlane) -> None:
    assert (await osm(empty, "install", "--no-wait")).code == 0
    other = ("install", "--no-wait", "--mesh-name", "shop", "--osm-namespace", "shop")
    refused = await osm(empty, *other, "--enforce-single-mesh=false")
    assert (refused.code, refused.out) == (1, "")
    assert "mesh osm in namespace osm-system wants to be the only mesh" in refused.err
    assert "Namespace//shop" not in await names(empty, "namespaces")
    same = await osm(empty, "install", "--no-wait", "--osm-namespace", "elsewhere")
    assert "mesh osm in namespace osm-system has the same name" in same.err
    here = await osm(empty, "install", "--no-wait", "--mesh-name", "shop")
    assert "namespace osm-system has the control plane of mesh osm already" in here.err


async def test_two_meshes_live_in_one_cluster(empty: ControlPlane) -> None:
    many = ("install", "--no-wait", "--enforce-single-mesh=false")
    assert (await osm(empty, *many)).code == 0
    alone = ("install", "--no-wait", "--mesh-name", "shop", "--osm-namespace", "shop")
    refused = await osm(empty, *alone)
    assert refused.code == 1
    assert "this mesh wants to be the only one" in refused.err
    second = await osm(empty, *alone, "--enforce-single-mesh=false")
    assert second.code == 0, second.err
    hooks = await names(empty, "mutatingwebhookconfigurations")
    assert {"osm-webhook-osm", "osm-webhook-shop"} <= {each.rpartition("/")[2] for each in hooks}

    gone = await osm(empty, "uninstall", "mesh", "--mesh-name", "shop", "-f", "--delete-namespace")
    assert gone.code == 0, gone.err
    left = await names(empty, *EVERYTHING)
    assert not {each for each in left if each.endswith("shop") and "Namespace/" not in each}
    assert "Deployment/osm-system/osm-controller" in left
    assert "ClusterRole//osm" in left


async def test_an_installed_mesh_is_changed_by_upgrade_only(empty: ControlPlane) -> None:
    assert (await osm(empty, "install", "--no-wait")).code == 0
    other = await osm(empty, "install", "--no-wait", "--set", "osm.controllerLogLevel=debug")
    assert other.code == 1
    assert "Mesh osm is installed already, with other values." in other.err
    assert "Use `osm upgrade`" in other.err


async def test_objects_of_others_are_not_taken_over(empty: ControlPlane) -> None:
    await empty.kubectl("create", "clusterrole", "osm", "--verb=get", "--resource=pods")
    try:
        result = await osm(empty, "install", "--no-wait")
        assert result.code == 1
        assert "objects with names that the mesh needs: ClusterRole osm" in result.err
        assert "Namespace//osm-system" not in await names(empty, "namespaces")
    finally:
        await empty.kubectl("delete", "clusterrole", "osm")


async def test_fields_that_others_changed_are_named_and_taken_when_told(
    empty: ControlPlane,
) -> None:
    assert (await osm(empty, "install", "--no-wait")).code == 0
    service = ("service", "osm-injector", "-n", "osm-system")
    patch = '{"spec": {"selector": {"app": "mine"}}}'
    await empty.kubectl("patch", *service, "-p", patch, "--field-manager", "somebody")
    refused = await osm(empty, "install", "--no-wait")
    assert refused.code == 1
    assert "Service osm-system/osm-injector has fields that belong to others:" in refused.err
    assert '.spec.selector: conflict with "somebody"' in refused.err
    taken = await osm(empty, "install", "--no-wait", "--force-conflicts")
    assert taken.code == 0, taken.err
    assert (await get(empty, *service))["spec"]["selector"]["app"] == "osm-controller"


async def test_a_meshconfig_that_somebody_brought_stays_as_it_is(empty: ControlPlane) -> None:
    await empty.kubectl("create", "namespace", "osm-system")
    await define(empty)
    config = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {"traffic": {"enableEgress": False}},
    }
    await empty.kubectl("create", "-f", "-", text=json.dumps(config))
    result = await osm(empty, "install", "--no-wait", "--set", "osm.enableEgress=true")
    assert result.code == 0, result.err
    there = await get(empty, "meshconfig", "osm-mesh-config", "-n", "osm-system")
    assert there["spec"]["traffic"]["enableEgress"] is False


async def test_who_may_not_install_is_told_which_right_is_missing(empty: ControlPlane) -> None:
    await empty.kubectl("create", "namespace", "poor")
    nobody = await nobody_special(empty, "poor")
    result = await osm(empty, "install", "--no-wait", kubeconfig=nobody)
    assert (result.code, result.out) == (1, "")
    assert "You may not do this" in result.err
    assert "deployments.apps is forbidden" in result.err
    assert "osm check --pre" in result.err


async def test_a_namespace_that_is_still_being_deleted_is_waited_for(empty: ControlPlane) -> None:
    assert (await osm(empty, "install", "--no-wait")).code == 0
    removed = await osm(empty, "uninstall", "mesh", "-f", "--delete-namespace")
    assert "OSM namespace [osm-system] deleted successfully" in removed.out
    again = await osm(empty, "install", "--no-wait")
    assert again.code == 0, again.err
    assert "Deployment/osm-system/osm-controller" in await names(empty, "deployments")
