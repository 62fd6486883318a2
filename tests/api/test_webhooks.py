"""A real API server asks our webhooks."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.api.kubernetes import Namespace
from osm.kubernetes.admission import Allowed
from osm.kubernetes.api_server import Status

from .admitted import admitted, is_injected, names, pod
from .admitting import ENABLED, INJECTION, MONITORED_BY, Admitting
from .others_webhook import others_webhook
from .watching import watching

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(cluster: ControlPlane) -> AsyncIterator[Admitting]:
    async with admitted(cluster) as found:
        yield found


@pytest.fixture
def mesh(shared: Admitting) -> Iterator[Admitting]:
    with shared.as_it_is():
        yield shared


async def test_a_pod_of_the_mesh_comes_back_with_its_proxy(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    probe = {"httpGet": {"path": "/live", "port": 8080}}
    made = await mesh.create(namespace, pod(livenessProbe=probe, ports=[{"containerPort": 8080}]))
    assert names(made) == ["osm-init", "envoy"]
    assert names(made, "containers") == ["app"]
    again = json.loads(
        await mesh.cluster.kubectl("get", "pod", "app", "-n", namespace, "-o", "json")
    )
    envoy = next(each for each in again["spec"]["initContainers"] if each["name"] == "envoy")
    assert envoy["restartPolicy"] == "Always", "a native sidecar, as the API server keeps it"
    assert again["metadata"]["labels"]["osm-proxy-uuid"] in {each.uid for each in mesh.asked}
    assert again["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"] == 15901
    tokens = [
        source["serviceAccountToken"]["audience"]
        for volume in again["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if "audience" in source.get("serviceAccountToken", {})
    ]
    assert tokens == [f"openservicemesh.io/{mesh.installation.mesh}"]
    assert mesh.counted("osm_injector_injector_sidecar_count") == 1
    assert mesh.counted('osm_injector_injector_rq_time_count{success="true"}') >= 1


async def test_which_namespaces_pods_get_a_proxy(mesh: Admitting) -> None:
    of_mesh = {MONITORED_BY: mesh.installation.mesh}
    ignored = {**of_mesh, "openservicemesh.io/ignore": "true"}
    own, on, off = mesh.installation.namespace, {INJECTION: "enabled"}, {INJECTION: "disabled"}
    table: list[tuple[str, Mapping[str, str], Mapping[str, str], Mapping[str, str], bool]] = [
        ("monitored and enabled", of_mesh, on, {}, True),
        ("monitored, nothing said", of_mesh, {}, {}, False),
        ("monitored, the pod wants it", of_mesh, {}, on, True),
        ("monitored, the pod does not", of_mesh, on, off, False),
        ("not monitored", {}, on, on, False),
        ("of another mesh", {MONITORED_BY: "another"}, on, on, False),
        ("ignored", ignored, on, on, False),
    ]
    for what, labels, of_namespace, of_pod, injected in table:
        namespace = await mesh.add_namespace(labels=labels, annotations=of_namespace)
        made = await mesh.create(namespace, pod(annotations=of_pod), "--dry-run=server")
        assert is_injected(made) is injected, what
    asked = len(mesh.asked)
    made = await mesh.create(own, pod(annotations=ENABLED), "--dry-run=server")
    assert not is_injected(made) and len(mesh.asked) == asked


async def test_who_cannot_have_a_proxy_is_told_so_by_kubectl(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    with pytest.raises(RuntimeError) as refused:
        await mesh.create(namespace, pod(ports=[{"containerPort": 15000}]))
    text = str(refused.value)
    assert 'admission webhook "osm-inject.k8s.io" denied the request: the pod cannot be' in text
    assert "container app listens on port 15000, which the proxy needs" in text
    assert "(Forbidden)" in text
    with pytest.raises(RuntimeError, match="write one of enabled, yes, true"):
        await mesh.create(namespace, pod(annotations={INJECTION: "maybe"}))
    await mesh.create(namespace, pod(annotations={INJECTION: "disabled"}))


async def test_a_copy_that_is_behind_leaves_no_pod_without_its_proxy(mesh: Admitting) -> None:
    mesh.objects = {}
    assert is_injected(await mesh.create(await mesh.add_namespace(), pod()))
    # It has seen the namespace before it became part of the mesh.
    namespace = await mesh.add_namespace(labels={}, annotations={})
    async with watching(mesh.cluster.kubeconfig, ("namespaces",)) as copy:
        await eventually(lambda: namespace in copy.names("Namespace", ""), "it is known", within=60)
        mesh.objects = dict(copy.objects)
    mesh_name = mesh.installation.mesh
    await mesh.cluster.kubectl("label", "namespace", namespace, f"{MONITORED_BY}={mesh_name}")
    await mesh.cluster.kubectl("annotate", "namespace", namespace, f"{INJECTION}=enabled")
    made = await mesh.create(namespace, pod())
    assert is_injected(made)


async def test_who_cannot_know_the_namespace_refuses(mesh: Admitting) -> None:
    async def fail(name: str) -> Namespace | None:
        raise Status(503, "Injected", name)

    mesh.objects = {}
    namespace = await mesh.add_namespace()
    works, mesh.find_namespace = mesh.find_namespace, fail
    with pytest.raises(RuntimeError, match="is not known now; try again"):
        await mesh.create(namespace, pod())
    mesh.find_namespace = works
    assert is_injected(await mesh.create(namespace, pod()))


async def test_asked_again_it_changes_nothing(mesh: Admitting) -> None:
    """Another webhook comes after ours, and adds a container: the API server asks ours again."""
    namespace = await mesh.add_namespace()
    async with others_webhook(mesh):

        async def is_there() -> bool:
            made = await mesh.create(namespace, pod("probe"), "--dry-run=server")
            return "added" in names(made, "containers")

        await eventually(is_there, "the other webhook is asked", within=60)
        before = len(mesh.asked)
        found = await mesh.create(namespace, pod())
        assert [each.name for each in mesh.asked[before:]] == ["app", "app"], "asked twice"
    first, second = mesh.answered[-2:]
    assert isinstance(first, Allowed) and first.patch
    assert second == Allowed()
    assert names(found) == ["osm-init", "envoy"]
    assert names(found, "containers") == ["app", "added"]


async def test_a_copy_of_a_pod_with_its_proxy_gets_no_second_one(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    found = await mesh.create(namespace, pod())
    copied = {**found, "metadata": {"name": "copy", "labels": {"app": "app"}}}
    assert names(await mesh.create(namespace, copied)) == ["osm-init", "envoy"]


async def test_a_dry_run_shows_the_proxy_and_writes_nothing(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    before = await mesh.everything(namespace)
    made = await mesh.create(namespace, pod(), "--dry-run=server")
    assert is_injected(made) and mesh.asked[-1].dry_run
    assert await mesh.everything(namespace) == before
    assert mesh.counted("osm_injector_injector_sidecar_count") == 0


async def test_a_container_for_debugging_is_let_in(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    await mesh.create(namespace, pod())
    debug = ("debug", "app", "-n", namespace, "--image=mesh.local/debug:1", "--container=look")
    await mesh.cluster.kubectl(*debug, "--profile=general")
    found = json.loads(await mesh.cluster.kubectl("get", "pod", "app", "-n", namespace, "-ojson"))
    assert names(found, "ephemeralContainers") == ["look"]
