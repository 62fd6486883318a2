"""What is kept of a pod: enough to mean the same, and not what tells its programs how to run."""

from typing import Any

import msgspec
import pytest

from osm.core.api.decode import decode
from osm.core.api.manifest import Manifest
from osm.core.compile.build import compile_model
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.model.mesh import Model
from osm.core.model.workload import SocketAddress
from osm.kubernetes.slim import slim, sparing

OPTIONS = CompileOptions("osm", "cluster.local", namespace="osm-system")
BOOTSTRAP = "admin: {}\n" * 500
NAMESPACE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "shop", "labels": {"openservicemesh.io/monitored-by": "osm"}},
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "clusterIP": "10.96.0.7",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "targetPort": "http", "appProtocol": "http"}],
    },
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {
        "serviceAccountName": "web",
        "volumes": [{"name": "identity", "projected": {"sources": []}}],
        "initContainers": [
            {
                "name": "envoy",
                "image": "envoy",
                "restartPolicy": "Always",
                "args": ["--config-yaml", BOOTSTRAP],
                "env": [{"name": "POD_NAME", "value": "web-0"}],
                "volumeMounts": [{"name": "identity", "mountPath": "/identity"}],
            }
        ],
        "containers": [
            {
                "name": "app",
                "image": "app",
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
            }
        ],
    },
    "status": {
        "phase": "Running",
        "podIP": "10.88.0.9",
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def model_of(*documents: dict[str, Any]) -> Model:
    manifests = [decode(each).manifest for each in documents]
    return compile_model(Snapshot().with_changes([m for m in manifests if m is not None]), OPTIONS)


def test_a_slim_pod_means_the_same() -> None:
    whole = model_of(NAMESPACE, SERVICE, POD)
    assert [each.ready for each in whole.workloads.values()] == [True]
    (found,) = whole.endpoints.values()
    assert [each.address for each in found] == [SocketAddress("10.88.0.9", 8080)]
    assert model_of(*map(slim, (NAMESPACE, SERVICE, POD))) == whole


def test_a_slim_pod_is_short_and_tells_who_it_is() -> None:
    kept = slim(POD)
    assert len(msgspec.json.encode(kept)) < 700 < len(BOOTSTRAP)
    assert [each["name"] for each in kept["spec"]["initContainers"]] == ["envoy"]
    assert kept["spec"]["initContainers"][0]["image"] == "envoy"
    assert POD["spec"]["initContainers"][0]["args"][1] == BOOTSTRAP, "the document is not changed"


def test_what_is_no_pod_is_kept_whole() -> None:
    assert slim(SERVICE) == SERVICE


def test_nothing_is_kept_that_the_mesh_does_not_read() -> None:
    spec = POD["spec"] | {"nodeName": "node-7", "tolerations": [{"operator": "Exists"}]}
    state = {"containerID": "containerd://0", "image": "app", "name": "app", "ready": True}
    status = POD["status"] | {"qosClass": "BestEffort", "containerStatuses": [state]}
    kept = slim(POD | {"spec": spec, "status": status})
    assert kept["spec"] == slim(POD)["spec"]
    assert kept["status"] == POD["status"] | {"containerStatuses": [{"name": "app", "ready": True}]}


@pytest.mark.parametrize("odd", [None, "text", 1, [None], [["list"]], {"key": "value"}])
def test_what_no_api_server_sends_is_left_to_others(odd: object) -> None:
    for field in ("spec", "status", "metadata"):
        slim(POD | {field: odd})
    for field in ("containers", "initContainers"):
        slim(POD | {"spec": POD["spec"] | {field: odd}})
    slim(POD | {"status": {"containerStatuses": odd}})


def kept(name: str, image: str = "app") -> Manifest:
    spec = POD["spec"] | {"containers": [POD["spec"]["containers"][0] | {"image": image}]}
    pod = POD | {"metadata": POD["metadata"] | {"name": name}, "spec": spec}
    manifest = decode(slim(pod)).manifest
    assert manifest is not None
    found = sparing(manifest)
    assert found.object == manifest.object and found.raw == manifest.raw
    return found


def test_pods_share_what_they_have_in_common() -> None:
    one, two, other = (each.object for each in (kept("one"), kept("two"), kept("three", "new")))
    assert one.spec.containers is two.spec.containers
    assert one.spec.init_containers is two.spec.init_containers is other.spec.init_containers
    assert one.status.conditions is other.status.conditions
    assert other.spec.containers[0].image == "new"
