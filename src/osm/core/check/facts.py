"""What checks look at. A fact that could not be gathered is `Unseen`, with the reason."""

from datetime import datetime

import msgspec

from osm.core.install.names import Installation


class Unseen(msgspec.Struct, frozen=True):
    """Nobody knows: the cluster does not answer, or the right to look is missing."""

    why: str


class Permission(msgspec.Struct, frozen=True):
    """One thing that installing needs, and whether the person who asks may do it."""

    verb: str
    resource: str
    """With its group, as `deployments.apps`."""
    namespace: str
    allowed: bool

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{place}"


class Node(msgspec.Struct, frozen=True):
    """A machine of the cluster."""

    name: str
    kubelet: str
    """Its version, as `v1.35.4`."""
    system: str
    """`linux` or `windows`."""
    architecture: str
    kernel: str
    ready: bool


class ControlPlane(msgspec.Struct, frozen=True):
    """A control plane that is in the cluster, whoever installed it."""

    installation: Installation
    version: str
    single: bool
    """Whether it wants to be the only one."""
    why_unready: str
    """Empty when it is rolled out."""
    ours: bool = True
    """Whether it is this project's, and not OSM's."""
    former_mesh: str = ""
    """The mesh that it takes over from."""


class Definition(msgspec.Struct, frozen=True):
    """A CustomResourceDefinition: as it is in the cluster."""

    name: str
    why_unready: str
    served: tuple[str, ...]
    stored: tuple[str, ...]
    """Every version in which objects may be stored."""


class WantedDefinition(msgspec.Struct, frozen=True):
    """A CustomResourceDefinition that this version of `osm` brings."""

    name: str
    served: tuple[str, ...]
    versions: tuple[str, ...]


class Pod(msgspec.Struct, frozen=True):
    """A pod of the control plane."""

    name: str
    why_unready: str
    restarts: int
    node: str


class Webhook(msgspec.Struct, frozen=True):
    """A webhook configuration: what the API server calls, and whom it trusts."""

    configuration: str
    service: str
    """`namespace/name`."""
    bundle: str
    """PEM of the roots; empty when nobody wrote them yet."""
    endpoints: int
    """How many ready pods stand behind the service."""


class Certificate(msgspec.Struct, frozen=True):
    """A certificate, as far as its life is concerned."""

    subject: str
    not_before: datetime
    not_after: datetime
    pem: str


class Lease(msgspec.Struct, frozen=True):
    """Who writes at this moment."""

    holder: str
    renewed: datetime | None
    duration_s: int


class MeshNamespace(msgspec.Struct, frozen=True):
    """A namespace of the mesh. `injection` is its annotation's value; `level` its pods' security level."""

    name: str
    injection: str
    level: str
    ignored: bool
    former_mesh: str = ""
    """The mesh that goes on monitoring it, when it was taken over."""


class Trial(msgspec.Struct, frozen=True):
    """A pod that was asked for in vain (dry run), to see whether it would get a proxy."""

    namespace: str
    refusal: str
    injected: bool


class Proxy(msgspec.Struct, frozen=True):
    """A pod of a mesh's namespace that has, or should have, a proxy."""

    namespace: str
    pod: str
    image: str
    """Empty: it has no proxy of this mesh's."""
    why_unready: str
    former: bool = False
    """Whether it has a proxy of OSM's."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that checks know, at one moment."""

    now: datetime
    client_version: str
    installation: Installation
    """Which mesh is meant."""
    server: str | Unseen
    """The version of the API server, as `v1.35.4`."""
    permissions: tuple[Permission, ...] | Unseen = ()
    nodes: tuple[Node, ...] | Unseen = ()
    planes: tuple[ControlPlane, ...] | Unseen = ()
    wanted_definitions: tuple[WantedDefinition, ...] = ()
    definitions: tuple[Definition, ...] | Unseen = ()
    foreign: tuple[str, ...] | Unseen = ()
    """Objects with names that install uses, and that are not of this mesh."""
    pods: tuple[Pod, ...] | Unseen = ()
    services: tuple[str, ...] | Unseen = ()
    """Those of the control plane that exist."""
    has_config: bool | Unseen = True
    """Whether there is a MeshConfig."""
    webhooks: tuple[Webhook, ...] | Unseen = ()
    root: Certificate | Unseen | None = None
    lease: Lease | Unseen | None = None
    namespaces: tuple[MeshNamespace, ...] | Unseen = ()
    former_namespaces: tuple[str, ...] | Unseen = ()
    """Of the mesh that this one takes over from: those that were not taken over yet."""
    trial: Trial | Unseen | None = None
    """None when no namespace is in the mesh."""
    proxies: tuple[Proxy, ...] | Unseen = ()
    disconnected: tuple[str, ...] | Unseen = ()
    """Proxies that the control plane does not see, as `namespace/pod`."""

    @property
    def former_mesh(self) -> str:
        """The mesh that this one takes over from; empty when there is none, or nobody knows."""
        planes = self.planes if isinstance(self.planes, tuple) else ()
        mine = (each.former_mesh for each in planes if each.installation == self.installation)
        return next(mine, "")
