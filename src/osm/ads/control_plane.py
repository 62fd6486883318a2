"""The present model and the proxies that are connected: publishing a model tells whom it concerns."""

import time
from collections.abc import Callable, Mapping

import msgspec
import structlog

from osm.ads.session import Session
from osm.core.envoy.catalog import Catalog, Credentials, Value
from osm.core.envoy.render import render
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.xds.delta import Refusal
from osm.core.xds.distribution import Distribution

log = structlog.get_logger("osm.ads")


class Published(msgspec.Struct, frozen=True):
    """What publishing a model did."""

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
    """Belongs to one event loop. `on_refusal` hears of each response that a proxy refused."""

    def __init__(
        self,
        model: Model,
        bundle: bytes,
        *,
        on_refusal: Callable[[Refused], None] = lambda _: None,
    ) -> None:
        self.model = model
        self._bundle = bundle
        self._certificates: dict[Identity, tuple[bytes, bytes]] = {}
        self.catalog = Catalog(model, Credentials({}, bundle))
        self.distribution: Distribution[ProxyIdentity, Value] = Distribution(self.catalog, render)
        self.sessions: dict[int, Session] = {}
        self._numbers = 0
        self._on_refusal = on_refusal
        self._seen: set[ProxyIdentity] = set()

    def publish(self, model: Model) -> Published:
        """Make `model` the present one, and wake every stream that holds something it changes."""
        self.model = model
        return self._update()

    def renew(self, identity: Identity, certificate: bytes, private_key: bytes) -> Published:
        """An identity has a new certificate: its proxies get it."""
        self._certificates[identity] = (certificate, private_key)
        return self._update()

    def _update(self) -> Published:
        started = time.perf_counter()
        self.catalog = Catalog(self.model, Credentials(dict(self._certificates), self._bundle))
        outcome = self.distribution.update(self.catalog)
        for (type_url, name), problem in self.distribution.failures.items():
            log.error(
                "a resource cannot be built; proxies keep what they had",
                type=type_url,
                resource=name,
                problem=problem,
            )
        for number, changes in outcome.changes.items():
            self.sessions[number].mark_changed(changes)
        for session in list(self.sessions.values()):
            if not self.catalog.is_known(session.proxy):
                session.expire()
        self._seen = {proxy for proxy in self._seen if self.catalog.is_known(proxy)}
        return Published(
            outcome.compared,
            outcome.built,
            len(outcome.changes),
            (time.perf_counter() - started) * 1000,
        )

    def has_certificate(self, identity: Identity) -> bool:
        return identity in self._certificates

    def connect(self, proxy: ProxyIdentity) -> Session:
        """A stream of a proxy that has proved who it is. The caller must `disconnect` it."""
        self._numbers += 1
        session = Session(
            self._numbers,
            proxy,
            self.distribution,
            time.monotonic(),
            is_reconnect=proxy in self._seen,
        )
        self._seen.add(proxy)
        self.sessions[session.number] = session
        return session

    def disconnect(self, session: Session) -> None:
        self.sessions.pop(session.number, None)
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
        self._on_refusal(refused)

    def by_proxy(self) -> Mapping[str, Session]:
        """The newest session of each connected proxy, by its name."""
        return {s.proxy.name: s for s in sorted(self.sessions.values(), key=lambda s: s.number)}
