"""What `up`, `demo` and `controller` need of `osm.runtime`, and the only place that imports it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import msgspec

from osm.ports import MeshApi

Observer = Callable[[str, str, str], None]
"""Told of each step of the start: its name (`issuer`, `control plane`, `workload ns/name`, `page`),
its state (`starting`, `ready` or `failed`), and a few words or nothing."""


class RunningMesh(Protocol):
    """A mesh that runs in this process. Leaving its context stops it."""

    @property
    def api(self) -> MeshApi: ...

    async def stopped(self) -> str:
        """Wait until something else ends the mesh (`osm down`), and say what."""
        ...


Running = AbstractAsyncContextManager[RunningMesh]
Start = Callable[[Observer], Running]


class LocalMesh(msgspec.Struct, frozen=True):
    """What `up` and `demo` were asked for. `LocalMeshSettings` of the runtime has the same."""

    mesh: str
    paths: tuple[Path, ...]
    """Files and directories of YAML. The first directory is the one that `osm apply` writes to."""
    isolation: str = "auto"
    page_port: int = 0


class ControlPlane(msgspec.Struct, frozen=True):
    """What `controller` was asked for. `ControllerSettings` of the runtime has the same."""

    mesh: str
    directory: Path
    ads: str
    """`unix:PATH` or `HOST:PORT`."""
    page_port: int = 0


def local_mesh(asked: LocalMesh) -> Start:
    """Return what starts a mesh on this machine."""
    from osm.runtime.local_mesh import (  # noqa: PLC0415 - not for `osm up --help`
        LocalMeshSettings,
        run_local_mesh,
    )

    settings = LocalMeshSettings(
        mesh=asked.mesh,
        paths=asked.paths,
        isolation=asked.isolation,
        page_port=asked.page_port,
    )
    return lambda observer: run_local_mesh(settings, observer)


def control_plane(asked: ControlPlane) -> Start:
    """Return what starts a control plane without workloads."""
    runtime = import_module("osm.runtime.controller")
    settings = runtime.ControllerSettings(**msgspec.structs.asdict(asked))
    return lambda observer: cast(Running, runtime.run_controller(settings, observer))
