"""What install makes, in a real API server: all objects are taken, and their rights are those that are used.

The rights are tried as the control plane's own account, by the requests that it sends.
"""

import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.api.test_crds import define
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.install.labels import selecting
from osm.core.install.manifests import is_kept, manifests
from osm.core.install.names import CA_SECRET, PROXY_FILES, Installation
from osm.core.install.plan import removals
from osm.core.install.presets import PRESETS
from osm.core.install.set_text import with_set
from osm.core.install.values_reading import read_values
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Objects
from osm.kubernetes.installing import find
from osm.kubernetes.resources import Ref, ref_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCALED = with_set(PRESETS["ha"], "osm.osmController.autoScale.enable=true")
Ask = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="session")
async def installation(cluster: ControlPlane, namespace: str) -> AsyncIterator[Installation]:
    """An installation whose pods never run: there are no nodes."""
    await define(cluster)
    here = Installation(f"m-{uuid.uuid4().hex[:8]}", namespace)
    server = ApiServer.open(cluster.kubeconfig)
    objects = Objects(server)
    try:
        for document in manifests(here, read_values(SCALED).values, "2.0.0"):
            await objects.apply(document)
        yield here
        for document in removals(here, await find(objects, here)):
            await objects.delete(ref_of(document))
    finally:
        await server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ask(cluster: ControlPlane, installation: Installation) -> AsyncIterator[Ask]:
    """Send a request as the control plane; gives the status code."""
    account = f"system:serviceaccount:{installation.namespace}:{installation.mesh}"
    async with httpx2.AsyncClient(
        base_url=cluster.url,
        verify=cluster.client_context(),
        headers={"impersonate-user": account, "impersonate-group": "system:authenticated"},
    ) as client:

        async def send(method: str, path: str, body: object = None, **query: str) -> int:
            kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
            content = None if body is None else json.dumps(body)
            headers = {"content-type": kind}
            answer = await client.request(
                method, path, content=content, params=query, headers=headers
            )
            return answer.status_code

        yield send


async def test_all_is_found_again_and_nothing_is_left(
    cluster: ControlPlane, namespace: str
) -> None:
    await define(cluster)
    here = Installation(f"m-{uuid.uuid4().hex[:8]}", namespace)
    server = ApiServer.open(cluster.kubeconfig)
    try:
        objects = Objects(server)
        made = manifests(here, read_values(SCALED).values, "2.0.0")
        for document in made:
            assert (await objects.apply(document)).outcome == "created"
        for document in made:
            if not is_kept(document):  # the webhook that was made last would be asked, and is away
                assert (await objects.apply(document)).outcome == "unchanged"
        found = removals(here, await find(objects, here))
        assert {ref_of(each) for each in found} == {ref_of(each) for each in made}
        for document in found:
            await objects.delete(ref_of(document))

        async def is_gone() -> bool:
            return not await find(objects, here)

        await eventually(is_gone, "everything is gone", within=30)
    finally:
        await server.close()


async def test_followed_kinds_may_be_followed(ask: Ask) -> None:
    for path in (
        "/api/v1/pods",
        "/api/v1/namespaces",
        "/api/v1/services",
        "/api/v1/serviceaccounts",
        "/apis/access.smi-spec.io/v1alpha3/traffictargets",
        "/apis/policy.openservicemesh.io/v1alpha1/egresses",
        "/apis/config.openservicemesh.io/v1alpha2/meshconfigs",
    ):
        assert await ask("GET", path) == 200, path
        assert await ask("GET", path, watch="1", timeoutSeconds="1") == 200, path


async def test_own_objects_may_be_kept_by_name(
    ask: Ask, installation: Installation, cluster: ControlPlane
) -> None:
    """Also made again: a `create` by server-side apply has a name, so that a right may be for that alone."""
    hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    name = installation.mutating_webhook
    assert await ask("GET", hooks, fieldSelector=f"metadata.name={name}") == 200
    await cluster.kubectl("delete", "mutatingwebhookconfiguration", name)
    head = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name, "labels": dict(selecting(installation.mesh))},
    }
    how = {"fieldManager": "test", "force": "true"}
    assert await ask("PATCH", f"{hooks}/{name}", head, **how) == 201
    assert await ask("PATCH", f"{hooks}/{name}", head, **how) == 200
    foreign = {**head, "metadata": {"name": f"{name}-2"}}
    assert await ask("PATCH", f"{hooks}/{name}-2", foreign, **how) == 403
    assert await ask("POST", hooks, head) == 403
    assert await ask("DELETE", f"{hooks}/{name}") == 403
    assert await ask("GET", hooks) == 403


async def test_files_of_proxies_may_be_kept_in_any_namespace(ask: Ask) -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PROXY_FILES}}
    others = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "others"}}
    how = {"fieldManager": "test", "force": "true"}
    assert await ask("PATCH", f"{maps}/{PROXY_FILES}", files, **how) == 201
    everywhere = "/api/v1/configmaps"
    assert await ask("GET", everywhere, fieldSelector=f"metadata.name={PROXY_FILES}") == 200
    assert await ask("DELETE", f"{maps}/{PROXY_FILES}") == 200
    assert await ask("PATCH", f"{maps}/others", others, **how) == 403
    assert await ask("GET", f"{maps}/kube-root-ca.crt") == 403
    assert await ask("GET", everywhere) == 403


async def test_what_replicas_tell_is_kept_by_name(ask: Ask, installation: Installation) -> None:
    maps, name = f"/api/v1/namespaces/{installation.namespace}/configmaps", installation.refusals
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    how = {"fieldManager": "test", "force": "true"}
    assert await ask("GET", f"{maps}/{name}") == 404
    assert await ask("PATCH", f"{maps}/{name}", made, **how) == 201
    assert await ask("PATCH", f"{maps}/{name}", made | {"data": {"a": "b"}}, **how) == 200
    assert await ask("GET", f"{maps}/{name}") == 200
    assert await ask("GET", maps) == 403
    assert await ask("DELETE", f"{maps}/{name}") == 403
    assert await ask("GET", f"/api/v1/namespaces/default/configmaps/{name}") == 403
    assert await ask("GET", f"{maps}/osm-installation") == 403


async def test_root_certificate_and_lease_are_in_its_own_namespace(
    ask: Ask, installation: Installation
) -> None:
    here, there = (f"/api/v1/namespaces/{each}" for each in (installation.namespace, "default"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CA_SECRET}}
    assert await ask("POST", f"{here}/secrets", secret) == 201
    assert await ask("GET", f"{here}/secrets/{CA_SECRET}") == 200
    assert await ask("DELETE", f"{here}/secrets/{CA_SECRET}") == 403
    assert await ask("GET", f"{here}/secrets") == 403
    assert await ask("POST", f"{there}/secrets", secret) == 403
    assert await ask("GET", f"{there}/secrets/{CA_SECRET}") == 403
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{installation.namespace}/leases"
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": installation.lease},
    }
    assert await ask("POST", leases, lease) == 201
    assert await ask("GET", f"{leases}/{installation.lease}") == 200
    old = {**lease, "metadata": {"name": installation.lease, "resourceVersion": "1"}}
    assert await ask("PUT", f"{leases}/{installation.lease}", old) == 409  # by its age alone
    assert await ask("GET", leases) == 403


async def test_conditions_may_be_written_and_what_people_wrote_may_not(
    ask: Ask, installation: Installation
) -> None:
    config = (
        f"/apis/config.openservicemesh.io/v1alpha2/namespaces/{installation.namespace}/meshconfigs/"
        "osm-mesh-config"
    )
    head = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config"},
    }
    how = {"fieldManager": "test", "force": "true"}
    said = {**head, "status": {"currentStatus": "committed"}}
    assert await ask("GET", config) == 200
    assert await ask("PATCH", f"{config}/status", said, **how) == 200
    assert await ask("PATCH", config, {**head, "spec": {}}, **how) == 403
    assert await ask("DELETE", config) == 403


async def test_events_and_token_reviews(ask: Ask) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"e-{uuid.uuid4().hex[:8]}", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"},
    }
    assert await ask("POST", "/api/v1/namespaces/default/events", event) == 201
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "none"},
    }
    assert await ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review) == 201


async def test_pod_is_taken_where_only_restricted_ones_are(
    cluster: ControlPlane, namespace: str
) -> None:
    """By the API server's own admission of pod security, which refuses it when it may gain rights."""
    level = "pod-security.kubernetes.io/enforce=restricted"
    await cluster.kubectl("label", "namespace", namespace, level)
    made = manifests(Installation("osm", namespace), read_values({}).values, "2.0.0")
    deployment: Any = next(each for each in made if each["kind"] == "Deployment")
    pod = {**deployment["spec"]["template"], "apiVersion": "v1", "kind": "Pod"}
    pod["metadata"]["name"] = "x"
    await cluster.kubectl("create", "serviceaccount", "osm", "-n", namespace)
    create = ("create", "--dry-run=server", "-n", namespace, "-f", "-")
    await cluster.kubectl(*create, text=json.dumps(pod))
    del pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
    with pytest.raises(RuntimeError, match="allowPrivilegeEscalation"):
        await cluster.kubectl(*create, text=json.dumps(pod))


async def test_settings_are_taken_whole(cluster: ControlPlane, installation: Installation) -> None:
    """No field of the settings that install writes is unknown to the definition."""
    server = ApiServer.open(cluster.kubeconfig)
    try:
        objects = Objects(server)
        ref = Ref(
            "config.openservicemesh.io/v1alpha2",
            "MeshConfig",
            "osm-mesh-config",
            installation.namespace,
        )
        stored = await objects.get(ref)
    finally:
        await server.close()
    assert stored is not None
    made = manifests(installation, read_values(SCALED).values, "2.0.0")
    written = next(each for each in made if each["kind"] == "MeshConfig")["spec"]
    assert isinstance(written, dict)
    for part, fields in written.items():
        assert {**stored["spec"][part], **fields} == stored["spec"][part]
