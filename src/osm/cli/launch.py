"""What `up`, `demo` and `controller` need of `osm.runtime`, and the only place that imports it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import msgspec

from osm.core.install.names import Installation
from osm.errors import PlatformError
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


class ClusterControlPlane(msgspec.Struct, frozen=True):
    """What `controller --kubernetes` was asked for. `KubernetesSettings` of the runtime has the same."""

    mesh: str
    namespace: str
    pod_name: str
    envoy_image: str
    init_image: str
    trust_domain: str
    former_mesh: str
    ca_secret: str
    validate_traffic_target: bool
    webhook_timeout_s: int
    log_level: str
    kubeconfig: Path | None = None
    context: str | None = None


def cluster_control_plane(asked: ClusterControlPlane) -> Start:
    """Return what starts the control plane of a cluster's mesh."""
    try:
        runtime = import_module("osm.runtime.kubernetes_mesh")
    except ModuleNotFoundError as error:
        raise PlatformError(
            f"What speaks to clusters is not installed: there is no {error.name}.",
            hint="pip install 'openservicemesh[kubernetes]'",
        ) from error
    given = msgspec.structs.asdict(asked)
    installation = Installation(given.pop("mesh"), given.pop("namespace"))
    settings = runtime.KubernetesSettings(installation=installation, **given)
    return lambda observer: cast(Running, runtime.run_kubernetes_mesh(settings, observer))


def control_plane(asked: ControlPlane) -> Start:
    """Return what starts a control plane without workloads."""
    runtime = import_module("osm.runtime.controller")
    settings = runtime.ControllerSettings(**msgspec.structs.asdict(asked))
    return lambda observer: cast(Running, runtime.run_controller(settings, observer))
