"""Finding the running mesh that a verb is about."""

import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from osm.errors import NotRunningError, PlatformError, UsageError

CONTROL_SOCKET = "control.sock"
_START_ONE = "Start one: `osm demo`, or `osm up DIRECTORY`."


def runtime_root(environment: Mapping[str, str], user: int) -> Path:
    """Name the directory that holds a directory for each mesh of a user."""
    given = environment.get("XDG_RUNTIME_DIR", "")
    if given.startswith("/"):
        return Path(given) / "osm"
    return Path("/tmp") / f"osm-{user}"  # noqa: S108 - its owner is checked


def own_runtime_root(environment: Mapping[str, str], user: int) -> Path:
    """Name that directory, and make it if it does not exist."""
    root = runtime_root(environment, user)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(f"Cannot make {root}: {error.strerror}.") from error
    running_meshes(root)  # refuses what is not ours
    return root


def running_meshes(root: Path) -> tuple[str, ...]:
    """Name the meshes below a root whose control plane takes connections, sorted."""
    try:
        information = root.lstat()
    except FileNotFoundError:
        return ()
    if not stat.S_ISDIR(information.st_mode) or information.st_uid != os.getuid():
        # /tmp is everybody's: someone else may have put it there to be asked in the mesh's place.
        raise PlatformError(
            f"{root} is not a directory of yours.",
            hint="Remove it, or set XDG_RUNTIME_DIR to a directory of your own.",
        )
    return tuple(sorted(each.name for each in root.iterdir() if _answers(each / CONTROL_SOCKET)))


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


def find_mesh(name: str | None) -> tuple[str, Path]:
    """Return the name and control socket of a running mesh: the named one, or the only one."""
    root = runtime_root(os.environ, os.getuid())
    running = running_meshes(root)
    if name is not None:
        if name not in running:
            others = f"Running: {', '.join(running)}." if running else _START_ONE
            raise NotRunningError(f"No mesh named {name} is running.", hint=others)
        return name, root / name / CONTROL_SOCKET
    if not running:
        raise NotRunningError("No mesh is running.", hint=_START_ONE)
    if len(running) > 1:
        raise UsageError(
            f"{len(running)} meshes are running: {', '.join(running)}.",
            hint="Say which one: --mesh NAME, or set OSM_MESH.",
        )
    return running[0], root / running[0] / CONTROL_SOCKET
