"""Namespaces of a mesh of OSM's are taken over, given back, and kept: by a real API server, which asks both
meshes' webhooks. OSM's injector is one that gives a proxy to every pod it is asked about.
"""

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm import __version__
from osm.core.inject.patch import Operation
from osm.core.install.manifests import manifests
from osm.core.install.values_reading import read_values
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Objects
from osm.kubernetes.uninstalling import release_namespaces

from .admitted import admitted, ingress, names, pod
from .admitting import ENABLED, INJECTION, MONITORED_BY, Admitting, Json
from .others_webhook import others_webhook
from .verbs import get, osm, stand_for_mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")
IGNORE = "openservicemesh.io/ignore"
TAKEN_OVER_BY = "openservicemesh.io/taken-over-by"
FORMER_PROXY = (
    Operation("add", "/spec/containers/-", {"name": "envoy", "image": "mesh.local/envoy:0"}),
    Operation("add", "/spec/volumes/-", {"name": "envoy-bootstrap-config-volume", "emptyDir": {}}),
)
Containers = tuple[list[str], list[str]]
"""Init containers, and the others."""
OURS: Containers = (["osm-init", "envoy"], ["app"])
OSMS: Containers = ([], ["app", "envoy"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(cluster: ControlPlane) -> AsyncIterator[Admitting]:
    """A mesh that takes over from one whose control plane is in the namespace of that mesh's name."""
    former = f"old-{uuid.uuid4().hex[:8]}"
    async with admitted(cluster, former) as mesh:
        where = [
            {"key": MONITORED_BY, "operator": "In", "values": [former]},
            {"key": IGNORE, "operator": "DoesNotExist"},
        ]
        await mesh.apply(without_pods(mesh))
        async with others_webhook(mesh, *FORMER_PROXY, prefix="aa", where=where):
            yield mesh


def without_pods(mesh: Admitting) -> Any:
    """The Deployment of its control plane, as it is installed."""
    values = read_values({"osm": {"formerMeshName": mesh.former}}).values
    documents: tuple[Any, ...] = manifests(mesh.installation, values, __version__)
    (found,) = (each for each in documents if each["kind"] == "Deployment")
    found["spec"]["replicas"] = 0
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(shared: Admitting) -> AsyncIterator[Admitting]:
    await shared.cluster.make_namespace(shared.former)
    await stand_for_mesh(shared.cluster, shared.former, shared.former, "v1.2.4")
    with shared.as_it_is():
        yield shared
    await shared.cluster.kubectl("delete", "namespace", shared.former, "--wait")


async def labels(mesh: Admitting, namespace: str) -> Mapping[str, str]:
    found = (await get(mesh.cluster, "namespace", namespace))["metadata"]["labels"]
    return {key: value for key, value in found.items() if key.startswith("openservicemesh")}


async def gets(mesh: Admitting, namespace: str, expected: Containers, of_pod: str = "") -> None:
    """Wait until the API server has seen a namespace's labels, and pods there get this proxy."""

    async def does() -> bool:
        document = pod(annotations={INJECTION: of_pod} if of_pod else {})
        made = await mesh.create(namespace, document, "--dry-run=server")
        return (names(made), names(made, "containers")) == expected

    await eventually(does, f"pods come as {expected}")


async def test_a_namespace_goes_there_and_back(mesh: Admitting) -> None:
    ours, former = mesh.installation.mesh, mesh.former
    before = {MONITORED_BY: former}
    namespace = await mesh.add_namespace(labels=before)
    await gets(mesh, namespace, OSMS)

    add = ("namespace", "add", namespace, "--mesh-name", ours)
    both = await osm(mesh.cluster, *add, "--disable-sidecar-injection")
    assert both.code == 1 and "Cannot take over namespace" in both.err
    assert await labels(mesh, namespace) == before
    added = await osm(mesh.cluster, *add)
    said = f"Namespace [{namespace}] of mesh [{former}] successfully taken over by mesh [{ours}]\n"
    assert (added.code, added.out) == (0, said)
    assert added.err == "Its pods have their old proxies until they start again.\n"
    assert await labels(mesh, namespace) == {**before, TAKEN_OVER_BY: ours, IGNORE: "true"}
    found = (await get(mesh.cluster, "namespace", namespace))["metadata"]
    assert found["annotations"] == ENABLED
    await gets(mesh, namespace, OURS)
    # OSM's injector would obey this, whatever the namespace says.
    await gets(mesh, namespace, OURS, of_pod="enabled")
    await gets(mesh, namespace, ([], ["app"]), of_pod="disabled")

    again = await osm(mesh.cluster, *add)
    said = f"Namespace [{namespace}] has already been taken over by mesh [{ours}]\n"
    assert again == (0, said, "")
    for name in (ours, former):
        listed = await osm(mesh.cluster, "namespace", "list", "--mesh-name", name)
        assert f"{former} (taken over by {ours})  enabled" in listed.out
    as_json = await osm(mesh.cluster, "namespace", "list", "--mesh-name", ours, "-o", "json")
    assert {
        "namespace": namespace,
        "mesh": former,
        "sidecarInjection": "enabled",
        "takenOverBy": ours,
    } in json.loads(as_json.out)["items"]
    ignored = await osm(mesh.cluster, "namespace", "ignore", namespace, "--mesh-name", ours)
    assert ignored.code == 1 and f"which mesh [{ours}] took over" in ignored.err

    back = await osm(mesh.cluster, "namespace", "remove", namespace, "--mesh-name", ours)
    said = f"Namespace [{namespace}] successfully given back to mesh [{former}]\n"
    assert back == (0, said, "")
    assert await labels(mesh, namespace) == before
    await gets(mesh, namespace, OSMS)


async def test_without_the_label_that_keeps_osms_injector_off_pods_are_refused(
    mesh: Admitting,
) -> None:
    """By us, with the reason: the API server would only say that two containers have one name."""
    taken = {MONITORED_BY: mesh.former, TAKEN_OVER_BY: mesh.installation.mesh}
    namespace = await mesh.add_namespace(labels=taken)
    expected = 'admission webhook "osm-inject-taken-over.k8s.io" denied the request: the pod has a '
    with pytest.raises(RuntimeError, match=expected):
        await mesh.create(namespace, pod(), "--dry-run=server")
    where = [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}]
    await mesh.cluster.kubectl("label", "namespace", namespace, f"{IGNORE}=true")
    await gets(mesh, namespace, OURS)
    async with others_webhook(mesh, *FORMER_PROXY, where=where):  # it is asked after ours

        async def refused() -> bool:
            try:
                await mesh.create(namespace, pod(), "--dry-run=server")
            except RuntimeError as error:
                return expected in str(error)
            return False

        await eventually(refused, "the pod is refused")


async def test_objects_are_judged_where_it_took_over(mesh: Admitting) -> None:
    former = {MONITORED_BY: mesh.former}
    taken = {**former, TAKEN_OVER_BY: mesh.installation.mesh, IGNORE: "true"}
    wrong = ingress("wrong", port=15000)
    await mesh.create(await mesh.add_namespace(labels=former), wrong, "--dry-run=server")
    with pytest.raises(RuntimeError, match=r"osm-validator-taken-over\.k8s\.io.* denied"):
        await mesh.create(await mesh.add_namespace(labels=taken), wrong, "--dry-run=server")


async def test_when_osm_is_gone_a_namespace_becomes_the_meshs_own(mesh: Admitting) -> None:
    ours, former = mesh.installation.mesh, mesh.former
    taken = {MONITORED_BY: former, TAKEN_OVER_BY: ours, IGNORE: "true"}
    silent = {INJECTION: "disabled"}
    namespace = await mesh.add_namespace(labels=taken, annotations=silent)
    await mesh.cluster.kubectl("delete", "deployment", "osm-controller", "-n", former, "--wait")

    place = ("--mesh-name", ours, "--osm-namespace", mesh.installation.namespace)
    checked = await osm(mesh.cluster, "check", *place, "-o", "json")
    assert (
        f"no control plane of mesh {former} any more"
        in details(checked.out)["former-mesh-is-there"]
    )
    end = (
        "upgrade",
        *place,
        "--set",
        "osm.formerMeshName=",
        "--dry-run",
        "--force-conflicts",
    )  # another command made it
    early = await osm(mesh.cluster, *end)
    assert early.code == 1
    assert f"Mesh {ours} would lose namespaces that it took over, with their pods" in early.err
    assert namespace in early.err and f"--mesh-name {ours}" in early.err

    for each in await taken_over(mesh):
        added = await osm(mesh.cluster, "namespace", "add", each, "--mesh-name", ours)
        assert added == (0, f"Namespace [{each}] successfully added to mesh [{ours}]\n", "")
    assert await labels(mesh, namespace) == {MONITORED_BY: ours}
    assert (await get(mesh.cluster, "namespace", namespace))["metadata"]["annotations"] == silent
    late = await osm(mesh.cluster, *end)
    assert late.code == 0, late.err
    assert "--former-mesh-name" in late.out


async def taken_over(mesh: Admitting) -> Iterator[str]:
    selector = f"{TAKEN_OVER_BY}={mesh.installation.mesh}"
    found = await get(mesh.cluster, "namespaces", "-l", selector)
    return (each["metadata"]["name"] for each in found["items"])


async def test_check_says_how_far_it_is(mesh: Admitting) -> None:
    ours, former = mesh.installation.mesh, mesh.former
    left = await mesh.add_namespace(labels={MONITORED_BY: former})
    namespace = await mesh.add_namespace(labels={MONITORED_BY: former})
    await gets(mesh, namespace, OSMS)
    await mesh.create(namespace, pod("old"))
    await osm(mesh.cluster, "namespace", "add", namespace, "--mesh-name", ours)
    place = ("--mesh-name", ours, "--osm-namespace", mesh.installation.namespace)
    found = details((await osm(mesh.cluster, "check", *place, "-o", "json")).out)
    assert left in found["former-mesh-is-there"]
    assert namespace in found["taken-namespaces-served"]
    assert found["former-proxies-gone"] == f"pod {namespace}/old has its proxy from OSM still"
    assert found["pods-have-proxies"] == ""


def details(output: str) -> Mapping[str, str]:
    """What each check said, by its name."""
    found: list[Any] = json.loads(output)["checks"]
    return {each["check"]: "\n".join(each.get("details", ())) for each in found}


async def test_a_namespace_of_another_mesh_is_not_taken_over(mesh: Admitting) -> None:
    """Only that of the mesh that is named; others change their mesh, as they always did."""
    ours = mesh.installation.mesh
    stranger = await mesh.add_namespace(labels={MONITORED_BY: "blue"})
    moved = await osm(mesh.cluster, "namespace", "add", stranger, "--mesh-name", ours)
    assert "It was in mesh [blue]" in moved.err
    assert await labels(mesh, stranger) == {MONITORED_BY: ours}
    taken: Json = {MONITORED_BY: mesh.former, TAKEN_OVER_BY: "blue"}
    claimed = await mesh.add_namespace(labels={key: str(value) for key, value in taken.items()})
    refused = await osm(mesh.cluster, "namespace", "add", claimed, "--mesh-name", ours)
    assert refused.code == 1
    assert f"Namespace [{claimed}] is taken over by mesh [blue]" in refused.err


async def test_who_uninstalls_the_new_mesh_gives_namespaces_back(mesh: Admitting) -> None:
    former = {MONITORED_BY: mesh.former}
    taken = {**former, TAKEN_OVER_BY: mesh.installation.mesh, IGNORE: "true"}
    namespace = await mesh.add_namespace(labels=taken)
    server = ApiServer.open(mesh.cluster.kubeconfig)
    try:
        released = await release_namespaces(Objects(server), mesh.installation)
    finally:
        await server.close()
    assert namespace in released
    assert await labels(mesh, namespace) == former
    found = (await get(mesh.cluster, "namespace", namespace))["metadata"]
    assert found["annotations"] == ENABLED
