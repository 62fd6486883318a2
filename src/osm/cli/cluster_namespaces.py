"""What `osm namespace` and `osm metrics` do on a cluster. Lines are OSM's, which scripts read."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from osm.cli.cluster_mesh import SELECTOR, installed_meshes
from osm.core.api.membership import is_taken_over
from osm.core.api.mesh_keys import IGNORE, INJECTION, METRICS, MONITORED_BY, SWITCH, TAKEN_OVER_BY
from osm.core.envoy.names import METRICS_PORT
from osm.core.install.names import CONTROLLER
from osm.core.model.reserved import UUID_LABEL
from osm.errors import ConfigError, UsageError
from osm.kubernetes.apply import Objects
from osm.kubernetes.resources import Ref

Document = dict[str, Any]
_SCRAPE: Mapping[str, str] = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": "/stats/prometheus",
}


class MeshNamespace(msgspec.Struct, frozen=True, order=True):
    """A namespace of a mesh. `injection` is as OSM writes it: `enabled`, `disabled`, `-` or more."""

    namespace: str
    mesh: str
    sidecar_injection: str
    taken_over_by: str = ""
    """The mesh whose proxies its new pods get, when `mesh` only goes on monitoring it."""

    @property
    def mesh_shown(self) -> str:
        """For people."""
        return (
            f"{self.mesh} (taken over by {self.taken_over_by})" if self.taken_over_by else self.mesh
        )


async def add(objects: Objects, name: str, mesh: str, *, injection: bool) -> Iterable[str]:
    """Make a namespace part of a mesh; returns what to say.

    One of the mesh that this one takes over from stays that one's, as long as its control plane is there:
    so its proxies go on knowing the namespace's pods, whichever proxy these have.
    """
    controllers = await objects.list("apps/v1", "Deployment", name, labelSelector=SELECTOR)
    if controllers:
        cannot = f"already has [{CONTROLLER}] installed and cannot be added to mesh [{mesh}]"
        return (f"Namespace [{name}] {cannot}",)
    namespace = await _get(objects, name)
    labels = _labels(namespace)
    before = labels.get(MONITORED_BY)
    if before == mesh:
        return (f"Namespace [{name}] has already been added to mesh [{mesh}]",)
    if is_taken_over(labels, mesh):
        _refuse_switch(namespace, injection=injection)
        return await _end_take_over(objects, namespace, mesh)
    if labels.get(IGNORE) == "true":
        raise ConfigError(
            f"Cannot add ignored namespace [{name}]",
            hint=f"Make it one that is not: kubectl label namespace {name} {IGNORE}-",
        )
    if before and await _is_former(objects, before, mesh):
        _refuse_switch(namespace, injection=injection)
        return await _take_over(objects, namespace, mesh, before)
    annotations = {INJECTION: "enabled" if injection else "disabled"}
    await _change(objects, name, {MONITORED_BY: mesh, TAKEN_OVER_BY: None}, annotations)
    said = [f"Namespace [{name}] successfully added to mesh [{mesh}]"]
    if before:
        said.append(f"It was in mesh [{before}]: its pods stay there until they start again.")
    return said


async def _is_former(objects: Objects, former: str, mesh: str) -> bool:
    """Whether a mesh takes over from another one that still has its control plane."""
    meshes = await installed_meshes(objects)
    named = any(each.mesh == mesh and each.former_mesh == former for each in meshes)
    return named and any(each.mesh == former for each in meshes)


def _refuse_switch(namespace: Document, *, injection: bool) -> None:
    if not injection:
        name = namespace["metadata"]["name"]
        raise ConfigError(
            f"Cannot take over namespace [{name}] and change its sidecar injection at the same time",
            hint=f"Its annotation {INJECTION} goes on to count; change that before or afterwards.",
        )


async def _take_over(
    objects: Objects, namespace: Document, mesh: str, former: str
) -> Iterable[str]:
    """OSM's webhooks keep off ignored namespaces, and its control plane goes on reading them."""
    name = namespace["metadata"]["name"]
    if other := _labels(namespace).get(TAKEN_OVER_BY):
        raise ConfigError(
            f"Namespace [{name}] is taken over by mesh [{other}]",
            hint=f"Let that one go first: osm namespace remove {name} --mesh-name {other}",
        )
    await _change(objects, name, {TAKEN_OVER_BY: mesh, IGNORE: "true"}, {})
    said = [f"Namespace [{name}] of mesh [{former}] successfully taken over by mesh [{mesh}]"]
    if SWITCH.get(_injection(namespace).lower()):
        said.append("Its pods have their old proxies until they start again.")
    else:
        said.append("Only those of its pods get proxies that ask for one themselves, as before.")
    return said


async def _end_take_over(objects: Objects, namespace: Document, mesh: str) -> Iterable[str]:
    """When the former mesh is gone, the namespace is like any other. Its pods stay as they are."""
    name, former = namespace["metadata"]["name"], _labels(namespace)[MONITORED_BY]
    if await _is_former(objects, former, mesh):
        return (f"Namespace [{name}] has already been taken over by mesh [{mesh}]",)
    await _change(objects, name, {MONITORED_BY: mesh, TAKEN_OVER_BY: None, IGNORE: None}, {})
    return (f"Namespace [{name}] successfully added to mesh [{mesh}]",)


async def remove(objects: Objects, name: str, mesh: str) -> str:
    """Take a namespace out of a mesh; returns what to say."""
    labels = _labels(await _get(objects, name))
    belongs = labels.get(MONITORED_BY)
    if belongs and is_taken_over(labels, mesh):
        await _change(objects, name, {TAKEN_OVER_BY: None, IGNORE: None}, {})
        return f"Namespace [{name}] successfully given back to mesh [{belongs}]"
    if belongs is None:
        return f"Namespace [{name}] already does not belong to any mesh"
    if belongs != mesh:
        raise ConfigError(
            f"Namespace belongs to mesh [{belongs}], not mesh [{mesh}]. Please specify the correct mesh"
        )
    await _change(
        objects,
        name,
        {MONITORED_BY: None, TAKEN_OVER_BY: None, IGNORE: None},
        {INJECTION: None, METRICS: None},
    )
    return f"Namespace [{name}] successfully removed from mesh [{mesh}]"


async def ignore(objects: Objects, name: str) -> str:
    """Keep injection and validation off a namespace; returns what to say."""
    if taker := _labels(await _get(objects, name)).get(TAKEN_OVER_BY):
        raise ConfigError(
            f"Cannot ignore namespace [{name}], which mesh [{taker}] took over",
            hint=f"Give it back first: osm namespace remove {name} --mesh-name {taker}",
        )
    await _change(objects, name, {IGNORE: "true"}, {})
    return f"Successfully configured namespace [{name}] to be ignored"


async def mesh_namespaces(objects: Objects, mesh: str | None) -> tuple[MeshNamespace, ...]:
    """The namespaces of a mesh, or of all, sorted. One that was taken over is both meshes'."""
    found = await objects.list("v1", "Namespace", labelSelector=MONITORED_BY)
    read = map(_read, found)
    return tuple(sorted(each for each in read if mesh in (None, each.mesh, each.taken_over_by)))


async def check_mesh(objects: Objects, mesh: str) -> None:
    """Raise `UsageError` for a mesh that the cluster does not have."""
    if all(each.mesh != mesh for each in await installed_meshes(objects)):
        raise UsageError(
            f"mesh [{mesh}] does not exist, please specify another mesh using --mesh-name or create "
            "a new mesh"
        )


async def set_metrics(objects: Objects, name: str, *, enabled: bool) -> str:
    """Have Prometheus scrape the proxies of a namespace, or not; returns what to say."""
    namespace = await _get(objects, name)
    if MONITORED_BY not in _labels(namespace):
        raise ConfigError(
            f'Namespace [{name}] does not belong to a mesh, missing annotation "{MONITORED_BY}"',
            hint=f"`osm namespace add {name}` makes it part of one.",
        )
    await _change(objects, name, {}, {METRICS: "enabled" if enabled else None})
    annotations = {key: value if enabled else None for key, value in _SCRAPE.items()}
    for pod in await objects.list("v1", "Pod", name, labelSelector=UUID_LABEL):
        ref = Ref("v1", "Pod", pod["metadata"]["name"], name)
        await objects.merge(ref, {"metadata": {"annotations": annotations}})
    return f"Metrics successfully {'enabled' if enabled else 'disabled'} in namespace [{name}]"


def _read(namespace: Document) -> MeshNamespace:
    metadata = namespace["metadata"]
    word = _injection(namespace)
    injects = SWITCH.get(word.lower())
    injection = word or "-" if injects is None else ("enabled" if injects else "disabled")
    mesh, taker = metadata["labels"][MONITORED_BY], metadata["labels"].get(TAKEN_OVER_BY, "")
    taken = taker if is_taken_over(metadata["labels"], taker) else ""
    if IGNORE in metadata["labels"] and not taken:
        injection = "disabled (ignored)"
    return MeshNamespace(metadata["name"], mesh, injection, taken)


def _injection(namespace: Document) -> str:
    word: str = (namespace["metadata"].get("annotations") or {}).get(INJECTION, "")
    return word


def _labels(document: Document) -> Mapping[str, str]:
    return document["metadata"].get("labels") or {}


async def _get(objects: Objects, name: str) -> Document:
    found = await objects.get(Ref("v1", "Namespace", name))
    if found is None:
        raise _missing(name)
    return found


async def _change(
    objects: Objects,
    name: str,
    labels: Mapping[str, str | None],
    annotations: Mapping[str, str | None],
) -> None:
    patch = {"metadata": {"labels": labels, "annotations": annotations}}
    if not await objects.merge(Ref("v1", "Namespace", name), patch):
        raise _missing(name)


def _missing(name: str) -> UsageError:
    return UsageError(
        f"There is no namespace [{name}].", hint="`kubectl get namespaces` lists them."
    )
