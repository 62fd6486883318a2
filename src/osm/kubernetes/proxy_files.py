"""Keeps the ConfigMap that all proxies of a namespace read, in each namespace of the mesh.

Pods are not started without it, so it must be there soon after their namespace joined.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from random import Random

from osm.core.api.registry import Document
from osm.core.install.names import (
    INSTANCE_LABEL,
    MESH_LABEL,
    NAME,
    NAME_LABEL,
    PROXY_FILES,
    Installation,
)
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.kept_objects import KeptObjects, Object, Rules
from osm.kubernetes.reflector import Resource
from osm.kubernetes.writing import Write

OFTEN = (6, 60.0)
CONFIG_MAPS = Resource("", "v1", "configmaps")


class ProxyFilesKeeper:
    """Belongs to one event loop. `run` belongs to a task."""

    def __init__(
        self, server: ApiServer, write: Write, installation: Installation, rng: Random
    ) -> None:
        self._labels = {
            NAME_LABEL: NAME,
            INSTANCE_LABEL: installation.mesh,
            MESH_LABEL: installation.mesh,
        }
        self._kept = KeptObjects(
            server,
            write,
            CONFIG_MAPS,
            {"fieldSelector": f"metadata.name={PROXY_FILES}"},
            rng,
            Rules(OFTEN, is_ours=self._is_ours),
        )

    def want(self, namespaces: AbstractSet[str], files: Mapping[str, str]) -> None:
        """The namespaces of the mesh at this moment, and what their proxies read.

        Nothing is changed while there are no files: they are not known yet.
        """
        if files:
            self._kept.want(
                {(name, PROXY_FILES): self._config_map(name, files) for name in namespaces}
            )

    async def run(self) -> None:
        """Keep them until cancelled."""
        await self._kept.run()

    def _config_map(self, namespace: str, files: Mapping[str, str]) -> Document:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": PROXY_FILES, "namespace": namespace, "labels": self._labels},
            "data": dict(files),
        }

    def _is_ours(self, found: Object) -> bool:
        """Whether this mesh made it. Another may have its own in another namespace."""
        labels = found["metadata"].get("labels") or {}
        return all(labels.get(name) == value for name, value in self._labels.items())
