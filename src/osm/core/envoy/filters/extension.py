"""How Envoy's extensions are named and packed."""

from google.protobuf.message import Message

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.core.v3 import grpc_service_pb2, substitution_format_string_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.duration import nanoseconds
from osm.core.model.extension import ExtensionServer


def http_filter(name: str, config: Message) -> http_connection_manager_pb2.HttpFilter:
    """Name and pack an HTTP filter."""
    out = http_connection_manager_pb2.HttpFilter(name=name)
    out.typed_config.Pack(config, deterministic=True)
    return out


def network_filter(name: str, config: Message) -> listener_components_pb2.Filter:
    """Name and pack a network filter."""
    out = listener_components_pb2.Filter(name=name)
    out.typed_config.Pack(config, deterministic=True)
    return out


def access_logger(
    name: str, config: Message, *, only: accesslog_pb2.AccessLogFilter | None = None
) -> accesslog_pb2.AccessLog:
    """Name and pack an access logger; `only` says which entries it gets."""
    out = accesslog_pb2.AccessLog(name=name, filter=only)
    out.typed_config.Pack(config, deterministic=True)
    return out


def grpc_service(
    server: ExtensionServer, cluster: str, timeout_ns: int = 0
) -> grpc_service_pb2.GrpcService:
    """A gRPC server, and the cluster that it is reached by. `timeout_ns` 0: the filter has its own."""
    out = grpc_service_pb2.GrpcService(
        envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(
            cluster_name=cluster,
            # Else it is the cluster's name, with characters that the other proxy refuses.
            authority=f"{server.host}:{server.port}",
        )
    )
    if timeout_ns:
        out.timeout.CopyFrom(nanoseconds(timeout_ns))
    return out


def text_format(text: str) -> substitution_format_string_pb2.SubstitutionFormatString:
    """Make a format string of plain text and Envoy's command operators."""
    out = substitution_format_string_pb2.SubstitutionFormatString()
    out.text_format_source.inline_string = text
    return out
