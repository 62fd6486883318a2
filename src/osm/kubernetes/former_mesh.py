"""Everything in a cluster that `osm migrate check` looks at. Of Secrets no more is kept than it needs.

What may not be read, or is not there, is left out, and named.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from osm.core.api.mesh_keys import MONITORED_BY
from osm.core.install.names import APP_LABEL, NAME, NAME_LABEL
from osm.core.install.single_mesh import is_ours
from osm.core.migrate.installation import APPS
from osm.core.model.groups import ACCESS, CONFIG, POLICY, SPECS, SPLIT
from osm.errors import OsmError
from osm.kubernetes.apply import Document, Objects

_GROUPS = (CONFIG, POLICY, ACCESS, SPECS, SPLIT)
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_HELM = "helm.sh/release.v1"


class Seen(msgspec.Struct, frozen=True):
    """The objects, and what could not be looked at, with the reason."""

    objects: tuple[Document, ...]
    unseen: tuple[str, ...]


async def gather_former_mesh(objects: Objects) -> Seen:
    """All objects that tell of OSM's installations."""
    gathering = _Gathering(objects)
    apps = await objects.list(
        "apps/v1", "Deployment", labelSelector=f"{APP_LABEL} in ({', '.join(APPS)})"
    )
    await gathering.definitions_and_policies()
    for kind in _WEBHOOKS:
        await gathering.add("admissionregistration.k8s.io/v1", kind)
    spaces = await gathering.add("v1", "Namespace")
    for space in sorted({app["metadata"]["namespace"] for app in apps if not is_ours(app)}):
        await gathering.add("apps/v1", "Deployment", space)
        for kind in ("Opaque", _HELM):
            await gathering.secrets(space, fieldSelector=f"type={kind}")
    for space in spaces:
        if (space["metadata"].get("labels") or {}).get(MONITORED_BY):
            await gathering.add("v1", "Pod", space["metadata"]["name"])
            await gathering.secrets(space["metadata"]["name"], labelSelector=f"{NAME_LABEL}={NAME}")
    return Seen(tuple(gathering.found), tuple(dict.fromkeys(gathering.unseen)))


class _Gathering:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.found: list[Document] = []
        self.unseen: list[str] = []

    async def add(
        self, api_version: str, kind: str, namespace: str = "", **parameters: str
    ) -> list[Document]:
        try:
            found = await self._objects.list(api_version, kind, namespace, **parameters)
        except OsmError as error:
            self.unseen.append(error.message)
            return []
        self.found += found
        return found

    async def definitions_and_policies(self) -> None:
        """The kinds that are there, and all their objects."""
        found = await self.add("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        for definition in found:
            spec = definition["spec"]
            served = [each["name"] for each in spec["versions"] if each["served"]]
            if spec["group"] in _GROUPS and served:
                await self.add(f"{spec['group']}/{served[0]}", spec["names"]["kind"])

    async def secrets(self, space: str, **parameters: str) -> None:
        before = len(self.found)
        await self.add("v1", "Secret", space, **parameters)
        self.found[before:] = [_bare(each) for each in self.found[before:]]


def _bare(secret: Document) -> Document:
    """Only names of keys: what is in them is nobody's to see. Helm's record says what was installed."""
    if secret.get("type") == _HELM:
        return secret
    data: Mapping[str, Any] = secret.get("data") or {}
    return {**secret, "data": dict.fromkeys(data, "")}
