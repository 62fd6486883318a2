"""Pods as they are in a cluster with a mesh: with their proxies, and so 12 KB long."""

from functools import cache

from bench.kubernetes.cluster import Document
from bench.mesh import NAMESPACE
from bench.mesh_files import TARGET_PORT
from osm.core.api.config import SidecarSpec
from osm.core.api.kubernetes import Namespace
from osm.core.api.mesh_keys import INJECTION, MONITORED_BY
from osm.core.api.metadata import Metadata
from osm.core.inject.decision import MeshName
from osm.core.inject.injection import Asked, Cluster, Injected, inject
from osm.core.install.names import PROXY_FILES, Installation
from osm.core.model.identity import token_audience
from osm.core.model.probe import Probes
from osm.core.model.redirection import Redirection
from osm.runtime.pod_bootstrap import pod_bootstrap
from osm.runtime.settings import TRUST_DOMAIN

IMAGE = "registry.invalid/image"
NODE = "node"
"""No such node is there, and so nobody but us says what became of the pods."""


def namespace_of(installation: Installation) -> Document:
    """The namespace that all of them are in."""
    return {
        "metadata": {
            "name": NAMESPACE,
            "labels": {MONITORED_BY: installation.mesh},
            "annotations": {INJECTION: "enabled"},
        }
    }


def injected(pod: Document, installation: Installation) -> Document:
    """The pod as the API server would store it, made of one as `bench.mesh_files` writes it."""
    spec = {**pod["spec"], "nodeName": NODE}
    spec["containers"] = [_container(each["name"]) for each in spec["containers"]]
    said = namespace_of(installation)["metadata"]
    asked = Asked(
        pod={**pod, "spec": spec},
        namespace=Namespace(Metadata(**said)),
        config=SidecarSpec(),
        redirection=Redirection(),
    )
    cluster = Cluster(
        mesh=MeshName(installation.mesh, installation.namespace),
        image=IMAGE,
        init_image=IMAGE,
        audience=token_audience(installation.mesh),
        config_map=PROXY_FILES,
        native=True,
    )
    found = inject(asked, cluster, lambda probes: _bootstrap(installation, probes))
    if not isinstance(found, Injected):
        raise TypeError(f"a pod of the mesh gets no proxy: {found}")
    return dict(found.pod)


def _container(name: str) -> Document:
    return {
        "name": name,
        "image": IMAGE,
        "ports": [{"name": "http", "containerPort": TARGET_PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    }


@cache
def _bootstrap(installation: Installation, probes: Probes) -> str:
    return pod_bootstrap(installation, TRUST_DOMAIN, probes)
