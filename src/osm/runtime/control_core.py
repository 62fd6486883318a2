"""The control plane without a platform: issuer, compiler, proxies' streams, and what they refuse.

`local_mesh` and `controller` are this, each with its own source of objects.
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from random import Random

from prometheus_client import CollectorRegistry

from osm import __version__
from osm.ads.control_plane import ControlPlane
from osm.ads.grpc_transport import GrpcTransport
from osm.ads.server import AdsServer, ReviewToken
from osm.core.compile.build import compile_model
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.envoy.catalog import Certificate
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Settings
from osm.core.model.origin import Finding
from osm.core.model.workload import PipeAddress, SocketAddress
from osm.core.pki.certificate import ServerName
from osm.core.pki.rotation import expiry_warning
from osm.core.pki.trust import Refused as NotTrusted
from osm.core.pki.trust import TrustBundle
from osm.core.pki.version import CertificateVersion
from osm.core.status.refused import RefusedObject, refused_findings
from osm.issuers.keeper import CertificateKeeper
from osm.issuers.tresor import Tresor
from osm.ports import Clock, KeyPair
from osm.runtime.control_findings import (
    by_object,
    guarded_finding,
    not_built,
    not_compiled,
    root_expires_soon,
)
from osm.runtime.logs import set_log_level
from osm.runtime.pipeline import Pipeline
from osm.runtime.proxy_files import ProxyFiles
from osm.runtime.settings import TRUST_DOMAIN, ads_name, compile_options
from osm.runtime.tasks import BackgroundTasks
from osm.telemetry.access_log import DenialLog
from osm.telemetry.control_plane import ControlPlaneMetrics


class ControlCore:
    """Make one with `open`, then `start` it among background tasks."""

    def __init__(
        self,
        tresor: Tresor,
        options: CompileOptions,
        address: str,
        clock: Clock,
        leaf_validity: timedelta | None,
    ) -> None:
        self.clock = clock
        self.metrics = ControlPlaneMetrics(CollectorRegistry(), version=__version__)
        self.root_expires = tresor.root_expires
        self.metrics.root_expires(self.root_expires)
        self.address = address
        self._name = ServerName(ads_name(options.trust_domain))
        self.keeper = CertificateKeeper(
            tresor,
            clock,
            rng=Random(),  # noqa: S311 jitter only
            observe=self.metrics.certificate,
        )
        self.denials = DenialLog(clock)
        self.control_plane = ControlPlane(compile_model(Snapshot(), options), tresor.trust_bundle)
        self._leaf_validity = leaf_validity
        self.pipeline = Pipeline(options, self.control_plane, self.metrics, self._apply_settings)
        self.proxy_files = ProxyFiles(self.keeper, _parse_address(address), self._name.dns_name)
        self._trust = TrustBundle.from_pem(tresor.trust_bundle, [options.trust_domain])

    @classmethod
    async def open(
        cls,
        mesh: str,
        state: Path,
        address: str,
        *,
        clock: Clock,
        leaf_validity: timedelta | None = None,
        gateway: str = "",
        former_mesh: str = "",
    ) -> "ControlCore":
        """With the root certificate of a mesh on this machine, which is made if need be.

        `address` is `unix:<path>` or `<host>:<port>`.
        `leaf_validity` counts more than what MeshConfig says. `gateway` and
        `former_mesh`: as in `CompileOptions`.
        """
        tresor = await asyncio.to_thread(
            Tresor.open,
            state / "ca",
            trust_domain=TRUST_DOMAIN,
            leaf_validity=leaf_validity or timedelta(seconds=Settings().certificate_validity_s),
            clock=clock,
        )
        options = compile_options(mesh, gateway=gateway, former_mesh=former_mesh)
        return cls(tresor, options, address, clock, leaf_validity)

    def _apply_settings(self, settings: Settings) -> None:
        """What of MeshConfig concerns the control plane itself."""
        if self._leaf_validity is None:
            self.keeper.issuer.leaf_validity = timedelta(seconds=settings.certificate_validity_s)
        set_log_level(settings.log_level)
        self.proxy_files.log_level = settings.proxy_log_level

    async def start(
        self, group: BackgroundTasks, *, review_token: ReviewToken | None = None
    ) -> None:
        """Serve proxies; returns when they can connect. With `review_token` they show tokens, and no
        certificates.
        """
        first = await self.keeper.get(self._name)
        server = AdsServer(
            self.control_plane,
            authenticate=self._authenticate,
            ensure_certificate=self._ensure_certificate,
            take_denial=self.denials.handle,
            observer=self.metrics,
            transport=GrpcTransport(),
            review_token=review_token,
        )
        started = asyncio.Event()
        serving = server.serve(
            self.address,
            lambda: self.keeper.current(self._name) or first,
            None if review_token else self.keeper.issuer.trust_bundle,
            started,
        )
        group.spawn(serving)
        group.spawn(self.keeper.run())
        group.spawn(self._hand_on_renewals())
        group.spawn(self.pipeline.run())
        await started.wait()

    def _authenticate(self, chain: bytes) -> ProxyIdentity | str:
        found = self._trust.authenticate_proxy(chain, self.clock.now())
        return found.text if isinstance(found, NotTrusted) else found

    async def _ensure_certificate(self, proxy: ProxyIdentity, held: str) -> None:
        """A proxy that comes back with a certificate that is still good keeps it: after a restart, or
        coming from another replica of ours.
        """
        identity = proxy.identity
        present = self.control_plane.certificate(identity)
        if present is not None and (present.chain or present.version == held):
            return
        known = CertificateVersion.parse(held)
        if (
            present is None
            and known is not None
            and known.is_under(self.keeper.issuer.trust_bundle)
            and self.keeper.adopt(identity, known.not_before, known.not_after)
        ):
            self.control_plane.certify(identity, Certificate(b"", b"", held))
            return
        self.control_plane.certify(identity, self._certificate(await self.keeper.get(identity)))

    def _certificate(self, pair: KeyPair) -> Certificate:
        version = CertificateVersion.of(
            pair.certificate, self.keeper.issuer.trust_bundle, pair.not_before, pair.not_after
        )
        return Certificate(pair.certificate, pair.private_key, version.text)

    async def _hand_on_renewals(self) -> None:
        """Renewed certificates go to workloads by SDS, and by file to proxies for their way to us."""
        with self.keeper.subscribe() as renewals:
            async for subject, pair in renewals:
                if isinstance(subject, Identity):
                    if self.control_plane.certificate(subject):
                        self.control_plane.certify(subject, self._certificate(pair))
                    elif subject not in self.control_plane.model.workloads_of:
                        self.keeper.forget(subject)  # nobody is it any more
                elif isinstance(subject, ProxyIdentity):
                    self.proxy_files.renew(subject, pair)

    def refused(self) -> tuple[RefusedObject, ...]:
        """What connected proxies refuse at this moment, by the object at fault."""
        return by_object(self.control_plane.refusals())

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the objects, and with what became of them."""
        plane = self.control_plane
        left = expiry_warning(self.root_expires, self.clock.now())
        return (
            *plane.model.findings,
            *(not_compiled(failure) for failure in self.pipeline.failures),
            *(not_built(name, why) for (_, name, _), why in plane.distribution.failures.items()),
            *refused_findings(self.refused()),
            *(guarded_finding(proxy) for proxy in plane.guarded),
            *(() if left is None else (root_expires_soon(left),)),
        )


def _parse_address(address: str) -> PipeAddress | SocketAddress:
    if address.startswith("unix:"):
        return PipeAddress(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return SocketAddress(host.strip("[]"), int(port))
