"""policy.openservicemesh.io as people write it: Egress, IngressBackend, Retry and Telemetry.

A line `field: …` in a docstring is what `kubectl explain` shows of it (`crd_schema`).
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from osm.core.api.hosts import DestinationRange, ServerDestination, ServerName
from osm.core.api.limits import (
    Count,
    Items,
    OptionalDuration,
    PositiveDuration,
    ShortText,
)
from osm.core.api.log_format import LogFormat
from osm.core.api.metadata import ConditionStruct, MeshStruct, Metadata
from osm.core.api.retry_on import RetryOn
from osm.core.api.scalars import (
    DnsLabel,
    DnsSubdomain,
    PortNumber,
    check_labels,
    checked,
    one_of,
)

EGRESS_PROTOCOLS = ("http", "https", "tcp", "tcp-server-first")


class Reference(ConditionStruct, frozen=True):
    """An object of the same namespace.

    api_group: Group of the object, with or without version: `specs.smi-spec.io/v1alpha4`.
    kind: Kind of the object.
    name: Name of the object.
    """

    api_group: str
    kind: str
    name: DnsSubdomain


class EgressSource(ConditionStruct, frozen=True):
    """Who may call.

    kind: Always `ServiceAccount`.
    name: Name of the service account.
    namespace: Namespace of the service account.
    """

    kind: Annotated[str, checked(one_of("ServiceAccount"))]
    name: DnsSubdomain
    namespace: DnsLabel


class EgressPort(ConditionStruct, frozen=True):
    """A port of the destination. The protocol is in lower case, however it was written.

    number: Number of the port.
    protocol: What is spoken there: `http`, `https`, `tcp` or `tcp-server-first`.
    """

    number: PortNumber
    protocol: Annotated[str, checked(one_of(*EGRESS_PROTOCOLS, ignore_case=True))]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "protocol", self.protocol.lower())


class EgressSpec(ConditionStruct, frozen=True):
    """Whom the sources may call beyond the mesh, and how.

    sources: Service accounts that may call.
    hosts: For http the hosts of requests, for https the server names; tcp does not look at them.
    ip_addresses: IPv4 ranges of the destination. Without any, every address is meant.
    ports: Ports of the destination.
    matches: HTTPRouteGroups that http requests must fit one of, and at most one
        UpstreamTrafficSetting.
    """

    sources: Annotated[tuple[EgressSource, ...], checked(Items())]
    ports: Annotated[tuple[EgressPort, ...], checked(Items())]
    hosts: Annotated[tuple[ServerDestination, ...], checked(Items())] = ()
    ip_addresses: Annotated[tuple[DestinationRange, ...], checked(Items())] = ()
    matches: Annotated[tuple[Reference, ...], checked(Items())] = ()


class Egress(MeshStruct, frozen=True):
    """What service accounts may call beyond the mesh.

    spec: What this object says.
    """

    metadata: Metadata
    spec: EgressSpec


class IngressPort(ConditionStruct, frozen=True):
    """A port of the pods behind a service. The protocol is in lower case, however it was written.

    number: Number of the port that the pods listen on, which need not be the service's.
    protocol: What is spoken there: `http` or `https`.
    """

    number: PortNumber
    protocol: Annotated[str, checked(one_of("http", "https", ignore_case=True))]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "protocol", self.protocol.lower())


class IngressTls(ConditionStruct, frozen=True):
    """What is asked of clients of a port with protocol https.

    skip_client_cert_validation: Whether clients may come without a certificate.
    sni_hosts: Server names that clients may ask for. Without any, every name is meant.
    """

    skip_client_cert_validation: bool
    sni_hosts: Annotated[tuple[ServerName, ...], checked(Items())] = ()


class IngressService(ConditionStruct, frozen=True):
    """A service that may be called from outside of the mesh.

    name: Name of the service, in the namespace of this object.
    port: Port of its pods.
    tls: What is asked of clients. Without it: a certificate, and any server name.
    """

    name: DnsSubdomain
    port: IngressPort
    tls: IngressTls = IngressTls(skip_client_cert_validation=False)


class IngressSource(ConditionStruct, frozen=True):
    """Who may call.

    kind: `Service` (its endpoints), `IPRange`, or `AuthenticatedPrincipal`.
    name: Name of the service, the IPv4 range, or the name that the client's certificate shows.
    namespace: Namespace of the service; no other kind has one.
    """

    kind: Annotated[str, checked(one_of("Service", "AuthenticatedPrincipal", "IPRange"))]
    name: str
    namespace: str = ""


class IngressBackendSpec(ConditionStruct, frozen=True):
    """Who may call which services from outside of the mesh.

    backends: Services that may be called.
    sources: Who may call them.
    matches: HTTPRouteGroups that requests must fit one of. Without any, every request is meant.
    """

    backends: Annotated[tuple[IngressService, ...], checked(Items())]
    sources: Annotated[tuple[IngressSource, ...], checked(Items())]
    matches: Annotated[tuple[Reference, ...], checked(Items())] = ()


class IngressBackend(MeshStruct, frozen=True):
    """Who may call services of this namespace from outside of the mesh.

    spec: What this object says.
    """

    metadata: Metadata
    spec: IngressBackendSpec


class RetrySource(MeshStruct, frozen=True):
    """Whose requests are retried.

    kind: Always `ServiceAccount`.
    name: Name of the service account.
    namespace: Namespace of the service account.
    """

    kind: Annotated[str, checked(one_of("ServiceAccount"))]
    name: DnsSubdomain
    namespace: DnsLabel


class RetryDestination(MeshStruct, frozen=True):
    """A service.

    kind: Always `Service`.
    name: Name of the service.
    namespace: Namespace of the service.
    """

    kind: Annotated[str, checked(one_of("Service"))]
    name: DnsSubdomain
    namespace: DnsLabel


class RetryPolicy(MeshStruct, frozen=True):
    """When and how often. Where it says nothing: one retry, and no limit for each try.

    retry_on: Conditions of Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`, with commas
        between them.
    per_try_timeout: How long each try may take, such as `1s`.
    num_retries: How often, beyond the first try.
    retry_backoff_base_interval: About how long the first pause is; the next ones are longer.
    """

    retry_on: RetryOn
    per_try_timeout: OptionalDuration = ""
    num_retries: Count = 1
    retry_backoff_base_interval: PositiveDuration = "25ms"


class RetrySpec(MeshStruct, frozen=True):
    """Requests from a service account to services, and how they are retried.

    source: Whose requests.
    destinations: Requests to these services.
    retry_policy: When and how often.
    """

    source: RetrySource
    destinations: Annotated[tuple[RetryDestination, ...], checked(Items())]
    retry_policy: RetryPolicy


class Retry(MeshStruct, frozen=True):
    """How requests that failed are tried again.

    spec: What this object says.
    """

    metadata: Metadata
    spec: RetrySpec


class ExtensionServiceName(MeshStruct, frozen=True):
    """An ExtensionService.

    namespace: Namespace of the ExtensionService.
    name: Name of the ExtensionService.
    """

    namespace: DnsLabel
    name: DnsSubdomain


class OpenTelemetry(MeshStruct, frozen=True):
    """Access logs for an OpenTelemetry collector.

    extension_service: Where the collector is.
    attributes: Attributes of each entry; Envoy's operators may stand in the values.
    """

    extension_service: ExtensionServiceName
    attributes: Annotated[Mapping[ShortText, LogFormat], checked(Items(at_most=100))] = {}


class AccessLog(MeshStruct, frozen=True):
    """What proxies log of each request and connection.

    format: A text, or a JSON object, with Envoy's operators such as `%RESPONSE_CODE%`.
    open_telemetry: A collector that gets the entries too.
    """

    format: LogFormat = ""
    open_telemetry: OpenTelemetry | None = None


class TelemetrySpec(MeshStruct, frozen=True):
    """Access logs of some workloads.

    selector: Labels of the pods. Without any: all of the namespace, or, in the namespace of the
        mesh itself, all of the mesh.
    access_log: What is logged, and where to.
    """

    selector: Annotated[Mapping[str, str], checked(check_labels)] = {}
    access_log: AccessLog | None = None


class Telemetry(MeshStruct, frozen=True):
    """What workloads tell about their traffic.

    spec: What this object says.
    """

    metadata: Metadata
    spec: TelemetrySpec = TelemetrySpec()
