"""What a person sees of the proxies: put together from their streams. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from osm.ads.control_plane import Refused
from osm.ads.session import Session
from osm.core.explain.view import ProxyView, ResourceTypeView
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.workload import ProxyKind
from osm.core.xds import types

AtFault = Mapping[tuple[str, str], tuple[str, ...]]
"""The objects behind what a proxy refuses, by the proxy's name and the type's URL."""


def proxy_views(
    model: Model,
    sessions: Mapping[str, Session],
    now: float,
    expiry: Mapping[Identity, datetime],
    refusals: Iterable[Refused] = (),
) -> tuple[ProxyView, ...]:
    """Every proxy of the mesh, connected or not; who has none is not listed.

    `now` is on the sessions' steady clock, and `refusals` is what proxies refuse at this moment.
    """
    at_fault = _at_fault(refusals)
    views = []
    for _, workload in sorted(model.workloads.items()):
        session = sessions.get(workload.proxy.name)
        if session is None and workload.proxy_kind is not ProxyKind.OWN:
            continue
        expires = expiry.get(workload.identity)
        views.append(
            ProxyView(
                namespace=workload.namespace,
                name=workload.name,
                identity=workload.identity.spiffe_id,
                connected=session is not None,
                in_sync=session is not None and session.stream.in_sync,
                version=session.version if session else "",
                connected_s=round(now - session.connected_at, 1) if session else 0.0,
                certificate_expires=expires.isoformat(timespec="seconds") if expires else "",
                types=_type_views(session, now, at_fault) if session else (),
            )
        )
    return tuple(views)


def _type_views(session: Session, now: float, at_fault: AtFault) -> tuple[ResourceTypeView, ...]:
    return tuple(
        ResourceTypeView(
            type=types.SHORT_NAMES[status.type_url],
            resources=status.held,
            sent=status.sent,
            acknowledged=status.acknowledged,
            refused=status.refused,
            last_error=in_short(status.last_error),
            subscribed=status.subscribed,
            wildcard=status.wildcard,
            bytes=status.bytes,
            pending=status.pending,
            sent_ago_s=_milliseconds(status.sent_ago_s),
            acknowledged_ago_s=_milliseconds(status.acknowledged_ago_s),
            at_fault=at_fault.get((session.proxy.name, status.type_url), ()),
        )
        for status in session.type_status(now)
    )


def in_short(refusal: str) -> str:
    """A proxy's words for a refusal, without the whole resource that Envoy may quote before them."""
    quoted, colon, reason = refusal.rpartition("\n: ")
    return reason if colon and quoted.startswith("goo.gle/debug") else refusal


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _at_fault(refusals: Iterable[Refused]) -> AtFault:
    origins: dict[tuple[str, str], set[Origin]] = {}
    for each in refusals:
        origins.setdefault((each.proxy, each.refusal.type_url), set()).update(each.origins)
    return {key: tuple(str(origin) for origin in sorted(found)) for key, found in origins.items()}
