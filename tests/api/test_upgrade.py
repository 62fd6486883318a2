"""`osm upgrade` against a real API server: values, differences, pruning, and what stays."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane

from .stand_in import clean, names, stand_in
from .verbs import get, osm, stand_for_mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEPLOYMENT = ("deployment", "osm-controller", "-n", "osm-system")


@pytest_asyncio.fixture(loop_scope="session")
async def installed(lone_cluster: ControlPlane) -> AsyncIterator[ControlPlane]:
    """A cluster with a mesh of three replicas, whose images have a tag of their own."""
    result = await osm(
        lone_cluster, "install", "--no-wait", "--preset", "ha", "--set", "osm.image.tag=one"
    )
    assert result.code == 0, result.err
    yield lone_cluster
    await clean(lone_cluster)


async def image(cluster: ControlPlane) -> str:
    deployment = await get(cluster, *DEPLOYMENT)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_values_are_kept_and_new_ones_come_on_top(installed: ControlPlane) -> None:
    preview = await osm(installed, "upgrade", "--dry-run", "--set", "osm.image.registry=mesh.local")
    assert (preview.code, preview.err) == (0, "")
    assert "-        image: openservicemesh/osm-controller:one\n" in preview.out
    assert "+        image: mesh.local/osm-controller:one\n" in preview.out
    assert preview.out.endswith("Objects: 1 to change.\n")
    assert await image(installed) == "openservicemesh/osm-controller:one"

    async with stand_in(installed):
        result = await osm(
            installed, "upgrade", "--set", "osm.image.registry=mesh.local", "--timeout", "30s"
        )
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "Deployment osm-system/osm-controller configured",
        "ConfigMap osm-system/osm-installation configured",
        "OSM successfully upgraded mesh [osm] in namespace [osm-system]",
    ]
    assert await image(installed) == "mesh.local/osm-controller:one"
    deployment = await get(installed, *DEPLOYMENT)
    assert deployment["status"]["updatedReplicas"] == 3

    # The leader has written certificates and owns the webhooks since: that is no conflict.
    again = await osm(installed, "mesh", "upgrade", "--no-wait", "--set", "osm.image.tag=two")
    assert again.code == 0, again.err
    assert await image(installed) == "mesh.local/osm-controller:two"
    hook = await get(installed, "mutatingwebhookconfiguration", "osm-webhook-osm")
    assert hook["webhooks"][0]["clientConfig"]["caBundle"]


async def test_without_the_old_values_what_they_made_is_pruned(installed: ControlPlane) -> None:
    budget = "PodDisruptionBudget/osm-system/osm-controller"
    assert budget in await names(installed, "pdb")
    config = ("meshconfig", "osm-mesh-config", "-n", "osm-system")
    patch = '{"spec": {"traffic": {"enableEgress": false}}}'
    hooks = "validatingwebhookconfiguration"
    await installed.kubectl("delete", hooks, "osm-validator-mesh-osm")  # nobody answers it
    await installed.kubectl("patch", *config, "--type=merge", "-p", patch)

    preview = await osm(installed, "upgrade", "--dry-run", "--reset-values")
    assert "- PodDisruptionBudget osm-system/osm-controller is deleted" in preview.out
    assert "+++ new/ValidatingWebhookConfiguration osm-validator-mesh-osm" in preview.out
    assert preview.out.endswith("Objects: 1 to create, 1 to change, 1 to delete.\n")
    assert budget in await names(installed, "pdb")

    result = await osm(installed, "upgrade", "--no-wait", "--reset-values")
    assert result.code == 0, result.err
    assert "PodDisruptionBudget osm-system/osm-controller deleted" in result.out
    assert budget not in await names(installed, "pdb")
    assert (await get(installed, *DEPLOYMENT))["spec"]["replicas"] == 1
    assert (await get(installed, *config))["spec"]["traffic"]["enableEgress"] is False


async def test_an_autoscaler_takes_over_the_replicas_that_there_are(
    installed: ControlPlane,
) -> None:
    scaling = "osm.osmController.autoScale.enable=true"
    result = await osm(installed, "upgrade", "--no-wait", "--set", scaling)
    assert result.code == 0, result.err
    assert "HorizontalPodAutoscaler osm-system/osm-controller created" in result.out
    assert (await get(installed, *DEPLOYMENT))["spec"]["replicas"] == 3
    await installed.kubectl("scale", *DEPLOYMENT, "--replicas=5")  # as the autoscaler does
    again = await osm(installed, "upgrade", "--no-wait", "--set", "osm.image.tag=two")
    assert again.code == 0, again.err
    assert (await get(installed, *DEPLOYMENT))["spec"]["replicas"] == 5


async def test_what_others_changed_is_a_conflict_until_told(installed: ControlPlane) -> None:
    await installed.kubectl("scale", *DEPLOYMENT, "--replicas=2")
    refused = await osm(installed, "upgrade", "--no-wait")
    assert (refused.code, refused.out) == (1, "")
    assert ".spec.replicas: conflict with" in refused.err
    assert (await get(installed, *DEPLOYMENT))["spec"]["replicas"] == 2
    taken = await osm(installed, "upgrade", "--no-wait", "--force-conflicts")
    assert taken.code == 0, taken.err
    assert (await get(installed, *DEPLOYMENT))["spec"]["replicas"] == 3


async def test_one_that_does_not_become_ready_says_so_and_is_no_record(
    installed: ControlPlane,
) -> None:
    result = await osm(installed, "upgrade", "--timeout", "1s", "--set", "osm.image.tag=bad")
    assert (result.code, result.out) == (1, "")
    assert "Pods of the old version serve until new ones are ready." in result.err
    record = await get(installed, "configmap", "osm-installation", "-n", "osm-system")
    assert json.loads(record["data"]["values.json"])["osm"]["image"]["tag"] == "one"


async def test_a_mesh_that_is_not_there_is_not_upgraded(installed: ControlPlane) -> None:
    result = await osm(installed, "upgrade", "--mesh-name", "shop")
    assert result.code == 1
    assert "There is no mesh shop in namespace osm-system." in result.err
    assert "There is: osm in osm-system." in result.err


async def test_meshes_of_others_are_left_to_them(lone_cluster: ControlPlane) -> None:
    try:
        await lone_cluster.make_namespace("old")
        await stand_for_mesh(lone_cluster, "old", "old", "v1.2.4")
        result = await osm(lone_cluster, "upgrade", "--mesh-name", "old")
        assert result.code == 1
        assert "is of OSM v1.2.4, which cannot be upgraded in place" in result.err
        assert "osm migrate check" in result.err
        asked = ("uninstall", "mesh", "--mesh-name", "old", "-f")
        refused = await osm(lone_cluster, *asked)
        assert refused.code == 1
        assert "helm uninstall old -n old" in refused.err
        assert "Deployment/old/osm-controller" in await names(lone_cluster, "deployments")
    finally:
        await clean(lone_cluster)


async def test_what_helm_installed_is_upgraded_by_helm(installed: ControlPlane) -> None:
    notes = ("meta.helm.sh/release-name=mine", "meta.helm.sh/release-namespace=osm-system")
    await installed.kubectl("annotate", *DEPLOYMENT, *notes)
    result = await osm(installed, "upgrade", "--no-wait")
    assert result.code == 1
    assert "was installed by Helm, as the release mine" in result.err
