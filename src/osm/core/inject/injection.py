"""An admission request answered: the pod with its proxy, or why not."""

from collections.abc import Callable

import msgspec

from osm.core.api.config import SidecarSpec
from osm.core.api.kubernetes import Namespace
from osm.core.api.mesh_keys import METRICS
from osm.core.inject.decision import MeshName, decide, switch
from osm.core.inject.patch import Operation, difference
from osm.core.inject.pod import Document, read_pod
from osm.core.inject.probes import ask_proxy
from osm.core.inject.sidecar import Sidecar, with_sidecar
from osm.core.inject.verdict import Inject, Leave, Refuse
from osm.core.model.probe import Probes
from osm.core.model.redirection import Redirection

LONGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes that Linux takes as one argument of a program."""


class Cluster(msgspec.Struct, frozen=True, gc=False):
    """What is the same for all pods until the control plane is installed anew."""

    mesh: MeshName
    image: str
    """Of the proxy, unless MeshConfig names another."""
    init_image: str
    audience: str
    """What tokens of proxies are for."""
    config_map: str
    """In each namespace: what all proxies read."""
    native: bool
    """Whether it has native sidecars."""


class Injected(msgspec.Struct, frozen=True, gc=False):
    """The pod gets a proxy: by this patch, and with these warnings for whoever creates it."""

    pod: Document
    patch: tuple[Operation, ...]
    warnings: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One pod that is to be created."""

    pod: Document
    namespace: Namespace
    config: SidecarSpec
    redirection: Redirection
    """The pod's annotations and MeshConfig's lists, merged."""
    uuid: str = ""
    """For the label that OSM's tools look for."""


def inject(
    asked: Asked, cluster: Cluster, bootstrap: Callable[[Probes], str]
) -> Injected | Leave | Refuse:
    """Answer. `bootstrap` says what an Envoy is started with that has such probes to answer."""
    pod = read_pod(asked.pod)
    if isinstance(pod, Refuse):
        return pod
    verdict = decide(pod, asked.namespace, cluster.mesh, asked.redirection, native=cluster.native)
    if not isinstance(verdict, Inject):
        return verdict
    rewritten = ask_proxy(asked.pod, pod)
    started_with = bootstrap(rewritten.probes)
    if len(started_with.encode()) > LONGEST_ARGUMENT:
        count = len(rewritten.probes.http) + len(rewritten.probes.tcp)
        return Refuse(
            f"the pod has {count} probes, more than its proxy can be told of; "
            "have fewer, or probe by command"
        )
    sidecar = _sidecar(asked, cluster, rewritten.probes, started_with)
    after = with_sidecar(rewritten.document, sidecar)
    return Injected(after, difference(asked.pod, after), verdict.warnings)


def _sidecar(asked: Asked, cluster: Cluster, probes: Probes, bootstrap: str) -> Sidecar:
    config = asked.config
    return Sidecar(
        image=config.envoy_image or cluster.image,
        init_image=config.init_container_image or cluster.init_image,
        bootstrap=bootstrap,
        audience=cluster.audience,
        config_map=cluster.config_map,
        native=cluster.native,
        redirection=asked.redirection,
        probes=probes,
        at_pod_ip=config.local_proxy_mode == "PodIP",
        log_level=config.log_level,
        resources=config.resources,
        privileged=config.enable_privileged_init_container,
        metrics=switch(asked.namespace.metadata.annotations, METRICS, "") is True,
        uuid=asked.uuid,
    )
