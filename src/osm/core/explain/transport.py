"""How it travels: mutual TLS, its versions, and who shows and accepts which identity."""

from collections.abc import Iterable

from osm.core.explain.explanation import Step
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin, mesh_config_origin
from osm.core.model.service import ServicePort

_SETTINGS = (
    mesh_config_origin("spec.sidecar.tlsMinProtocolVersion"),
    mesh_config_origin("spec.sidecar.tlsMaxProtocolVersion"),
)


def transport_step(model: Model, source: Identity, ports: Iterable[ServicePort]) -> Step:
    """Both sides' identities."""
    accepted = sorted({identity for port in ports for identity in port.identities})
    return identities_step(model, source, accepted)


def identities_step(model: Model, source: Identity, accepted: Iterable[Identity]) -> Step:
    """Who shows which certificate, and who accepts it."""
    names = ", ".join(identity.spiffe_id for identity in accepted) or "nobody"
    text = (
        f"mutual TLS {_versions(model)}: {source.short} shows the certificate of "
        f"{source.spiffe_id}, and accepts {names}"
    )
    return Step("transport", "ok", text, _origins(model))


def _versions(model: Model) -> str:
    least, most = model.settings.tls_minimum, model.settings.tls_maximum
    return _plain(least) if least == most else f"{_plain(least)} to {_plain(most)}"


def _plain(version: str) -> str:
    """`TLSv1_3` as people write it."""
    return version.removeprefix("TLSv").replace("_", ".")


def _origins(model: Model) -> tuple[Origin, ...]:
    """Where the versions are written, unless they are our defaults."""
    given = (model.settings.tls_minimum, model.settings.tls_maximum)
    return tuple(
        origin for origin, value in zip(_SETTINGS, given, strict=True) if value != "TLSv1_3"
    )
