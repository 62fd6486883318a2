"""What a person sees of a running mesh. The page, `osm status` and the live terminal view show this.

Plain values that turn into JSON as they are; rates are per second over `window_s`.
"""

import msgspec

from osm.core.model.origin import Finding
from osm.core.model.workload import ProxyKind


class WorkloadView(msgspec.Struct, frozen=True, gc=False):
    """One workload. `phase` is `starting`, `ready`, `unready`, `restarting` or `failed`."""

    namespace: str
    name: str
    app: str
    """The owning Deployment's or StatefulSet's name: nodes of the graph are grouped by it."""
    service_account: str
    identity: str
    phase: str
    reason: str = ""
    restarts: int = 0
    services: tuple[str, ...] = ()
    """`<namespace>/<service>` of each service that selects it."""
    web: str = ""
    """Address of the workload's own page on this machine, if one is forwarded."""
    proxy: ProxyKind = ProxyKind.OWN
    """Whose proxy it has, if any."""


class EdgeView(msgspec.Struct, frozen=True, gc=False):
    """Traffic between two apps during the window, and in total.

    `requests_per_second` and `success_percent` are of those that were let in; `denied` requests were
    refused by the mesh. For TCP, connections take the place of requests. `split_percent` is the share
    that a route gives this destination, or None without a split.
    """

    source_namespace: str
    source: str
    destination_namespace: str
    destination: str
    protocol: str
    requests_per_second: float
    success_percent: float | None
    p50_ms: float | None
    p99_ms: float | None
    total: int
    denied_per_second: float = 0.0
    denied_total: int = 0
    deny_reason: str = ""
    remedy: str = ""
    """YAML of the access rule that would allow what is denied."""
    mutual_tls: bool = True
    split_percent: float | None = None
    split_service: str = ""


class ResourceTypeView(msgspec.Struct, frozen=True, gc=False):
    """One xDS type of one proxy: what it asked for and holds, and how it answered.

    `sent`, `acknowledged`, `refused` and `pending` count responses since the proxy connected.
    """

    type: str
    resources: int
    """Names held."""
    sent: int
    acknowledged: int
    refused: int
    last_error: str = ""
    """The proxy's words, until it takes something newer."""
    subscribed: int = 0
    """Names that it asked for."""
    wildcard: bool = False
    """It also has everything of the type that is its own."""
    bytes: int = 0
    """Size on the wire of what it holds."""
    pending: int = 0
    """Responses that it has not answered yet."""
    sent_ago_s: float | None = None
    acknowledged_ago_s: float | None = None
    at_fault: tuple[str, ...] = ()
    """The objects and fields behind what it refuses."""

    @property
    def refuses(self) -> bool:
        """Whether what was refused still is not mended."""
        return bool(self.refused and self.last_error)

    @property
    def answered_in_s(self) -> float | None:
        """How long the proxy took for its last answer, or takes already. None before the first."""
        if self.sent_ago_s is None:
            return None
        if self.pending or self.acknowledged_ago_s is None:
            return self.sent_ago_s
        return max(0.0, self.sent_ago_s - self.acknowledged_ago_s)


class ProxyView(msgspec.Struct, frozen=True, gc=False):
    """A proxy. `in_sync` when everything sent is acknowledged and nothing is refused."""

    namespace: str
    name: str
    identity: str
    connected: bool
    in_sync: bool
    version: str = ""
    connected_s: float = 0.0
    certificate_expires: str = ""
    types: tuple[ResourceTypeView, ...] = ()


class ObjectView(msgspec.Struct, frozen=True, gc=False):
    """An object of the mesh. `status` is `ok`, `warning` or `error`."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    where: str
    status: str
    summary: str = ""
    findings: tuple[str, ...] = ()


class DenialView(msgspec.Struct, frozen=True, gc=False):
    """A refused request or connection, newest first; equal ones are counted."""

    time: str
    source: str
    """`<namespace>/<service account>`, or the claimed SPIFFE ID."""
    destination: str
    """`<namespace>/<workload>`."""
    port: int
    method: str
    path: str
    reason: str
    count: int = 1


class PushView(msgspec.Struct, frozen=True, gc=False):
    """How long the way of the last change took, in ms, and what it was."""

    trigger: str = ""
    compile_ms: float = 0.0
    deliver_ms: float = 0.0
    resources: int = 0
    pushes: int = 0


class ReplicaView(msgspec.Struct, frozen=True, order=True, gc=False):
    """One replica of a control plane in a cluster: its pod, how many proxies are connected to it, and
    whether it is the one that writes.
    """

    name: str
    proxies: int = 0
    leads: bool = False


class MeshView(msgspec.Struct, frozen=True, gc=False):
    """Everything at one moment."""

    mesh: str
    platform: str
    """How workloads run: for instance `local, namespaces as root`, and why."""
    policy_mode: str
    """`smi` or `permissive`."""
    trust_domain: str
    started: str
    now: str
    window_s: float
    page: str
    directory: str
    workloads: tuple[WorkloadView, ...] = ()
    edges: tuple[EdgeView, ...] = ()
    proxies: tuple[ProxyView, ...] = ()
    objects: tuple[ObjectView, ...] = ()
    denials: tuple[DenialView, ...] = ()
    findings: tuple[Finding, ...] = ()
    push: PushView = PushView()
    counters: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    """Counters that demo applications show at `/raw`, by workload."""
    replicas: tuple[ReplicaView, ...] = ()
    """Of those whose view this is; empty where the control plane has none."""
