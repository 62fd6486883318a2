"""What the control plane itself has to say of the mesh, in words."""

from collections.abc import Iterable
from datetime import timedelta

from osm.ads.control_plane import Refused
from osm.ads.session import UNKNOWN_LIMIT
from osm.core.model.identity import ProxyIdentity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.status.refused import RefusedObject, refused_objects
from osm.runtime.proxy_view import in_short

OUR_MISTAKE = "This is a mistake in osm: please report it."


def not_compiled(failure: str) -> Finding:
    """A part of the model, of which the last good form stays."""
    return Finding(
        "OSM901",
        Severity.ERROR,
        None,
        f"a part of the mesh could not be compiled: {failure}",
        f"It stays as it was; an access rule grants nothing. {OUR_MISTAKE}",
    )


def not_followed(plural: str, why: str) -> Finding:
    """A kind of object that the API server does not let us read."""
    return Finding(
        "OSM906",
        Severity.ERROR,
        None,
        f"{plural} cannot be read: {why}",
        "What was read of them before still counts. Give the control plane's ServiceAccount the rights "
        "again that `osm install` gave it.",
    )


def api_server_silent(limit_s: float) -> Finding:
    """Nobody answers, or nothing that makes sense."""
    return Finding(
        "OSM907",
        Severity.WARNING,
        None,
        f"the API server has not let itself be read for more than {limit_s:.0f} seconds",
        "Traffic goes on as it was. What is written in the meantime takes effect afterwards.",
    )


def by_object(refusals: Iterable[Refused]) -> tuple[RefusedObject, ...]:
    """One for each object at fault, or for the proxy where none is known."""
    return refused_objects(
        (
            refused.proxy,
            in_short(refused.refusal.message),
            refused.origins or (_pod_of(refused.proxy),),
        )
        for refused in refusals
    )


def not_built(name: str, why: str) -> Finding:
    """A resource that a builder could not make of the model."""
    return Finding(
        "OSM903",
        Severity.ERROR,
        None,
        f"the configuration {name} could not be built: {why}",
        f"Proxies keep what they had. {OUR_MISTAKE}",
    )


def root_expires_soon(left: timedelta) -> Finding:
    """The mesh's root certificate, and every other one with it."""
    return Finding(
        "OSM904",
        Severity.WARNING,
        None,
        f"the root certificate expires within {left.days} days",
        "Stop the mesh and remove its state directory's `ca`: the next start makes a new root.",
    )


def guarded_finding(proxy: ProxyIdentity) -> Finding:
    """A proxy that was told all names, since its application asks for many that do not exist."""
    return Finding(
        "OSM905",
        Severity.WARNING,
        Origin("Pod", proxy.identity.namespace, proxy.workload),
        f"its program called more than {UNKNOWN_LIMIT} names or addresses that do not exist",
        "Its proxy was told all that do, and refuses the others by itself. Look at what the program calls.",
    )


def _pod_of(proxy: str) -> Origin:
    namespace, _, name = proxy.partition("/")
    return Origin("Pod", namespace, name)
