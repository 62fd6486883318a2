"""SMI's kinds as people write them, version by version, and the way from there to `smi`'s forms.

Only what differs between versions has a form of its own. Conditions of access that we do not know
are refused (`ConditionStruct`): who misspells `methods` must not get all of them allowed.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated

from osm.core.api import smi
from osm.core.api.metadata import ConditionStruct, MeshStruct, Metadata
from osm.core.api.quantity import parse_quantity, whole_weights
from osm.core.api.scalars import DnsSubdomain, Method, PortNumber, Regex, checked, one_of

GREATEST_TOTAL_WEIGHT = 2**32 - 1
"""Envoy adds weights up in 32 bits."""


class SubjectForm(MeshStruct, frozen=True):
    """Who calls.

    kind: Always `ServiceAccount`.
    name: Name of the service account.
    namespace: Namespace of the service account; by default that of this object.
    """

    kind: str
    name: DnsSubdomain
    namespace: DnsSubdomain = ""


class DestinationForm(ConditionStruct, frozen=True):
    """Who is called. In v1alpha1 `port` may stand here; its Go type was text.

    kind: Always `ServiceAccount`.
    name: Name of the service account.
    namespace: Namespace of the service account, which is that of this object.
    port: Port that the rules are limited to.
    """

    kind: str
    name: DnsSubdomain
    namespace: DnsSubdomain = ""
    port: int | str = 0


class RuleForm(ConditionStruct, frozen=True):
    """A reference to an HTTPRouteGroup (and matches of it) or a TCPRoute.

    kind: `HTTPRouteGroup` or `TCPRoute`.
    name: Name of the object, in the namespace of this one.
    matches: Names of matches of the HTTPRouteGroup. Without any, all of them are meant.
    """

    kind: str
    name: DnsSubdomain
    matches: tuple[str, ...] = ()


class TargetV1Alpha1(MeshStruct, frozen=True):
    """TrafficTarget v1alpha1: everything at the top, rules are called `specs`.

    destination: Who is called.
    sources: Who calls.
    specs: What may be called.
    """

    metadata: Metadata
    destination: DestinationForm
    sources: tuple[SubjectForm, ...] = ()
    specs: tuple[RuleForm, ...] = ()


class TargetSpec(MeshStruct, frozen=True):
    """What a TrafficTarget says, since v1alpha2.

    destination: Who is called.
    sources: Who calls.
    rules: What may be called.
    """

    destination: DestinationForm
    sources: tuple[SubjectForm, ...] = ()
    rules: tuple[RuleForm, ...] = ()


class Target(MeshStruct, frozen=True):
    """TrafficTarget v1alpha2 and v1alpha3.

    spec: Who may call whom.
    """

    metadata: Metadata
    spec: TargetSpec


class MatchForm(ConditionStruct, frozen=True):
    """A match. `headers` is a list of one-key maps in the CRD, and a map in SMI's own examples.

    name: Name of this match.
    path_regex: Regular expression (RE2) that fits the whole path. Empty: any path.
    methods: HTTP methods; `*` or none is any.
    headers: Regular expressions (RE2) by name of the header; `host` is the authority.
    """

    name: str
    path_regex: Regex = ""
    methods: tuple[Method, ...] = ()
    headers: tuple[Mapping[str, Regex], ...] | Mapping[str, Regex] = ()

    def header_pairs(self) -> tuple[tuple[str, str], ...]:
        """All headers, in whichever way they were written."""
        maps = (self.headers,) if isinstance(self.headers, Mapping) else self.headers
        return tuple((name, regex) for one in maps for name, regex in one.items())


class GroupV1Alpha1(MeshStruct, frozen=True):
    """HTTPRouteGroup v1alpha1 and v1alpha2: matches at the top.

    matches: Requests that fit any of these.
    """

    metadata: Metadata
    matches: tuple[MatchForm, ...] = ()


class GroupSpec(MeshStruct, frozen=True):
    """What an HTTPRouteGroup says, since v1alpha3.

    matches: Requests that fit any of these.
    """

    matches: tuple[MatchForm, ...] = ()


class Group(MeshStruct, frozen=True):
    """HTTPRouteGroup v1alpha3 and v1alpha4.

    spec: HTTP requests.
    """

    metadata: Metadata
    spec: GroupSpec


class PortsForm(ConditionStruct, frozen=True):
    """Ports; the list may be empty, which means any port, but must be there.

    ports: Ports of the workload. An empty list is any port.
    name: Name of this match.
    """

    ports: tuple[PortNumber, ...]
    name: str = ""


class RouteSpecV1Alpha1(ConditionStruct, frozen=True):
    """A TCPRoute could say nothing before v1alpha4; we read ports in them too.

    matches: Connections to these ports.
    """

    matches: PortsForm = PortsForm(())


class RouteV1Alpha1(MeshStruct, frozen=True):
    """TCPRoute v1alpha1 to v1alpha3: any port.

    spec: TCP connections.
    """

    metadata: Metadata
    spec: RouteSpecV1Alpha1 = RouteSpecV1Alpha1()


class RouteSpec(ConditionStruct, frozen=True):
    """What a TCPRoute says, since v1alpha4.

    matches: Connections to these ports.
    """

    matches: PortsForm


class Route(MeshStruct, frozen=True):
    """TCPRoute v1alpha4.

    spec: TCP connections.
    """

    metadata: Metadata
    spec: RouteSpec


class BackendForm(MeshStruct, frozen=True):
    """A leaf. Weights are quantities in v1alpha1, integers later; both are read everywhere.

    service: Name of the service.
    weight: Its part of the traffic.
    """

    service: DnsSubdomain
    weight: int | str | float


class SplitSpecV1Alpha1(MeshStruct, frozen=True):
    """What a TrafficSplit says in v1alpha1 and v1alpha2.

    service: The service whose traffic is divided.
    backends: Who gets which part of it.
    """

    service: DnsSubdomain
    backends: tuple[BackendForm, ...]


class SplitV1Alpha1(MeshStruct, frozen=True):
    """TrafficSplit v1alpha1 and v1alpha2.

    spec: How traffic is divided.
    """

    metadata: Metadata
    spec: SplitSpecV1Alpha1


class SplitMatchForm(MeshStruct, frozen=True):
    """A reference to an HTTPRouteGroup.

    kind: Always `HTTPRouteGroup`.
    name: Name of the HTTPRouteGroup.
    api_group: Group of the HTTPRouteGroup.
    """

    kind: Annotated[str, checked(one_of("HTTPRouteGroup"))]
    name: DnsSubdomain
    api_group: str = ""


class SplitSpec(MeshStruct, frozen=True):
    """What a TrafficSplit says since v1alpha3: it may hold for some requests only.

    service: The service whose traffic is divided.
    backends: Who gets which part of it.
    matches: Requests that are divided; others go to the service itself.
    """

    service: DnsSubdomain
    backends: tuple[BackendForm, ...]
    matches: tuple[SplitMatchForm, ...] = ()


class Split(MeshStruct, frozen=True):
    """TrafficSplit v1alpha3 and v1alpha4.

    spec: How traffic is divided.
    """

    metadata: Metadata
    spec: SplitSpec


def weight_of(written: int | str | float) -> Fraction:  # noqa: PYI041 - integers stay exact
    """Read a weight. Raises ValueError when it is none."""
    if isinstance(written, str):
        return parse_quantity(written)
    # A float's shortest decimal form is what the person wrote.
    return Fraction(repr(written)) if isinstance(written, float) else Fraction(written)


def convert_target(form: TargetV1Alpha1 | Target) -> smi.TrafficTarget:
    """The internal form. A namespace that is not given is the TrafficTarget's own."""
    own = form.metadata.namespace
    spec = form.spec if isinstance(form, Target) else form
    rules = form.specs if isinstance(form, TargetV1Alpha1) else form.spec.rules
    to = spec.destination
    return smi.TrafficTarget(
        form.metadata,
        smi.TrafficTargetSpec(
            smi.Destination(to.name, to.namespace or own, to.kind, int(to.port or 0)),
            tuple(smi.Subject(s.name, s.namespace or own, s.kind) for s in spec.sources),
            tuple(smi.TrafficTargetRule(r.kind, r.name, r.matches) for r in rules),
        ),
    )


def convert_group(form: GroupV1Alpha1 | Group) -> smi.HTTPRouteGroup:
    """The internal form, header names in lower case."""
    matches = form.spec.matches if isinstance(form, Group) else form.matches
    return smi.HTTPRouteGroup(
        form.metadata,
        smi.HTTPRouteGroupSpec(
            tuple(
                smi.HTTPMatch(
                    match.name,
                    match.path_regex,
                    match.methods,
                    tuple((name.lower(), regex) for name, regex in match.header_pairs()),
                )
                for match in matches
            )
        ),
    )


def convert_route(form: RouteV1Alpha1 | Route) -> smi.TCPRoute:
    """The internal form."""
    return smi.TCPRoute(form.metadata, smi.TCPRouteSpec(smi.TCPMatch(form.spec.matches.ports)))


def convert_split(form: SplitV1Alpha1 | Split) -> smi.TrafficSplit:
    """The internal form: weights are integers in exactly the proportion written."""
    backends = form.spec.backends
    weights = whole_weights(
        tuple(weight_of(b.weight) for b in backends), at_most=GREATEST_TOTAL_WEIGHT
    )
    matches = form.spec.matches if isinstance(form, Split) else ()
    return smi.TrafficSplit(
        form.metadata,
        smi.TrafficSplitSpec(
            form.spec.service,
            tuple(
                smi.SplitBackend(backend.service, weight)
                for backend, weight in zip(backends, weights or (), strict=True)
            ),
            tuple(smi.SplitMatch(match.name, match.kind) for match in matches),
        ),
    )
