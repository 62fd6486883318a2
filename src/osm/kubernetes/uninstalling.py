"""Removes an installation from a cluster: exactly what it, and its control plane, made."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from osm.core.api.membership import is_taken_over
from osm.core.api.mesh_keys import IGNORE, INJECTION, METRICS, MONITORED_BY, TAKEN_OVER_BY
from osm.core.install import plan
from osm.core.install.labels import selecting
from osm.core.install.manifests import crds
from osm.core.install.names import APP_LABEL, CONTROLLER, Installation
from osm.core.model.identity import token_audience
from osm.core.model.reserved import UUID_LABEL
from osm.errors import OsmError
from osm.kubernetes.apply import Document, Objects
from osm.kubernetes.installing import find
from osm.kubernetes.mesh_facts import mesh_namespaces
from osm.kubernetes.resources import Ref, ref_of
from osm.kubernetes.rollout import selector_text

LOOKS = 120
PAUSE_S = 0.5
"""Pods of the control plane have 30 s for their end."""
_FIRST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "Deployment")

Say = Callable[[str], None]


async def remove(objects: Objects, installation: Installation, say: Say) -> int:
    """Delete what the installation is made of; returns how many objects that were."""
    found = await find(objects, installation)
    gone = plan.removals(installation, found)
    first = [each for each in gone if each["kind"] in _FIRST]
    rest = [each for each in gone if each["kind"] not in _FIRST]
    for document in first:
        await _delete(objects, document)
    if any(each["kind"] == "Deployment" for each in first):
        # A replica that still runs would write its Lease and its ConfigMaps again.
        await _wait_for_pods(objects, installation, say)
    for document in rest:
        await _delete(objects, document)
    release = plan.helm_release(found)
    if release is not None:
        await _forget_release(objects, installation, release)
    return len(gone)


async def release_namespaces(objects: Objects, installation: Installation) -> tuple[str, ...]:
    """Take the mesh's marks from its namespaces; what else is written on them stays."""
    names = []
    for namespace in await mesh_namespaces(objects, installation.mesh):
        name, labels = namespace["metadata"]["name"], namespace["metadata"]["labels"]
        marks = _GIVEN_BACK if is_taken_over(labels, installation.mesh) else _LEFT
        await objects.merge(Ref("v1", "Namespace", name), {"metadata": marks})
        names.append(name)
    return tuple(names)


_LEFT: Mapping[str, Mapping[str, None]] = {
    "labels": {MONITORED_BY: None, TAKEN_OVER_BY: None, IGNORE: None},
    "annotations": {INJECTION: None, METRICS: None},
}
_GIVEN_BACK: Mapping[str, Mapping[str, None]] = {"labels": {TAKEN_OVER_BY: None, IGNORE: None}}
"""It goes on being another mesh's, as it was before it was taken over."""


async def pods_with_proxies(objects: Objects, mesh: str) -> Mapping[str, int]:
    """How many pods that have not ended have a proxy of a mesh, by namespace; sorted."""
    audience = token_audience(mesh)
    counts = Counter(
        str(pod["metadata"]["namespace"])
        for pod in await objects.list("v1", "Pod", labelSelector=UUID_LABEL)
        if (pod.get("status") or {}).get("phase") not in _ENDED and audience in _audiences(pod)
    )
    return dict(sorted(counts.items()))


_ENDED = ("Succeeded", "Failed")


def _audiences(pod: Document) -> Iterator[str]:
    """For whom the tokens of a pod are: those of its proxy are for its mesh."""
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield (source.get("serviceAccountToken") or {}).get("audience", "")


async def remove_cluster_wide(
    objects: Objects, installation: Installation, secret: str, say: Say
) -> tuple[str, ...]:
    """Delete the definitions, with all objects of their kinds, and the root; returns what failed."""
    refs = [ref_of(each) for each in crds()]
    named = [(ref, f"CRD: {ref.name}") for ref in refs]
    root = Ref("v1", "Secret", secret, installation.namespace)
    named.append((root, f"secret {secret} in namespace {installation.namespace}"))
    failed = []
    for ref, name in named:
        try:
            there = await objects.delete(ref)
        except OsmError as error:
            say(f"Failed to delete OSM {name}: {error.message}")
            failed.append(ref.name)
        else:
            say(
                f"Successfully deleted OSM {name}"
                if there
                else f"Ignoring - did not find OSM {name}"
            )
    return tuple(failed)


async def _delete(objects: Objects, document: Document) -> None:
    await objects.delete(ref_of(document), uid=document["metadata"]["uid"])


async def _wait_for_pods(objects: Objects, installation: Installation, say: Say) -> None:
    selector = selector_text({APP_LABEL: CONTROLLER, **selecting(installation.mesh)})
    place = installation.namespace
    for _ in range(LOOKS):
        left = await objects.list("v1", "Pod", place, labelSelector=selector)
        if not left:
            return
        await asyncio.sleep(PAUSE_S)
    names = ", ".join(each["metadata"]["name"] for each in left)
    say(f"Warning: after {LOOKS * PAUSE_S:g} s these pods are still there: {names}")


async def _forget_release(objects: Objects, installation: Installation, release: str) -> None:
    """Helm's own notes of a release that is not there any more."""
    notes = selector_text({"owner": "helm", "name": release})
    for secret in await objects.list("v1", "Secret", installation.namespace, labelSelector=notes):
        await _delete(objects, secret)
