"""Global limits as people write them become limits of the model."""

from osm.core.api.duration import parse_duration
from osm.core.api.rate_limit import (
    GenericKey,
    GlobalHttpLimit,
    GlobalTcpLimit,
    HeaderMatcher,
    HeaderValueMatch,
    HttpDescriptor,
    HttpDescriptorEntry,
    RateLimitService,
    RequestHeader,
)
from osm.core.model import global_limit as model
from osm.core.model.extension import ExtensionServer
from osm.core.model.origin import Origin

SUFFIX = "svc.cluster.local"


def tcp_limit(limit: GlobalTcpLimit, namespace: str, origin: Origin) -> model.GlobalTcpLimit:
    """A limit of connections to a service of `namespace`."""
    return model.GlobalTcpLimit(
        server=limit_server(limit.rate_limit_service, namespace),
        domain=limit.domain,
        descriptors=tuple(
            tuple((entry.key, entry.value) for entry in descriptor.entries)
            for descriptor in limit.descriptors
        ),
        timeout_ns=parse_duration(limit.timeout),
        fail_open=limit.fail_open,
        origin=origin,
    )


def http_limit(
    limit: GlobalHttpLimit,
    descriptors: tuple[HttpDescriptor, ...],
    namespace: str,
    origin: Origin,
) -> model.GlobalHttpLimit | None:
    """A limit of requests to a service of `namespace`; None when nothing is asked."""
    if not descriptors:
        return None
    return model.GlobalHttpLimit(
        server=limit_server(limit.rate_limit_service, namespace),
        domain=limit.domain,
        descriptors=tuple(
            tuple(_entry(entry) for entry in descriptor.entries) for descriptor in descriptors
        ),
        timeout_ns=parse_duration(limit.timeout),
        fail_open=limit.fail_open,
        status=limit.response_status_code,
        tells_rest=limit.enable_x_rate_limit_headers,
        origin=origin,
    )


def limit_server(service: RateLimitService, namespace: str) -> ExtensionServer:
    """The server. A name without dots means what it means to pods of the namespace."""
    host = service.host.lower().rstrip(".")
    if "." not in host and host != "localhost":
        host = f"{host}.{namespace}.{SUFFIX}"
    return ExtensionServer(host, service.port)


def _entry(entry: HttpDescriptorEntry) -> model.Entry:
    match entry:
        case HttpDescriptorEntry(generic_key=GenericKey(value, key)):
            return model.FixedEntry(key, value)
        case HttpDescriptorEntry(request_header=RequestHeader(name, key)):
            return model.HeaderEntry(key, name.lower())
        case HttpDescriptorEntry(header_value_match=HeaderValueMatch() as fit):
            conditions = tuple(_condition(header) for header in fit.headers)
            return model.MatchEntry(fit.key, fit.value, conditions, fit.expect_match)
    return model.CallerEntry()


def _condition(header: HeaderMatcher) -> model.HeaderCondition:
    """The one condition that is given: `core.api` has made sure that it is one."""
    name = header.name.lower()
    for kind in ("exact", "prefix", "suffix", "regex", "contains"):
        value = getattr(header, kind)
        if value is not None:
            return model.HeaderCondition(name, kind, value)
    return model.HeaderCondition(name, "absent" if header.present is False else "present")
