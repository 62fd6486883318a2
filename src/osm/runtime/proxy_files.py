"""What a proxy finds in its directory: its bootstrap, its certificate, whom to trust.

Replaced whole and in one step, so that Envoy, which watches the directory, never reads half a file.
"""

import os
from pathlib import Path

from osm.core.envoy.bootstrap import (
    CERTIFICATE_FILE,
    TRUST_FILE,
    Bootstrap,
    build_bootstrap,
    build_certificate_file,
    build_trust_file,
)
from osm.core.model.identity import ProxyIdentity
from osm.core.model.proxy_process import proxy_arguments
from osm.core.model.workload import Address, PipeAddress
from osm.issuers.keeper import CertificateKeeper
from osm.ports import KeyPair

BOOTSTRAP_FILE = "bootstrap.json"


def envoy_arguments(log_level: str) -> tuple[str, ...]:
    """What every proxy of this machine is started with, beside its bootstrap."""
    return proxy_arguments(log_level, threads=1)


class ProxyFiles:
    """Writes and renews the files of every proxy of this machine."""

    def __init__(
        self, keeper: CertificateKeeper, control_plane: Address, control_plane_name: str
    ) -> None:
        self._keeper = keeper
        self._control_plane = control_plane
        self._control_plane_name = control_plane_name
        self._directories: dict[ProxyIdentity, Path] = {}
        self.log_level = "error"
        """Of proxies that start from now on."""

    async def write(self, proxy: ProxyIdentity, directory: Path, admin_socket: Path) -> list[str]:
        """Write a proxy's files; returns Envoy's arguments. Raises `IssuerError`."""
        pair = await self._keeper.get(proxy)
        self._directories[proxy] = directory
        bootstrap = Bootstrap(
            proxy=proxy,
            control_plane=self._control_plane,
            control_plane_name=self._control_plane_name,
            admin=PipeAddress(str(admin_socket)),
            directory=str(directory),
        )
        _replace(directory / BOOTSTRAP_FILE, build_bootstrap(bootstrap))
        _replace(
            directory / TRUST_FILE,
            build_trust_file(self._keeper.issuer.trust_bundle, self._control_plane_name),
        )
        self.renew(proxy, pair)
        return ["-c", str(directory / BOOTSTRAP_FILE), *envoy_arguments(self.log_level)]

    def renew(self, proxy: ProxyIdentity, pair: KeyPair) -> None:
        """A proxy has a new bootstrap certificate. Nothing happens for one that does not run here."""
        directory = self._directories.get(proxy)
        if directory is not None and directory.is_dir():
            text = build_certificate_file(pair.certificate, pair.private_key)
            _replace(directory / CERTIFICATE_FILE, text)

    def forget(self, namespace: str, workload: str) -> None:
        """A workload is gone: its proxy's certificate is not renewed any more."""
        gone = [
            proxy
            for proxy in self._directories
            if (proxy.identity.namespace, proxy.workload) == (namespace, workload)
        ]
        for proxy in gone:
            del self._directories[proxy]
            self._keeper.forget(proxy)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
