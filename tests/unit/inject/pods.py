"""Pods at admission, and what the tests inject them with."""

from collections.abc import Callable, Mapping

from osm.core.api.config import SidecarSpec
from osm.core.api.kubernetes import Namespace
from osm.core.api.metadata import Metadata
from osm.core.inject.decision import MeshName
from osm.core.inject.injection import Asked, Cluster, Injected, inject
from osm.core.inject.pod import Document, Pod, read_pod
from osm.core.inject.verdict import Leave, Refuse
from osm.core.model.probe import Probes
from osm.core.model.redirection import Redirection

MESH = MeshName("osm", "osm-system")
INJECTION = "openservicemesh.io/sidecar-injection"
METRICS = "openservicemesh.io/metrics"
MONITORED = {"openservicemesh.io/monitored-by": "osm"}
CLUSTER = Cluster(
    mesh=MESH,
    image="mesh.local/envoy:1",
    init_image="mesh.local/init:1",
    audience="osm.osm-system",
    config_map="osm-proxy",
    native=True,
)


def namespace(
    name: str = "shop",
    labels: Mapping[str, str] = MONITORED,
    annotations: Mapping[str, str] | None = None,
) -> Namespace:
    """A namespace whose pods are injected, unless something else is said."""
    said = {INJECTION: "enabled"} if annotations is None else annotations
    return Namespace(Metadata(name=name, labels=labels, annotations=said))


def container(name: str = "app", /, **fields: object) -> Document:
    return {"name": name, "image": "mesh.local/app:1", **fields}


def pod(
    *containers: Document, annotations: Mapping[str, str] | None = None, **spec: object
) -> Document:
    """A pod as a ReplicaSet makes it: without a name of its own yet."""
    metadata: dict[str, object] = {
        "generateName": "app-5d4f-",
        "labels": {"app": "app"},
        "creationTimestamp": None,
    }
    if annotations is not None:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "serviceAccountName": "app",
            "containers": list(containers or [container()]),
            **spec,
        },
    }


def with_spec(document: Document, more: Document) -> Document:
    """The pod with more fields in its spec."""
    spec = document["spec"]
    assert isinstance(spec, Mapping)
    return {**document, "spec": {**spec, **more}}


def read(document: Document) -> Pod:
    found = read_pod(document)
    assert isinstance(found, Pod)
    return found


def bootstrap(probes: Probes) -> str:
    """Stands for Envoy's."""
    return f'{{"probes": {len(probes.http) + len(probes.tcp)}}}'


def answer(
    document: Document,
    *,
    home: Namespace | None = None,
    cluster: Cluster = CLUSTER,
    config: SidecarSpec = SidecarSpec(),  # noqa: B008 (frozen)
    redirection: Redirection = Redirection(),  # noqa: B008 (frozen)
    uuid: str = "",
    start: Callable[[Probes], str] = bootstrap,
) -> Injected | Leave | Refuse:
    asked = Asked(document, home or namespace(), config, redirection, uuid)
    return inject(asked, cluster, start)
