"""What one IngressBackend must fulfil beyond its shape.

OSM refused what it meant to allow here, and the other way round (`reference/osm.md` §1.2, d); we
do what its message says.
"""

from collections.abc import Iterator

import msgspec

from osm.core.api import codes
from osm.core.api.hosts import check_ipv4_range
from osm.core.api.limits import check_principal
from osm.core.api.policy import IngressBackend, IngressService, IngressSource
from osm.core.api.policy_checks import (
    ROUTE_GROUP,
    network_text,
    nothing_granted,
    reference_problems,
    warning,
)
from osm.core.api.problem import Path, Problem
from osm.core.api.scalars import check_label, check_subdomain

RESERVED_PORTS = frozenset({15000, 15001, 15003, 15010, 15901, 15902, 15903, 15904})
"""Ports of a pod that belong to its proxy (`reference/osm.md` §6.2)."""


def ingress_problems(form: IngressBackend) -> Iterator[Problem]:
    """Backends can be told apart, sources are of their kind, and callers are really checked."""
    spec, path = form.spec, ("spec",)
    for name, given in (("backends", spec.backends), ("sources", spec.sources)):
        if not given:
            yield nothing_granted(path, name, "IngressBackend")
    yield from reference_problems(spec.matches, (ROUTE_GROUP,), ("spec", "matches"))
    for index, source in enumerate(spec.sources):
        yield from _source_problems(source, ("spec", "sources", index))
    ports: set[tuple[str, int]] = set()
    principals = any(source.kind == "AuthenticatedPrincipal" for source in spec.sources)
    addresses = any(source.kind != "AuthenticatedPrincipal" for source in spec.sources)
    for index, backend in enumerate(spec.backends):
        here: Path = ("spec", "backends", index)
        if (backend.name, backend.port.number) in ports:
            yield Problem(
                here,
                codes.TWICE,
                f"port {backend.port.number} of {backend.name} stands here more than once",
                "Keep one of them.",
            )
        ports.add((backend.name, backend.port.number))
        if backend.port.number in RESERVED_PORTS:
            yield Problem(
                (*here, "port", "number"),
                codes.PORT,
                f"port {backend.port.number} belongs to the proxy",
                "Name the port that the application listens on.",
            )
        if spec.sources:
            yield from _backend_problems(backend, here, principals=principals, addresses=addresses)


def _source_problems(source: IngressSource, path: Path) -> Iterator[Problem]:
    if source.kind == "IPRange":
        complaint = check_ipv4_range(source.name)
    elif source.kind == "AuthenticatedPrincipal":
        complaint = check_principal(source.name)
    else:
        complaint = check_subdomain(source.name[:300])
    if complaint is not None:
        yield complaint.at((*path, "name"))
    if source.kind != "Service":
        if source.namespace:
            yield warning(
                (*path, "namespace"),
                codes.NO_EFFECT,
                f"a source of kind {source.kind} is in no namespace; this has no effect",
                "Remove `namespace`.",
            )
    elif not source.namespace:
        yield Problem(
            path,
            codes.MISSING,
            "a source of kind Service needs `namespace`",
            "Add the namespace that the Service is in.",
        )
    elif complaint := check_label(source.namespace[:300]):
        yield complaint.at((*path, "namespace"))


def _backend_problems(
    backend: IngressService, path: Path, *, principals: bool, addresses: bool
) -> Iterator[Problem]:
    skipped = backend.tls.skip_client_cert_validation
    if backend.port.protocol == "http":
        if backend.tls != IngressService("", backend.port).tls:
            yield warning(
                (*path, "tls"),
                codes.NO_EFFECT,
                "`tls` has no effect on a port with protocol http",
                "Use protocol https, or remove `tls`.",
            )
        if principals and not addresses:
            yield Problem(
                (*path, "port", "protocol"),
                codes.CONTRADICTION,
                "with protocol http clients show no certificate, so there is nobody whom the "
                "sources of kind AuthenticatedPrincipal could mean",
                "Use protocol https, or add a source of kind Service or IPRange.",
            )
    elif not skipped and not principals:
        yield Problem(
            (*path, "tls"),
            codes.MISSING,
            "clients must show a certificate, and no source of kind AuthenticatedPrincipal says "
            "which one",
            "Add such a source, or set `skipClientCertValidation: true`.",
        )
    elif skipped and principals:
        yield warning(
            (*path, "tls", "skipClientCertValidation"),
            codes.NO_EFFECT,
            "clients show no certificate here, so sources of kind AuthenticatedPrincipal do not "
            "restrict who may call",
            "Set it to false.",
        )


def convert_ingress(form: IngressBackend) -> IngressBackend:
    """The internal form: ranges without host bits, server names in lower case."""
    sources = tuple(
        msgspec.structs.replace(source, name=network_text(source.name))
        if source.kind == "IPRange"
        else source
        for source in form.spec.sources
    )
    backends = tuple(
        msgspec.structs.replace(
            backend,
            tls=msgspec.structs.replace(
                backend.tls,
                sni_hosts=tuple(name.lower().rstrip(".") for name in backend.tls.sni_hosts),
            ),
        )
        for backend in form.spec.backends
    )
    spec = msgspec.structs.replace(form.spec, sources=sources, backends=backends)
    return IngressBackend(form.metadata, spec)
