"""Makes, changes and undoes an installation in a cluster: what it is made of, `osm.core.install` says."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from osm.core.check.facts import ControlPlane
from osm.core.check.versions import OLDEST_OWN, is_older
from osm.core.install import plan
from osm.core.install.manifests import crds, is_kept, namespace
from osm.core.install.names import INSTANCE_LABEL, Installation
from osm.core.install.record import RECORD, Record, read_record
from osm.errors import PlatformError
from osm.kubernetes.apply import Applied, Document, Objects
from osm.kubernetes.resources import Ref, ref_of
from osm.kubernetes.rollout import Progress, wait_gone, wait_ready

DEFINED_WITHIN_S = 60.0
"""How long CustomResourceDefinitions may take until they are established."""
SCALER = "osm-autoscaling"
"""The field manager of a number of replicas that an autoscaler may change."""
GONE_WITHIN_S = 60.0
"""How long a namespace may take that somebody deleted before."""


class Installer:
    """One installation in one cluster."""

    def __init__(
        self,
        objects: Objects,
        installation: Installation,
        progress: Progress,
        *,
        force: bool = False,
    ) -> None:
        self._objects = objects
        self.installation = installation
        self.progress = progress
        self._force = force
        self.made: list[Applied] = []
        """What has been done so far; `undo` takes it back."""

    async def recorded(self) -> Record | None:
        """What was installed last, to its end."""
        ref = Ref("v1", "ConfigMap", RECORD, self.installation.namespace)
        document = await self._objects.get(ref)
        return None if document is None else read_record(document)

    async def refuse_others(self, plane: ControlPlane) -> None:
        """Raise `PlatformError` for a control plane that somebody else looks after."""
        here = plane.installation
        if is_older(plane.version, OLDEST_OWN):
            raise PlatformError(
                f"Mesh {here.mesh} is of OSM {plane.version}, which cannot be upgraded in place.",
                hint="`osm migrate check` tells how to move it, namespace by namespace.",
            )
        release = plan.helm_release(await self.found())
        if release is not None:
            raise PlatformError(
                f"Mesh {here.mesh} was installed by Helm, as the release {release}.",
                hint=f"Upgrade it by Helm, too: helm upgrade {release} CHART -n {here.namespace}",
            )

    async def found(self) -> list[Document]:
        """Everything with this installation's labels, of the kinds that an installation has."""
        return await find(self._objects, self.installation)

    async def define(self) -> None:
        """Make the namespace and the definitions, and wait for these."""
        await self._make_namespace()
        name = f"{len(crds())} CustomResourceDefinitions"
        self.progress(name, "starting", "")
        # Ours, whoever wrote them: OSM, Helm or kubectl.
        # All at once: each makes the API server work for a while.
        done = await _all(self._apply(each, force=True) for each in crds())
        refs = [each.ref for each in done]
        await wait_ready(self._objects, refs, limit_s=DEFINED_WITHIN_S, progress=_silent)
        self.progress(name, "ready", outcomes(done))

    async def _make_namespace(self) -> None:
        document = namespace(self.installation)
        ref = ref_of(document)
        there = await self._objects.get(ref)
        if there is not None and "deletionTimestamp" in there["metadata"]:
            self.progress(str(ref), "starting", "it is still being deleted")
            await wait_gone(self._objects, [ref], limit_s=GONE_WITHIN_S)
            there = None
        if there is None:
            await self._apply(document)
            self.progress(str(ref), "ready", "created")

    async def write(self, documents: Sequence[Document]) -> tuple[Applied, ...]:
        """Make the objects as the documents say. What is people's is made once."""
        name = f"{len(documents)} objects"
        self.progress(name, "starting", "")
        done = tuple([await self._write(each) for each in documents])
        self.progress(name, "ready", outcomes(done))
        return done

    async def remember(self, record: Document) -> None:
        """Write what the next upgrade has to know; last, so that it says what came to its end."""
        await self._apply(record)

    async def preview(self, documents: Sequence[Document]) -> tuple[Applied, ...]:
        """What `define` and `write` would do, as the API server says (dry run)."""
        return tuple(
            [await self._preview(each) for each in (namespace(self.installation), *crds())]
            + [await self._preview(each) for each in documents]
        )

    async def to_prune(self, documents: Sequence[Document]) -> tuple[Ref, ...]:
        """What the installation had and has no more."""
        gone = plan.to_prune(self.installation, documents, await self.found())
        return tuple(map(ref_of, gone))

    async def prune(self, documents: Sequence[Document]) -> tuple[Ref, ...]:
        """Delete that."""
        gone = await self.to_prune(documents)
        for ref in gone:
            await self._objects.delete(ref)
        return gone

    async def undo(self) -> None:
        """Delete what this run created, the last first. Definitions that have objects stay."""
        for each in reversed(self.made):
            if each.outcome != "created":
                continue
            if each.ref.kind == "CustomResourceDefinition" and await self._has_objects(each.after):
                continue
            await self._objects.delete(each.ref, uid=each.after["metadata"]["uid"])

    async def _write(self, document: Document) -> Applied:
        if is_kept(document):
            there = await self._objects.get(ref_of(document))
            if there is not None:
                # Not even asked for: the API server would call the mesh's own webhook.
                return Applied(ref_of(document), "unchanged", there, there)
        if document["kind"] == "Deployment" and "replicas" not in document["spec"]:
            await self._hand_over_replicas(ref_of(document))
        return await self._apply(document)

    async def _hand_over_replicas(self, ref: Ref) -> None:
        """An autoscaler decides from now on. A field that nobody has any more would fall back to 1."""
        there = await self._objects.get(ref)
        if there is not None:
            await self._objects.own(ref, {"spec": {"replicas": there["spec"]["replicas"]}}, SCALER)

    async def _apply(self, document: Document, *, force: bool = False) -> Applied:
        done = await self._objects.apply(document, force=force or self._force)
        self.made.append(done)
        return done

    async def _preview(self, document: Document) -> Applied:
        ref = ref_of(document)
        if not await self._objects.resources.is_served(ref.api_version, ref.kind):
            return Applied(ref, "created", None, document)
        there = await self._objects.get(ref)
        if there is None:
            return Applied(ref, "created", None, document)
        if is_kept(document) or ref.kind == "Namespace":
            return Applied(ref, "unchanged", there, there)
        if ref.kind == "Deployment":
            # Those that there are stay, see `_hand_over_replicas`.
            replicas = {"replicas": there["spec"]["replicas"]}
            document = document | {"spec": replicas | document["spec"]}
        force = self._force or ref.kind == "CustomResourceDefinition"
        return await self._objects.apply(document, force=force, dry_run=True)

    async def _has_objects(self, definition: Document) -> bool:
        spec = definition["spec"]
        version = next(each["name"] for each in spec["versions"] if each["storage"])
        api_version = f"{spec['group']}/{version}"
        return bool(await self._objects.list(api_version, spec["names"]["kind"]))


async def _all(works: Iterable[Coroutine[Any, Any, Applied]]) -> list[Applied]:
    """Do all of them, to the end of each, and then raise what went wrong first."""
    answers = await asyncio.gather(*works, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, Applied)]


async def find(objects: Objects, installation: Installation) -> list[Document]:
    """Everything with an installation's labels, of the kinds that an installation has."""
    selector = plan.selector(installation)

    async def look(searched: plan.Searched) -> list[Document]:
        if not await objects.resources.is_served(searched.api_version, searched.kind):
            return []
        place = "" if searched.everywhere else installation.namespace
        return await objects.list(
            searched.api_version, searched.kind, place, labelSelector=selector
        )

    pages = await asyncio.gather(*map(look, plan.SEARCHED))
    return [document for page in pages for document in page]


async def foreign(
    objects: Objects, installation: Installation, documents: Sequence[Document]
) -> tuple[str, ...]:
    """Objects that are there under names of the installation, and belong to something else.

    A MeshConfig that somebody brought is welcome.
    """

    async def look(ref: Ref) -> Document | None:
        served = await objects.resources.is_served(ref.api_version, ref.kind)
        return await objects.get(ref) if served else None

    found = await asyncio.gather(*(look(ref_of(each)) for each in documents if not is_kept(each)))
    return tuple(
        str(ref_of(each))
        for each in found
        if each is not None and instance_of(each) != installation.mesh
    )


def instance_of(document: Document) -> str:
    """The mesh whose installation an object is part of; empty when it is of none."""
    labels = document["metadata"].get("labels") or {}
    return str(labels.get(INSTANCE_LABEL, ""))


def outcomes(applied: Iterable[Applied]) -> str:
    """How many objects came to what, such as `12 created, 1 unchanged`."""
    counts = Counter(each.outcome for each in applied)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def _silent(_name: str, _state: str, _detail: str) -> None:
    pass
