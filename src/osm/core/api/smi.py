"""SMI's kinds in the form that the rest of the code reads, whatever version they were written in.

The written forms, and what turns them into these, are in `smi_forms`.
"""

import msgspec

from osm.core.api.metadata import Metadata


class Subject(msgspec.Struct, frozen=True, gc=False):
    """A service account. `namespace` is never empty."""

    name: str
    namespace: str
    kind: str = "ServiceAccount"


class Destination(msgspec.Struct, frozen=True, gc=False):
    """Whose workloads may be called. `port` is a target port that limits every rule; 0: any port.

    Only TrafficTarget v1alpha1 can give a port.
    """

    name: str
    namespace: str
    kind: str = "ServiceAccount"
    port: int = 0


class TrafficTargetRule(msgspec.Struct, frozen=True, gc=False):
    """`kind` is HTTPRouteGroup or TCPRoute; `matches` names matches of an HTTPRouteGroup."""

    kind: str
    name: str
    matches: tuple[str, ...] = ()


class TrafficTargetSpec(msgspec.Struct, frozen=True, gc=False):
    """Sources may do what the rules say to the destination."""

    destination: Destination
    sources: tuple[Subject, ...] = ()
    rules: tuple[TrafficTargetRule, ...] = ()


class TrafficTarget(msgspec.Struct, frozen=True, gc=False):
    """access.smi-spec.io: who may call whom."""

    metadata: Metadata
    spec: TrafficTargetSpec


class HTTPMatch(msgspec.Struct, frozen=True, gc=False):
    """Path, method and every header must fit. Empty parts fit everything.

    `headers` are pairs of lower-case name and regex, in the order written; `host` is the authority.
    """

    name: str
    path_regex: str = ""
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class HTTPRouteGroupSpec(msgspec.Struct, frozen=True, gc=False):
    """Any of the matches."""

    matches: tuple[HTTPMatch, ...] = ()


class HTTPRouteGroup(msgspec.Struct, frozen=True, gc=False):
    """specs.smi-spec.io: HTTP requests, by name."""

    metadata: Metadata
    spec: HTTPRouteGroupSpec


class TCPMatch(msgspec.Struct, frozen=True, gc=False):
    """Target ports; none given fits all."""

    ports: tuple[int, ...] = ()


class TCPRouteSpec(msgspec.Struct, frozen=True, gc=False):
    """What a TCPRoute fits."""

    matches: TCPMatch = TCPMatch()


class TCPRoute(msgspec.Struct, frozen=True, gc=False):
    """specs.smi-spec.io: TCP connections, by port."""

    metadata: Metadata
    spec: TCPRouteSpec = TCPRouteSpec()


class SplitBackend(msgspec.Struct, frozen=True, gc=False):
    """A service that takes `weight` parts of the traffic."""

    service: str
    weight: int


class SplitMatch(msgspec.Struct, frozen=True, gc=False):
    """An HTTPRouteGroup: requests that fit any of its matches are split, others go to the root."""

    name: str
    kind: str = "HTTPRouteGroup"


class TrafficSplitSpec(msgspec.Struct, frozen=True, gc=False):
    """`service` is the root in any spelling: `svc`, `svc.ns`, … `svc.ns.svc.cluster.local`."""

    service: str
    backends: tuple[SplitBackend, ...] = ()
    matches: tuple[SplitMatch, ...] = ()


class TrafficSplit(msgspec.Struct, frozen=True, gc=False):
    """split.smi-spec.io: a service's traffic, divided by weight."""

    metadata: Metadata
    spec: TrafficSplitSpec
