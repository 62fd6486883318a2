"""A ServiceAccount token as a proxy's proof towards the control plane (decision 14).

The kubelet keeps a fresh token in a projected volume, beside the roots that the control plane's
certificate comes from. Envoy reads both again when the volume's content is replaced, and puts the
token on each stream that it opens. There is no other copy of it: no Secret, no file of ours.
"""

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from osm._envoy.envoy.config.core.v3 import base_pb2, extension_pb2
from osm._envoy.envoy.extensions.filters.http.credential_injector.v3 import (
    credential_injector_pb2,
)
from osm._envoy.envoy.extensions.filters.http.upstream_codec.v3 import upstream_codec_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from osm._envoy.xds.type.v3 import typed_struct_pb2
from osm.core.envoy.filters.extension import http_filter

TOKEN_SECRET = "token"  # noqa: S105 a resource's name
VOLUME_TOKEN = "token"  # noqa: S105 a file's name
VOLUME_ROOTS = "roots.pem"

_GENERIC = "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic"


def token_filters(
    token: secret_pb2.SdsSecretConfig,
) -> tuple[http_connection_manager_pb2.HttpFilter, ...]:
    """Filters of a cluster: each request gets the token, and without one none is sent."""
    # As a structure: the API that our wheel has knows no `header_value_prefix` yet.
    generic = Struct()
    generic.update(
        {
            "credential": json_format.MessageToDict(token, preserving_proto_field_name=True),
            "header": "authorization",
            "header_value_prefix": "Bearer ",
        }
    )
    injector = credential_injector_pb2.CredentialInjector(
        overwrite=True,
        credential=extension_pb2.TypedExtensionConfig(
            name="envoy.http.injected_credentials.generic"
        ),
    )
    injector.credential.typed_config.Pack(
        typed_struct_pb2.TypedStruct(type_url=_GENERIC, value=generic), deterministic=True
    )
    return (
        http_filter("envoy.filters.http.credential_injector", injector),
        http_filter("envoy.filters.http.upstream_codec", upstream_codec_pb2.UpstreamCodec()),
    )


def token_secret(volume: str) -> secret_pb2.Secret:
    """Where the token is. This never changes: the token does."""
    return secret_pb2.Secret(
        name=TOKEN_SECRET,
        generic_secret=secret_pb2.GenericSecret(secret=_in(volume, VOLUME_TOKEN)),
    )


def trust_in(volume: str) -> common_pb2.CertificateValidationContext:
    """Where the roots are that the control plane's certificate comes from."""
    return common_pb2.CertificateValidationContext(
        trusted_ca=_in(volume, VOLUME_ROOTS),
        watched_directory=base_pb2.WatchedDirectory(path=volume),
    )


def _in(volume: str, file: str) -> base_pb2.DataSource:
    return base_pb2.DataSource(filename=f"{volume}/{file}")
