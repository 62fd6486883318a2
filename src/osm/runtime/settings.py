"""Names and places that a running mesh is known by."""

import os
from datetime import timedelta
from pathlib import Path

TRUST_DOMAIN = "cluster.local"
ADS_NAME = f"ads.{TRUST_DOMAIN}"
"""The name in the control plane's certificate, which proxies insist on."""
ADS_SOCKET = "ads.sock"
CONTROL_SOCKET = "control.sock"
CONTROL_PLANE_LOG = ("osm-system", "osm-controller", "osm")
"""The name under which the control plane's own lines are found among the logs."""
LEAF_VALIDITY = timedelta(hours=24)


def state_directory(mesh: str) -> Path:
    """What outlives a mesh: its root certificate."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "osm" / mesh
