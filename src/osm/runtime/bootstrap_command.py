"""`osm proxy bootstrap`: what a proxy that somebody else starts needs to reach `osm controller`."""

import sys
from pathlib import Path

import msgspec

from osm.core.model.identity import Identity, ProxyIdentity
from osm.kit.clock import SystemClock
from osm.local.proxy import ADMIN_SOCKET
from osm.runtime.control_core import ControlCore
from osm.runtime.logs import send_logs_to
from osm.runtime.settings import TRUST_DOMAIN, state_directory


class BootstrapRequest(msgspec.Struct, frozen=True):
    """`workload` is the name of the Pod object that the proxy serves."""

    mesh: str
    namespace: str
    workload: str
    service_account: str
    ads: str
    directory: Path


async def write_bootstrap(request: BootstrapRequest) -> list[str]:
    """Write bootstrap, certificate and roots; returns Envoy's arguments. The certificate lasts a day."""
    # Standard output is for Envoy's arguments alone.
    send_logs_to(lambda text, is_error: sys.stderr.write(f"{text}\n") if is_error else None)
    request.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    core = await ControlCore.open(
        request.mesh,
        state_directory(request.mesh),
        request.ads,
        clock=SystemClock(),
    )
    identity = Identity(TRUST_DOMAIN, request.namespace, request.service_account)
    directory = request.directory.absolute()
    return await core.proxy_files.write(
        ProxyIdentity(identity, request.workload), directory, directory / ADMIN_SOCKET
    )
