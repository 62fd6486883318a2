"""What keeps a pod from being part of the mesh, and what its owner should know.

Who wants a pod in the mesh and cannot have it there, is told so when it is created. To leave such a pod
without a proxy would be to send in plaintext what its owner believes to be encrypted.
"""

from collections.abc import Iterator

from osm.core.api.exclusions import exclusion_problems
from osm.core.api.mesh_keys import INJECTION
from osm.core.inject import native as native_sidecars
from osm.core.inject.pod import Pod
from osm.core.inject.redirection import PROXY_USER
from osm.core.inject.sidecar import CONTAINER, INIT_CONTAINER, VOLUME
from osm.core.model.redirection import Redirection
from osm.core.model.reserved import reserved_for

_NATIVE_SINCE = "Kubernetes {}.{}".format(*native_sidecars.SINCE)


def obstacles(pod: Pod) -> Iterator[str]:
    """Why the pod cannot have a proxy, and what to do: each a clause."""
    if _is_for_windows(pod):
        yield (
            "the mesh has no proxy for Windows; to run it without one, give it the annotation "
            f"{INJECTION}: disabled"
        )
    yield from _taken_names(pod)
    yield from _proxys_user(pod)
    for container in pod.spec.programs:
        for port in container.ports:
            if use := reserved_for(port.container_port):
                yield (
                    f"container {container.name} listens on port {port.container_port}, which the "
                    f"proxy needs for {use}; take another"
                )
    for problem in exclusion_problems(pod.metadata.annotations, ()):
        yield f"annotation {problem.path[-1]}: {problem.message}"


def _is_for_windows(pod: Pod) -> bool:
    selector = pod.spec.node_selector
    return "windows" in (pod.spec.os.name.lower(), selector.get("kubernetes.io/os", "").lower())


def _taken_names(pod: Pod) -> Iterator[str]:
    for container in pod.spec.programs:
        if container.name in (CONTAINER, INIT_CONTAINER):
            yield (
                f"it has a container {container.name}, which is what the mesh calls its own; rename "
                "it, or remove it if the pod was copied from one that had a proxy"
            )
    if any(volume.name == VOLUME for volume in pod.spec.volumes):
        yield f"it has a volume {VOLUME}, which is what the mesh calls its own; rename it"


def _proxys_user(pod: Pod) -> Iterator[str]:
    """What the proxy's user sends is not redirected."""
    of_pod = pod.spec.security_context.run_as_user
    for container in pod.spec.programs:
        own = container.security_context.run_as_user
        user = of_pod if own is None else own
        if user == PROXY_USER:
            yield (
                f"container {container.name} runs as user {PROXY_USER}, which is the proxy's: its "
                "calls would leave unencrypted; take another"
            )


def warnings(pod: Pod, redirection: Redirection, *, native: bool) -> Iterator[str]:
    """What works otherwise than people may think."""
    if not native and pod.spec.restart_policy != "Always":
        yield (
            f"this cluster is older than {_NATIVE_SINCE}: the pod ends only when its program also "
            "ends its proxy, by POST http://127.0.0.1:15000/quitquitquit"
        )
    for container in pod.spec.programs:
        for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
            if probe and probe.grpc and probe.grpc.port not in redirection.inbound_ports:
                yield (
                    f"container {container.name} is probed by gRPC on port {probe.grpc.port}, where "
                    "the proxy demands a certificate of the mesh: the probe fails unless the port "
                    "is in openservicemesh.io/inbound-port-exclusion-list"
                )
