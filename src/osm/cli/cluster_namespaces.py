"""What `osm namespace` and `osm metrics` do on a cluster. Lines are OSM's, which scripts read."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from osm.cli.cluster_mesh import SELECTOR, installed_meshes
from osm.core.api.mesh_keys import IGNORE, INJECTION, METRICS, MONITORED_BY, SWITCH
from osm.core.envoy.names import METRICS_PORT
from osm.core.inject.sidecar import UUID_LABEL
from osm.core.install.names import CONTROLLER
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


async def add(objects: Objects, name: str, mesh: str, *, injection: bool) -> Iterable[str]:
    """Make a namespace part of a mesh; returns what to say."""
    controllers = await objects.list("apps/v1", "Deployment", name, labelSelector=SELECTOR)
    if controllers:
        cannot = f"already has [{CONTROLLER}] installed and cannot be added to mesh [{mesh}]"
        return (f"Namespace [{name}] {cannot}",)
    namespace = await _get(objects, name)
    labels = _labels(namespace)
    before = labels.get(MONITORED_BY)
    if before == mesh:
        return (f"Namespace [{name}] has already been added to mesh [{mesh}]",)
    if labels.get(IGNORE) == "true":
        raise ConfigError(
            f"Cannot add ignored namespace [{name}]",
            hint=f"Make it one that is not: kubectl label namespace {name} {IGNORE}-",
        )
    annotations = {INJECTION: "enabled" if injection else "disabled"}
    await _change(objects, name, {MONITORED_BY: mesh}, annotations)
    said = [f"Namespace [{name}] successfully added to mesh [{mesh}]"]
    if before:
        said.append(f"It was in mesh [{before}]: its pods stay there until they start again.")
    return said


async def remove(objects: Objects, name: str, mesh: str) -> str:
    """Take a namespace out of a mesh; returns what to say."""
    belongs = _labels(await _get(objects, name)).get(MONITORED_BY)
    if belongs is None:
        return f"Namespace [{name}] already does not belong to any mesh"
    if belongs != mesh:
        raise ConfigError(
            f"Namespace belongs to mesh [{belongs}], not mesh [{mesh}]. Please specify the correct mesh"
        )
    await _change(
        objects, name, {MONITORED_BY: None, IGNORE: None}, {INJECTION: None, METRICS: None}
    )
    return f"Namespace [{name}] successfully removed from mesh [{mesh}]"


async def ignore(objects: Objects, name: str) -> str:
    """Keep injection and validation off a namespace; returns what to say."""
    await _change(objects, name, {IGNORE: "true"}, {})
    return f"Successfully configured namespace [{name}] to be ignored"


async def mesh_namespaces(objects: Objects, mesh: str | None) -> tuple[MeshNamespace, ...]:
    """The namespaces of a mesh, or of all, sorted."""
    selector = f"{MONITORED_BY}={mesh}" if mesh else MONITORED_BY
    found = await objects.list("v1", "Namespace", labelSelector=selector)
    return tuple(sorted(map(_read, found)))


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
    word = (metadata.get("annotations") or {}).get(INJECTION, "")
    injects = SWITCH.get(word.lower())
    injection = word or "-" if injects is None else ("enabled" if injects else "disabled")
    if IGNORE in metadata["labels"]:
        injection = "disabled (ignored)"
    return MeshNamespace(metadata["name"], metadata["labels"][MONITORED_BY], injection)


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
