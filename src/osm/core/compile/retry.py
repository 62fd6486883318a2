"""Front end: Retry becomes the retry policy of a caller and a service (`reference/osm.md` §7.9)."""

from osm.core.api.duration import parse_duration
from osm.core.api.manifest import Key
from osm.core.api.policy import Retry
from osm.core.api.retry_on import conditions
from osm.core.compile import codes
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.precedence import oldest
from osm.core.compile.tables import ONE, Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.groups import POLICY
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.retry import RetryKey, RetryPolicy
from osm.core.model.service import ServiceName


def _pairs(tables: Tables, key: Key, retry: Written[Retry]) -> tuple[RetryKey, ...] | None:
    """The callers and services that a Retry is about, each once, in the order written."""
    if not is_meshed(tables, key.namespace):
        return None
    spec = retry.object.spec
    source = Identity(tables.options[ONE].trust_domain, spec.source.namespace, spec.source.name)
    services = (ServiceName(each.namespace, each.name) for each in spec.destinations)
    return tuple(dict.fromkeys((source, service) for service in services)) or None


def _policy(tables: Tables, _: RetryKey, keys: tuple[Key, ...]) -> RetryPolicy | None:
    key = oldest(tables.retry_objects, keys)
    if key is None or not tables.settings[ONE].retries:
        return None
    policy = tables.retry_objects[key].object.spec.retry_policy
    timeout = policy.per_try_timeout
    return RetryPolicy(
        conditions=conditions(policy.retry_on),
        retries=policy.num_retries,
        try_timeout_ns=parse_duration(timeout) if timeout else 0,
        pause_ns=parse_duration(policy.retry_backoff_base_interval),
        origin=Origin("Retry", key.namespace, key.name, "spec.retryPolicy", POLICY),
    )


def _findings(tables: Tables, key: Key, pairs: tuple[RetryKey, ...]) -> tuple[Finding, ...] | None:
    where = tables.retry_objects[key].where
    if not tables.settings[ONE].retries:
        return (_switched_off(key, where),)
    written = tables.retry_objects[key].object.spec.destinations
    found: list[Finding] = []
    for index, destination in enumerate(written):
        service = ServiceName(destination.namespace, destination.name)
        origin = _origin(key, f"spec.destinations[{index}]")
        ports = tables.ports_of.get(service, ())
        winner = oldest(tables.retry_objects, tables.retries_of[pairs[0][0], service])
        if not ports:
            found.append(_no_service(origin, service, where))
        elif not any(tables.services[port].protocol.is_http for port in ports):
            found.append(_no_http(origin, service, where))
        elif winner is not None and winner != key:
            found.append(_second(origin, service, winner, where))
    return tuple(found) or None


def _origin(key: Key, field: str) -> Origin:
    return Origin("Retry", key.namespace, key.name, field, POLICY)


def _switched_off(key: Key, where: str) -> Finding:
    return Finding(
        codes.RETRY_OFF,
        Severity.WARNING,
        _origin(key, ""),
        "MeshConfig does not let Retry count, so nothing is retried because of this object",
        "Set `spec.featureFlags.enableRetryPolicy: true` in the MeshConfig.",
        where,
    )


def _no_service(origin: Origin, service: ServiceName, where: str) -> Finding:
    return Finding(
        codes.RETRY_NO_SERVICE,
        Severity.WARNING,
        origin,
        f"there is no service {service}, so nothing is retried because of this destination",
        "Create the service, or correct its name and namespace.",
        where,
    )


def _no_http(origin: Origin, service: ServiceName, where: str) -> Finding:
    return Finding(
        codes.RETRY_NO_HTTP,
        Severity.WARNING,
        origin,
        f"service {service} has no HTTP port, and only HTTP requests can be retried",
        "If it speaks HTTP, say so: `appProtocol: http` at its port.",
        where,
    )


def _second(origin: Origin, service: ServiceName, winner: Key, where: str) -> Finding:
    return Finding(
        codes.RETRY_TWICE,
        Severity.WARNING,
        origin,
        f"{winner}, which is older, already says how requests to {service} are retried",
        "Keep one of them for this service account and service.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    Derive("retry_pairs", "retry_objects", _pairs),
    Group("retries_of", "retry_pairs", lambda _, pairs: pairs),
    Derive("retries", "retries_of", _policy),
    Derive("retry_findings", "retry_pairs", _findings),
)
