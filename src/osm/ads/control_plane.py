"""The present model and the proxies that are connected: a change tells those whom it concerns."""

import time
from collections.abc import Mapping
from typing import cast

import msgspec
import structlog

from osm.ads.session import Session
from osm.core.compile.build import Compiled
from osm.core.derive.dependencies import Changed
from osm.core.derive.reads import Recorder, Watched
from osm.core.envoy.catalog import Catalog, Certificate, Present, Value
from osm.core.envoy.render import render
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Model, WorkloadKey
from osm.core.model.origin import Origin
from osm.core.model.recorded import RecordedModel
from osm.core.xds.distribution import Distribution
from osm.core.xds.stream_state import Refusal

log = structlog.get_logger("osm.ads")

CERTIFICATE = "Certificate"
GUARD = "UnknownNames"
"""Triggers of pushes that no object caused."""


class Published(msgspec.Struct, frozen=True):
    """What publishing a change did."""

    compared: int
    built: int
    streams: int
    took_ms: float


class Refused(msgspec.Struct, frozen=True):
    """A proxy refused resources: which, why, and the objects they came from."""

    proxy: str
    refusal: Refusal
    origins: tuple[Origin, ...]


class ControlPlane:
    """Belongs to one event loop."""

    def __init__(self, model: Model, bundle: bytes) -> None:
        self.model = model
        self._bundle = bundle
        self._certificates: dict[Identity, Certificate] = {}
        self._guarded: dict[ProxyIdentity, bool] = {}
        self._recorder = Recorder()
        self.catalog = self._make_catalog()
        self.distribution: Distribution[ProxyIdentity, Value] = Distribution(
            self.catalog, render, self._recorder
        )
        self.sessions: dict[int, Session] = {}
        self._numbers = 0
        self._refusals: dict[tuple[int, str, str], Refused] = {}
        """The newest refusal of each resource, by stream, type and name."""
        self._seen: dict[WorkloadKey, dict[ProxyIdentity, set[int]]] = {}
        """Proxies that were here, by their workload, and the streams that they have now."""

    def publish(self, compiled: Compiled, *, trigger: str) -> Published:
        """Make a model the present one, and wake every stream that holds something it changes."""
        self.model = compiled.model
        published = self._update(compiled.changed, trigger)
        self._forget_gone(compiled.changed)
        return published

    def certify(self, identity: Identity, certificate: Certificate) -> Published:
        """An identity has a new certificate: its proxies get it."""
        self._certificates[identity] = certificate
        return self._update({"certificates": {identity}}, CERTIFICATE)

    def guard(self, proxy: ProxyIdentity) -> Published:
        """Tell a proxy what names there are: it has asked for too many that do not exist.

        Knowing them all it asks no more, so its memory is bounded by the size of the mesh and not by
        what its application invents, and it leaves us alone.
        """
        log.warning("a proxy asks for names that do not exist: it is told all", proxy=proxy.name)
        self._guarded[proxy] = True
        return self._update({"guarded": {proxy}}, GUARD)

    @property
    def guarded(self) -> tuple[ProxyIdentity, ...]:
        """The proxies that were told all names because of what they asked for."""
        return tuple(self._guarded)

    def _make_catalog(self) -> Catalog:
        present = Present(
            Watched("certificates", self._certificates, self._recorder),
            self._bundle,
            Watched("guarded", self._guarded, self._recorder),
        )
        return Catalog(RecordedModel(self.model, self._recorder), present)

    def _update(self, changed: Changed, trigger: str) -> Published:
        started = time.perf_counter()
        self.catalog = self._make_catalog()
        outcome = self.distribution.update(self.catalog, changed)
        for (type_url, name, _), problem in self.distribution.failures.items():
            log.error(
                "a resource cannot be built; proxies keep what they had",
                type=type_url,
                resource=name,
                problem=problem,
            )
        for number, changes in outcome.changes.items():
            self.sessions[number].mark_changed(changes, trigger=trigger)
        return Published(
            outcome.compared,
            outcome.built,
            len(outcome.changes),
            (time.perf_counter() - started) * 1000,
        )

    def _forget_gone(self, changed: Changed) -> None:
        """Workloads that went take their streams with them, and what was kept for them."""
        for key in changed.get("workloads", ()):
            workload = cast("WorkloadKey", key)
            proxies = self._seen.get(workload, {})
            for proxy in [proxy for proxy in proxies if not self.catalog.is_known(proxy)]:
                for number in proxies.pop(proxy):
                    self.sessions[number].expire()
                self._guarded.pop(proxy, None)
            if not proxies:
                self._seen.pop(workload, None)
        for identity in changed.get("workloads_of", ()):
            if identity not in self.model.workloads_of:
                self._certificates.pop(cast("Identity", identity), None)

    def certificate(self, identity: Identity) -> Certificate | None:
        """The certificate that an identity's proxies hold, or should."""
        return self._certificates.get(identity)

    def connect(self, proxy: ProxyIdentity) -> Session:
        """A stream of a proxy that has proved who it is. The caller must `disconnect` it."""
        self._numbers += 1
        number = self._numbers
        seen = self._seen.setdefault(_workload_key(proxy), {})
        session = Session(
            number,
            proxy,
            self.distribution,
            time.monotonic(),
            guard=self.guard,
            is_reconnect=proxy in seen,
        )
        seen.setdefault(proxy, set()).add(number)
        self.sessions[number] = session
        return session

    def disconnect(self, session: Session) -> None:
        self.sessions.pop(session.number, None)
        seen = self._seen.get(_workload_key(session.proxy), {})
        seen.get(session.proxy, set()).discard(session.number)
        session.close()

    def refused(self, session: Session, refusal: Refusal) -> None:
        """Find whose fault a refusal is, and tell."""
        origins: set[Origin] = set()
        for name in refusal.resources:
            resource = self.distribution.lookup(session.number, refusal.type_url, name)
            origins.update(resource.origins if resource else ())
        refused = Refused(session.proxy.name, refusal, tuple(sorted(origins)))
        log.error(
            "a proxy refused configuration; it keeps what it had",
            proxy=session.proxy.name,
            type=refusal.type_url,
            resources=refusal.resources,
            origins=[str(origin) for origin in refused.origins],
            message=refusal.message,
        )
        for name in refusal.resources:
            self._refusals[session.number, refusal.type_url, name] = refused

    def refusals(self) -> tuple[Refused, ...]:
        """What connected proxies refuse at this moment."""
        self._refusals = {
            key: refused for key, refused in self._refusals.items() if self._is_refused(*key)
        }
        return tuple({id(refused): refused for refused in self._refusals.values()}.values())

    def _is_refused(self, number: int, type_url: str, name: str) -> bool:
        session = self.sessions.get(number)
        return session is not None and session.stream.refuses(type_url, name)

    def by_proxy(self) -> Mapping[str, Session]:
        """The newest session of each connected proxy, by its name."""
        return {s.proxy.name: s for s in sorted(self.sessions.values(), key=lambda s: s.number)}


def _workload_key(proxy: ProxyIdentity) -> WorkloadKey:
    return proxy.identity.namespace, proxy.workload
