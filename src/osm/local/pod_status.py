"""What becomes of a pod while it runs, and how that reads as a Kubernetes status. No I/O."""

from collections.abc import Iterable

import msgspec

from osm.core.api.kubernetes import ContainerStatus, Pod, PodCondition, PodStatus
from osm.core.api.manifest import Key, Manifest
from osm.core.compile import local_annotations

PROXY = "envoy"
"""The proxy's container name, as OSM's (`reference/osm.md` §6.1)."""


class ProgramState:
    """How one program of a pod is at present."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = False
        self.started = False
        self.finished = False
        """Ended, and need not start again."""
        self.restarts = 0
        self.problem = "not started yet"


class PodState:
    """How a pod is at present."""

    def __init__(self, pod: Pod) -> None:
        self.proxy = ProgramState(PROXY)
        self.containers = [ProgramState(each.name) for each in pod.spec.containers]
        self.problem = ""
        """Why the pod cannot run at all."""
        self.stopping = False

    @property
    def ready(self) -> bool:
        return self._not_ready() is None

    def conditions(self) -> tuple[PodCondition, ...]:
        """The `Ready` condition, with why not."""
        found = self._not_ready()
        if found is None:
            return (PodCondition("Ready", "True"),)
        return (PodCondition("Ready", "False", *found),)

    def phase(self) -> str:
        """`Running` once every container has been started."""
        if all(each.finished for each in self.containers):
            return "Succeeded"
        return "Running" if all(each.started for each in self.containers) else "Pending"

    def _not_ready(self) -> tuple[str, str] | None:
        if self.stopping:
            return "Terminating", "the pod is being stopped"
        if self.problem:
            return "SandboxFailed", self.problem
        if not self.proxy.ready:
            return "ProxyNotReady", f"{PROXY}: {self.proxy.problem}"
        waiting = [each for each in self.containers if not each.ready]
        if waiting:
            problems = (f"{each.name}: {each.problem}" for each in waiting)
            return "ContainersNotReady", "; ".join(problems)
        return None


def show(pod: Pod, state: PodState, inbound_address: str, ingress_address: str) -> Manifest:
    """The pod as an API server would show it."""
    programs: Iterable[ProgramState] = (*state.containers, state.proxy)
    status = PodStatus(
        phase=state.phase(),
        pod_ip=pod.status.pod_ip,
        conditions=state.conditions(),
        container_statuses=tuple(
            ContainerStatus(each.name, each.ready, each.restarts) for each in programs
        ),
    )
    annotations = {
        **pod.metadata.annotations,
        local_annotations.INBOUND_ADDRESS: inbound_address,
        local_annotations.INGRESS_ADDRESS: ingress_address,
    }
    shown = Pod(msgspec.structs.replace(pod.metadata, annotations=annotations), pod.spec, status)
    raw = {"apiVersion": "v1", "kind": "Pod", **msgspec.to_builtins(shown)}
    return Manifest(key_of(pod), shown, raw)


def key_of(pod: Pod) -> Key:
    """The key of a pod."""
    return Key("", "Pod", pod.metadata.namespace, pod.metadata.name)
