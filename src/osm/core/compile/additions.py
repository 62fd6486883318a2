"""What one object may not add to those that are there: OSM's checks at admission.

The compiler gets along with all of it (the oldest object counts), and says so in findings; but whoever
is just writing the second one is better told at once (`reference/osm.md` §1.2). OSM compared services
by name alone; here they are the same only in the same namespace.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from osm.core.api import codes as forms
from osm.core.api.manifest import Key, Manifest
from osm.core.api.policy import IngressBackend
from osm.core.api.root_certificate import MeshRootCertificate, MeshRootCertificateSpec
from osm.core.api.upstream_traffic import UpstreamTrafficSetting
from osm.core.compile import codes
from osm.core.compile.upstream import SUFFIX
from osm.core.model.origin import Finding, Origin, Severity

Objects = Mapping[Key, Manifest]
_Kind = TypeVar("_Kind")


def contradictions(new: Manifest, old: Manifest | None, objects: Objects) -> Iterator[Finding]:
    """What is wrong with `new` because of `objects`, or because it replaces `old`."""
    match new.object:
        case IngressBackend() as ingress:
            yield from _ingress(new.key, ingress, objects)
        case UpstreamTrafficSetting() as setting:
            yield from _upstream(new.key, setting, objects)
        case MeshRootCertificate(spec=spec):
            before = old.object.spec if old is not None else None
            yield from _root(new.key, spec, before, objects)


def _ingress(key: Key, ingress: IngressBackend, objects: Objects) -> Iterator[Finding]:
    taken = {
        (backend.name, backend.port.number): other
        for other, each in _others(key, IngressBackend, objects)
        for backend in each.spec.backends
    }
    for index, backend in enumerate(ingress.spec.backends):
        other = taken.get((backend.name, backend.port.number))
        if other is not None:
            yield _error(
                key,
                f"spec.backends[{index}]",
                codes.INGRESS_TWICE,
                f"{other} already says what port {backend.port.number} of {backend.name} takes",
                "Put all sources of a port into one IngressBackend.",
            )


def _upstream(key: Key, setting: UpstreamTrafficSetting, objects: Objects) -> Iterator[Finding]:
    """Only of services: the limits of hosts beyond the mesh are named by each Egress."""
    host = setting.spec.host
    if not host.endswith(SUFFIX):
        return
    for other, each in _others(key, UpstreamTrafficSetting, objects):
        if each.spec.host == host:
            yield _error(
                key,
                "spec.host",
                codes.LIMITS_TWICE,
                f"{other} already has the limits of {host}",
                "Put all limits of a service into one UpstreamTrafficSetting.",
            )


def _root(
    key: Key,
    spec: MeshRootCertificateSpec,
    before: MeshRootCertificateSpec | None,
    objects: Objects,
) -> Iterator[Finding]:
    if before is not None:
        yield from _root_changes(key, spec, before)
        if spec.role == before.role:
            return
    others = [each.spec.role for _, each in _others(key, MeshRootCertificate, objects)]
    used = sorted(role for role in (*others, spec.role) if role != "inactive")
    if before is None and (spec.role == "inactive" or not others):
        return
    problem = ""
    if len(used) > 2:
        problem = f"{len(used)} root certificates would be in use; two are possible"
    elif used and "active" not in used:
        problem = "no root certificate would be active"
    elif before is None and spec.role in others:
        problem = f"there is a root certificate with role {spec.role} already"
    if problem:
        yield _error(
            key,
            "spec.role",
            forms.CONTRADICTION,
            problem,
            "Of at most two in use one is active. Set another one to inactive first.",
        )


def _root_changes(
    key: Key, spec: MeshRootCertificateSpec, before: MeshRootCertificateSpec
) -> Iterator[Finding]:
    for field, one, other in (
        ("provider", before.provider, spec.provider),
        ("trustDomain", before.trust_domain, spec.trust_domain),
        ("spiffeEnabled", before.spiffe_enabled, spec.spiffe_enabled),
    ):
        if one != other:
            yield _error(
                key,
                f"spec.{field}",
                forms.NOT_ALLOWED,
                "this cannot be changed: certificates in use depend on it",
                "Create another MeshRootCertificate, and move to it by their roles.",
            )
    if {before.role, spec.role} == {"active", "inactive"}:
        yield _error(
            key,
            "spec.role",
            forms.NOT_ALLOWED,
            f"from {before.role} to {spec.role} at once some proxies would not trust others",
            "Set it to passive first, and wait until all proxies have both roots.",
        )


def _others(key: Key, kind: type[_Kind], objects: Objects) -> Iterator[tuple[Key, _Kind]]:
    """The other objects of this kind in the namespace, by name."""
    for other in sorted(
        other
        for other in objects
        if other != key and (other.group, other.kind, other.namespace) == _place(key)
    ):
        found = objects[other].object
        if isinstance(found, kind):
            yield other, found


def _place(key: Key) -> tuple[str, str, str]:
    return key.group, key.kind, key.namespace


def _error(key: Key, field: str, code: str, message: str, hint: str) -> Finding:
    origin = Origin(key.kind, key.namespace, key.name, field, key.group)
    return Finding(code, Severity.ERROR, origin, message, hint)
