"""When a caller's proxy sends a request again."""

import msgspec

from osm.core.model.identity import Identity
from osm.core.model.origin import Origin
from osm.core.model.service import ServiceName

RetryKey = tuple[Identity, ServiceName]
"""Who calls, and which service. The pods of a headless service share the service's own."""


class RetryPolicy(msgspec.Struct, frozen=True, order=True, gc=False):
    """Conditions are Envoy's; times are in nanoseconds."""

    conditions: tuple[str, ...]
    retries: int
    """How often, beyond the first try."""
    try_timeout_ns: int
    """For each try; 0: none."""
    pause_ns: int
    """About how long the first pause is; the next ones are longer."""
    origin: Origin


def retry_key(source: Identity, service: ServiceName) -> RetryKey:
    """The key of a caller and a service, or one pod of it."""
    return source, ServiceName(service.namespace, service.name)
