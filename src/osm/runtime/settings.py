"""Names and places that a running mesh is known by."""

import os
from pathlib import Path

from osm.core.compile.options import CompileOptions

TRUST_DOMAIN = "cluster.local"
ADS_SOCKET = "ads.sock"
CONTROL_SOCKET = "control.sock"
GATEWAY_SOCKET = "out.sock"
CONTROL_PLANE_LOG = ("osm-system", "osm-controller", "osm")
"""The name under which the control plane's own lines are found among the logs."""


def ads_name(trust_domain: str) -> str:
    """The name in the control plane's certificate, which proxies insist on."""
    return f"ads.{trust_domain}"


def compile_options(mesh: str, *, gateway: str = "", former_mesh: str = "") -> CompileOptions:
    """What a mesh that is no cluster's decides about compilation."""
    return CompileOptions(
        mesh,
        TRUST_DOMAIN,
        require_monitored_label=False,
        gateway=gateway,
        placement=True,
        former_mesh=former_mesh,
    )


def state_directory(mesh: str) -> Path:
    """What outlives a mesh: its root certificate."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "osm" / mesh
