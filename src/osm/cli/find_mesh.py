"""Finding the running mesh that a verb is about."""

import os
import socket
import stat
from importlib.util import find_spec
from pathlib import Path

from osm.cli.command import Invocation
from osm.errors import NotRunningError, PlatformError, UsageError
from osm.local.runtime_directory import runtime_base

CONTROL_SOCKET = "control.sock"
_START_ONE = "Start one: `osm demo`, or `osm up DIRECTORY`."
_CLUSTER_LIBRARY = "lightkube"
_USER_KUBECONFIG = Path("~/.kube/config")


def running_meshes(base: Path) -> tuple[str, ...]:
    """Name the meshes below a directory whose control plane takes connections, sorted."""
    try:
        information = base.lstat()
    except FileNotFoundError:
        return ()
    if not stat.S_ISDIR(information.st_mode) or information.st_uid != os.geteuid():
        # /tmp is everybody's: someone else may have put it there to be asked in the mesh's place.
        raise PlatformError(
            f"{base} is not a directory of yours.",
            hint="Remove it, or set XDG_RUNTIME_DIR to a directory of your own.",
        )
    return tuple(sorted(each.name for each in base.iterdir() if _answers(each / CONTROL_SOCKET)))


def _answers(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(path))
    except OSError:
        return False
    return True


def require_cluster_support() -> None:
    """Raise `PlatformError` where the extra `kubernetes` is not installed."""
    if find_spec(_CLUSTER_LIBRARY) is None:
        raise PlatformError(
            "What speaks to clusters is not installed.",
            hint="pip install 'openservicemesh[kubernetes]'",
        )


def is_on_cluster(name: str | None, told: Invocation) -> bool:
    """Whether a mesh on a cluster is meant: one is named, or none of this machine fits."""
    if told.names_cluster:
        require_cluster_support()
        return True
    if find_spec(_CLUSTER_LIBRARY) is None:
        return False
    files = [Path(file) for file in os.environ.get("KUBECONFIG", "").split(os.pathsep) if file]
    if not any(file.expanduser().is_file() for file in files or [_USER_KUBECONFIG]):
        return False
    running = running_meshes(runtime_base())
    return name not in running if name else not running


def find_mesh(name: str | None) -> tuple[str, Path]:
    """Return the name and control socket of a running mesh: the named one, or the only one."""
    base = runtime_base()
    running = running_meshes(base)
    if name is not None:
        if name not in running:
            others = f"Running: {', '.join(running)}." if running else _START_ONE
            raise NotRunningError(f"No mesh named {name} is running.", hint=others)
        return name, base / name / CONTROL_SOCKET
    if not running:
        raise NotRunningError("No mesh is running.", hint=_START_ONE)
    if len(running) > 1:
        raise UsageError(
            f"{len(running)} meshes are running: {', '.join(running)}.",
            hint="Say which one: --mesh NAME, or set OSM_MESH.",
        )
    return running[0], base / running[0] / CONTROL_SOCKET
