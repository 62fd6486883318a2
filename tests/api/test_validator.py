"""What a real API server lets in of the mesh's own objects, and what it tells people of the rest."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.api.manifest import Key
from osm.core.install.names import VALIDATOR_SERVICE
from osm.core.model.groups import POLICY

from .admitted import admitted, ingress
from .admitting import Admitting, Json

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(cluster: ControlPlane) -> AsyncIterator[Admitting]:
    async with admitted(cluster) as found:
        yield found


@pytest.fixture
def mesh(shared: Admitting) -> Iterator[Admitting]:
    with shared.as_it_is():
        yield shared


def target(destination: str, **spec: object) -> Json:
    who = {"kind": "ServiceAccount", "name": "shop"}
    return {
        "apiVersion": "access.smi-spec.io/v1alpha3",
        "kind": "TrafficTarget",
        "metadata": {"name": "target"},
        "spec": {
            "destination": {**who, "namespace": destination},
            "sources": [{**who, "namespace": destination}],
            "rules": [{"kind": "TCPRoute", "name": "all"}],
            **spec,
        },
    }


async def refusal(mesh: Admitting, namespace: str, document: Json, *arguments: str) -> str:
    with pytest.raises(RuntimeError) as refused:
        await mesh.create(namespace, document, *arguments)
    return str(refused.value)


async def test_a_refusal_says_where_what_and_what_to_do(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    said = await refusal(mesh, namespace, ingress("shop", port=15003))
    assert 'admission webhook "osm-validator.k8s.io" denied the request' in said
    assert "spec.backends[0].port.number: port 15003 belongs to the proxy [OSM130]" in said
    assert "Name the port that the application listens on." in said
    elsewhere = await refusal(mesh, namespace, target("elsewhere"))
    assert f"this TrafficTarget in {namespace} [OSM142]" in elsewhere
    series = 'osm_admission_webhook_response_total{kind="TrafficTarget",success="false"}'
    assert mesh.counted(series) == 1


async def test_what_is_only_odd_is_a_warning_of_kubectl(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    odd = target(namespace, sources=[])
    said = await refusal(mesh, namespace, odd, "--warnings-as-errors", "--dry-run=server")
    assert "spec.sources: without `sources` this TrafficTarget allows nothing [OSM143]" in said
    await mesh.create(namespace, odd)


async def test_a_second_ingress_for_a_port_is_refused_and_the_first_can_change(
    mesh: Admitting,
) -> None:
    namespace, other = await mesh.add_namespace(), await mesh.add_namespace()
    await mesh.create(namespace, ingress("first"))
    await eventually(lambda: key(namespace, "first") in mesh.objects, "the copy has it", within=60)
    said = await refusal(mesh, namespace, ingress("second"))
    assert f"IngressBackend {namespace}/first already says what port 8080 of shop takes" in said
    assert "[OSM344]" in said
    await mesh.create(namespace, ingress("second", port=8081))
    await mesh.create(other, ingress("second"))
    wider = {"sources": [{"kind": "IPRange", "name": "10.0.0.0/7"}]}
    await patch(mesh, namespace, "first", {"spec": wider})


async def test_what_was_there_before_the_webhook_can_be_changed_and_deleted(
    mesh: Admitting,
) -> None:
    """Two that contradict each other, and one that is wrong by itself, from a time without checks."""
    namespace = await mesh.add_namespace(labels={})
    for document in (ingress("first"), ingress("second"), ingress("wrong", port=15003)):
        await mesh.create(namespace, document)
    await mesh.cluster.kubectl(
        "label", "namespace", namespace, f"openservicemesh.io/monitored-by={mesh.installation.mesh}"
    )
    await eventually(lambda: key(namespace, "first") in mesh.objects, "the copy has it", within=60)

    async def is_checked() -> bool:
        try:
            await mesh.create(namespace, ingress("third"), "--dry-run=server")
        except RuntimeError:
            return True
        return False

    await eventually(is_checked, "objects of the namespace are checked", within=60)
    for name in ("second", "wrong"):
        await patch(mesh, namespace, name, {"metadata": {"labels": {"seen": "yes"}}})
        finalizer = {"metadata": {"finalizers": ["example.com/later"]}}
        await patch(mesh, namespace, name, finalizer)
        gone = ("delete", "ingressbackend", name, "-n", namespace, "--wait=false")
        await mesh.cluster.kubectl(*gone)
        await patch(mesh, namespace, name, {"metadata": {"finalizers": None}})
    left = await mesh.cluster.kubectl("get", "ingressbackends", "-n", namespace, "-o", "name")
    assert left.split() == ["ingressbackend.policy.openservicemesh.io/first"]


async def test_mesh_config_is_checked_in_the_meshs_own_namespace(mesh: Admitting) -> None:
    own = mesh.installation.namespace
    document: Json = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config"},
        "spec": {"traffic": {"inboundExternalAuthorization": {"enable": True}}},
    }
    assert "[OSM" in await refusal(mesh, own, document)
    async with mesh.without(VALIDATOR_SERVICE):
        failing = await refusal(mesh, own, {**document, "spec": {}})
    assert 'failed calling webhook "osm-control-plane-validator.k8s.io"' in failing


def key(namespace: str, name: str) -> Key:
    return Key(POLICY, "IngressBackend", namespace, name)


async def patch(mesh: Admitting, namespace: str, name: str, change: object) -> None:
    text = json.dumps(change)
    arguments = ("patch", "ingressbackend", name, "-n", namespace, "--type=merge", "-p", text)
    await mesh.cluster.kubectl(*arguments)
