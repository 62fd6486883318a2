"""What an Envoy is started with: where the control plane is, and how to prove who asks."""

from collections.abc import Mapping

import msgspec
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value

from osm._envoy.envoy.config.bootstrap.v3 import bootstrap_pb2
from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import (
    base_pb2,
    config_source_pb2,
    grpc_service_pb2,
)
from osm._envoy.envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from osm._envoy.envoy.extensions.resource_monitors.downstream_connections.v3 import (
    downstream_connections_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import (
    common_pb2,
    secret_pb2,
    tls_pb2,
)
from osm._envoy.envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.envoy.address import envoy_address
from osm.core.envoy.cluster import HTTP_OPTIONS
from osm.core.envoy.names import CONTROL_PLANE_CLUSTER, RUNTIME_LAYER
from osm.core.envoy.probes import ProbeListeners, add_probes, connection_limits
from osm.core.envoy.tls import ads_source
from osm.core.envoy.token import TOKEN_SECRET, token_filters, token_secret, trust_in
from osm.core.model.identity import ProxyIdentity
from osm.core.model.workload import Address, SocketAddress

CERTIFICATE_FILE = "tls_certificate_sds_secret.json"
TRUST_FILE = "validation_context_sds_secret.json"
TOKEN_FILE = "token_sds_secret.json"  # noqa: S105 a file's name

REGEX_PROGRAM_LIMIT = 1000
"""RE2 program size that a regex of ours may have; Envoy's own limit of 100 would refuse ordinary ones.
`core.api` refuses what is larger before Envoy sees it."""

# Stats that `osm`, the page, OSM's dashboards and debugging need. Each of the others costs memory for
# each cluster (measured: 27 kB).
_STATS_PREFIXES = (
    "osm",
    "cluster.",
    "http.inbound",
    "http.ingress",
    "http.outbound",
    "tcp.",
    "listener.",
    "listener_manager.",
    "local_rate_limit.",
    "http_local_rate_limiter.",
    "ratelimit.",
    "ext_authz.",
    "control_plane.",
    "cluster_manager.",
    "server.",
    "runtime.load",
    # Of spans and logs for collectors; there are none without.
    "tracing.",
    "access_logs.",
)

_DURATION_BUCKETS = (
    1, 2, 3, 5, 8, 12, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
)  # fmt: skip


class HostAddress(msgspec.Struct, frozen=True, gc=False):
    """A server by its name, which the proxy looks up."""

    host: str
    port: int


class Bootstrap(msgspec.Struct, frozen=True, gc=False):
    """`directory` is where the proxy finds its secrets' files, as it sees it itself."""

    proxy: ProxyIdentity | None
    """None: Envoy's arguments say whose proxy it is, and one text serves copies of a pod."""
    control_plane: Address | HostAddress
    control_plane_name: str
    """The DNS name in the control plane's certificate."""
    admin: Address
    directory: str
    shows_token: bool = False
    """The directory is a projected volume with a ServiceAccount token, which the proxy shows instead of
    a certificate (`osm.core.envoy.token`).
    """
    probes: ProbeListeners | None = None
    """Where the kubelet asks the proxy; None where there is no kubelet."""


def build_bootstrap(value: Bootstrap) -> str:
    """The bootstrap as JSON, without spaces: in a pod it is an argument, whose length is limited."""
    bootstrap = bootstrap_pb2.Bootstrap(
        admin=bootstrap_pb2.Admin(address=envoy_address(value.admin)),
        static_resources=bootstrap_pb2.Bootstrap.StaticResources(
            clusters=[_control_plane_cluster(value)]
        ),
        dynamic_resources=bootstrap_pb2.Bootstrap.DynamicResources(
            ads_config=config_source_pb2.ApiConfigSource(
                api_type=config_source_pb2.ApiConfigSource.DELTA_GRPC,
                transport_api_version=config_source_pb2.ApiVersion.V3,
                set_node_on_first_message_only=True,
                grpc_services=[_control_plane_service()],
            ),
            cds_config=ads_source(),
            lds_config=ads_source(),
        ),
        layered_runtime=_runtime(connection_limits(value.probes) if value.probes else {}),
    )
    if value.proxy is not None:
        identity = value.proxy.identity
        bootstrap.node.id = value.proxy.name
        bootstrap.node.cluster = f"{identity.service_account}.{identity.namespace}"
    if value.probes is not None:
        add_probes(bootstrap.static_resources, value.probes)
    for prefix in _STATS_PREFIXES:
        bootstrap.stats_config.stats_matcher.inclusion_list.patterns.add(prefix=prefix)
    buckets = bootstrap.stats_config.histogram_bucket_settings.add(buckets=_DURATION_BUCKETS)
    buckets.match.prefix = "osm.request_duration_ms"
    # Histograms are shown only after a flush.
    bootstrap.stats_flush_interval.FromSeconds(1)
    monitor = bootstrap.overload_manager.resource_monitors.add(
        name="envoy.resource_monitors.global_downstream_max_connections"
    )
    monitor.typed_config.Pack(
        downstream_connections_pb2.DownstreamConnectionsConfig(
            max_active_downstream_connections=50_000
        )
    )
    fields = json_format.MessageToDict(bootstrap, preserving_proto_field_name=True)
    return msgspec.json.encode(fields, order="sorted").decode()


def build_certificate_file(certificate: bytes, private_key: bytes) -> str:
    """The file that holds a proxy's bootstrap certificate, as Envoy watches it."""
    secret = secret_pb2.Secret(
        name="tls_sds",
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_bytes=certificate),
            private_key=base_pb2.DataSource(inline_bytes=private_key),
        ),
    )
    return _secret_file(secret)


def build_token_file(volume: str) -> str:
    """The file that says where a proxy finds its token."""
    return _secret_file(token_secret(volume))


def build_trust_file(roots: bytes, control_plane_name: str) -> str:
    """The file that says which control plane to trust: these roots, and this name."""
    inline = base_pb2.DataSource(inline_bytes=roots)
    trust = common_pb2.CertificateValidationContext(trusted_ca=inline)
    return _trust_file(trust, control_plane_name)


def build_volume_trust_file(volume: str, control_plane_name: str) -> str:
    """The same with the roots that are in the volume at any moment."""
    return _trust_file(trust_in(volume), control_plane_name)


def _trust_file(trust: common_pb2.CertificateValidationContext, control_plane_name: str) -> str:
    name = trust.match_typed_subject_alt_names.add(san_type=common_pb2.SubjectAltNameMatcher.DNS)
    name.matcher.exact = control_plane_name
    return _secret_file(secret_pb2.Secret(name="validation_context_sds", validation_context=trust))


def _secret_file(secret: secret_pb2.Secret) -> str:
    response = discovery_pb2.DiscoveryResponse()
    response.resources.add().Pack(secret)
    return json_format.MessageToJson(response, preserving_proto_field_name=True)


def _control_plane_service() -> grpc_service_pb2.GrpcService:
    service = grpc_service_pb2.GrpcService(
        envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=CONTROL_PLANE_CLUSTER)
    )
    # Back within seconds when the control plane is, without a stampede: Envoy adds jitter.
    backoff = service.envoy_grpc.retry_policy.retry_back_off
    backoff.base_interval.FromMilliseconds(250)
    backoff.max_interval.FromSeconds(5)
    return service


def _control_plane_cluster(value: Bootstrap) -> cluster_pb2.Cluster:
    match value.control_plane:
        case HostAddress(host, port):
            # Of a name's addresses, IPv4 or IPv6, the first that answers is taken (RFC 8305).
            kind, address = cluster_pb2.Cluster.LOGICAL_DNS, SocketAddress(host, port)
        case address:
            kind = cluster_pb2.Cluster.STATIC
    endpoint = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=envoy_address(address))
    )
    cluster = cluster_pb2.Cluster(
        name=CONTROL_PLANE_CLUSTER,
        type=kind,
        dns_lookup_family=cluster_pb2.Cluster.ALL,
        connect_timeout=Duration(seconds=5),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=CONTROL_PLANE_CLUSTER,
            endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])],
        ),
    )
    options = http_protocol_options_pb2.HttpProtocolOptions()
    # A connection keeps the certificate that it began with. A stream of its own for each connection
    # makes one that starts again prove itself anew, with the certificate that was renewed meanwhile.
    options.common_http_protocol_options.max_requests_per_connection.value = 1
    keepalive = options.explicit_http_config.http2_protocol_options.connection_keepalive
    keepalive.interval.FromSeconds(10)
    keepalive.timeout.FromSeconds(10)
    tls = tls_pb2.UpstreamTlsContext(
        sni=value.control_plane_name,
        common_tls_context=tls_pb2.CommonTlsContext(
            tls_params=common_pb2.TlsParameters(
                tls_minimum_protocol_version=common_pb2.TlsParameters.TLSv1_2,
                tls_maximum_protocol_version=common_pb2.TlsParameters.TLSv1_3,
            ),
            alpn_protocols=["h2"],
            validation_context_sds_secret_config=_file_secret(
                "validation_context_sds", value, TRUST_FILE
            ),
        ),
    )
    if value.shows_token:
        options.http_filters.extend(token_filters(_file_secret(TOKEN_SECRET, value, TOKEN_FILE)))
    else:
        tls.common_tls_context.tls_certificate_sds_secret_configs.append(
            _file_secret("tls_sds", value, CERTIFICATE_FILE)
        )
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Pack(options)
    cluster.transport_socket.name = "envoy.transport_sockets.tls"
    cluster.transport_socket.typed_config.Pack(tls)
    return cluster


def _file_secret(name: str, value: Bootstrap, file: str) -> secret_pb2.SdsSecretConfig:
    """Read from a file, and again whenever it is replaced, or what it names: certificates and
    tokens renew without a restart.
    """
    return secret_pb2.SdsSecretConfig(
        name=name,
        sds_config=config_source_pb2.ConfigSource(
            resource_api_version=config_source_pb2.ApiVersion.V3,
            path_config_source=config_source_pb2.PathConfigSource(
                path=f"{value.directory}/{file}",
                watched_directory=base_pb2.WatchedDirectory(path=value.directory),
            ),
        ),
    )


def _runtime(connections: Mapping[str, int]) -> bootstrap_pb2.LayeredRuntime:
    limits = {
        **connections,
        "re2.max_program_size.error_level": REGEX_PROGRAM_LIMIT,
        "re2.max_program_size.warn_level": REGEX_PROGRAM_LIMIT,
    }
    static = Struct(fields={key: Value(number_value=value) for key, value in limits.items()})
    return bootstrap_pb2.LayeredRuntime(
        layers=[
            bootstrap_pb2.RuntimeLayer(name="limits", static_layer=static),
            bootstrap_pb2.RuntimeLayer(
                name=RUNTIME_LAYER,
                rtds_layer=bootstrap_pb2.RuntimeLayer.RtdsLayer(
                    name=RUNTIME_LAYER, rtds_config=ads_source()
                ),
            ),
        ]
    )
