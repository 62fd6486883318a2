"""Handshakes: whether two sides accept each other."""

from collections.abc import Callable

import msgspec

from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2
from osm.core.explain.simulation.answer import NotSimulated
from osm.core.explain.simulation.call import Certificate
from osm.core.explain.simulation.matchers import text_fits

SecretOf = Callable[[str], secret_pb2.Secret | None]
"""A proxy's secret by its name."""
_OLDEST, _NEWEST = common_pb2.TlsParameters.TLSv1_2, common_pb2.TlsParameters.TLSv1_3


class Side(msgspec.Struct, frozen=True):
    """One side of a handshake: a proxy with its context and secrets, and what it shows."""

    context: tls_pb2.CommonTlsContext
    secret: SecretOf
    certificate: Certificate | None


def problem(client: Side, server: Side, *, demanded: bool) -> str:
    """Why two proxies do not accept each other; empty when they do. `demanded`: the server wants a
    certificate.
    """
    low = max(_least(client.context), _least(server.context))
    if low > min(_most(client.context), _most(server.context)):
        return "no TLS version in common"
    shown = _shown(server)
    if shown is None:
        return "the server has no certificate"
    refused = _refusal(client, shown)
    if refused:
        return f"the caller: {refused}"
    return caller_problem(server, _shown(client), demanded=demanded)


def caller_problem(server: Side, caller: Certificate | None, *, demanded: bool) -> str:
    """Why a server does not accept a caller's certificate, or the lack of one."""
    if not server.context.HasField("combined_validation_context"):
        return ""
    if caller is None:
        return "a certificate is demanded" if demanded else ""
    return _refusal(server, caller)


def _shown(side: Side) -> Certificate | None:
    """What a side shows: its certificate, if it has been sent one."""
    names = [each.name for each in side.context.tls_certificate_sds_secret_configs]
    secrets = [side.secret(name) for name in names]
    has = any(s is not None and s.HasField("tls_certificate") for s in secrets)
    return side.certificate if has else None


def _refusal(side: Side, shown: Certificate) -> str:
    """What a side finds wrong with the other's certificate."""
    combined = side.context.combined_validation_context
    secret = side.secret(combined.validation_context_sds_secret_config.name)
    if secret is None or not secret.validation_context.HasField("trusted_ca"):
        return "no roots to trust"
    if not shown.trusted:
        return "a certificate of somebody else's root"
    accepted = [
        *combined.default_validation_context.match_typed_subject_alt_names,
        *secret.validation_context.match_typed_subject_alt_names,
    ]
    if not accepted or any(_names(matcher, shown) for matcher in accepted):
        return ""
    return "a certificate of nobody that is accepted"


def _names(matcher: common_pb2.SubjectAltNameMatcher, shown: Certificate) -> bool:
    if matcher.san_type != common_pb2.SubjectAltNameMatcher.URI:
        raise NotSimulated("the simulation knows SAN matchers of URIs, and no other")
    return any(text_fits(matcher.matcher, uri) for uri in shown.uris)


def _least(context: tls_pb2.CommonTlsContext) -> int:
    return context.tls_params.tls_minimum_protocol_version or _OLDEST


def _most(context: tls_pb2.CommonTlsContext) -> int:
    return context.tls_params.tls_maximum_protocol_version or _NEWEST
