"""Keeps webhook configurations and CRDs as they should be, and says so when somebody changed them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import structlog

from osm.core.api.registry import Document
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.events import Happening, Regarding
from osm.kubernetes.kept_objects import KeptObjects, Object, Rules
from osm.kubernetes.reflector import Resource
from osm.kubernetes.resources import Ref, built_in, ref_of
from osm.kubernetes.writing import FIELD_MANAGER, Write

log = structlog.get_logger("osm.kubernetes")

OFTEN, ABSENT_S = (3, 60.0), 6.0
"""A second manager may fight. And an uninstallation, which deletes these first, ends this process
meanwhile: a webhook without a server would keep pods from starting.
"""
DEFINITION = "CustomResourceDefinition"
WRITERS = ("osm", FIELD_MANAGER)
"""Field managers: of `osm install` and `osm mesh upgrade`, and of every mesh's control plane."""


class Guard:
    """Belongs to one event loop. `run` belongs to a task.

    Each object is watched by its name, so that no rights on others are needed.
    """

    def __init__(
        self,
        server: ApiServer,
        write: Write,
        rng: Random,
        tell: Callable[[Happening], None],
        *,
        often: tuple[int, float] = OFTEN,
        absent_s: float = ABSENT_S,
    ) -> None:
        self._server = server
        self._write = write
        self._rng = rng
        self._tell = tell
        self._rules = Rules(often, absent_s)
        self._definition_rules = Rules(often, absent_s, is_left=_is_a_mesh_s)
        self._kept: dict[Ref, KeptObjects] = {}
        self._news = asyncio.Event()

    def want(self, documents: Sequence[Document]) -> None:
        """Objects as they should be from now on, all of them; what is not among them is left alone."""
        wanted = {ref_of(document): document for document in documents}
        for ref, document in wanted.items():
            if ref not in self._kept:
                self._kept[ref] = self._keeper(ref)
            self._kept[ref].want({(ref.namespace, ref.name): document})
        for ref in self._kept.keys() - wanted.keys():
            self._kept[ref].want({})
        self._news.set()

    async def run(self) -> None:
        """Keep them until cancelled."""
        running: set[Ref] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for ref in self._kept.keys() - running:
                    group.create_task(self._kept[ref].run())
                    running.add(ref)
                await self._news.wait()
                self._news.clear()

    def _keeper(self, ref: Ref) -> KeptObjects:
        kind = built_in(ref.api_version, ref.kind)
        if kind is None:
            raise LookupError(f"{ref} is of no kind that is guarded")
        group, _, version = ref.api_version.rpartition("/")
        return KeptObjects(
            self._server,
            self._write,
            Resource(group, version, kind.plural),
            {"fieldSelector": f"metadata.name={ref.name}"},
            self._rng,
            self._definition_rules if ref.kind == DEFINITION else self._rules,
            on_restored=lambda stored: self._restored(ref, stored),
        )

    def _restored(self, ref: Ref, stored: Object) -> None:
        meta: Mapping[str, Any] = stored["metadata"]
        log.warning("somebody changed what the mesh needs: it is as before", object=str(ref))
        self._tell(
            Happening(
                Regarding(ref.api_version, ref.kind, ref.name, ref.namespace, meta["uid"]),
                "Restored",
                "somebody deleted it, or changed fields that the mesh needs: they are as before. "
                "If another program manages it, tell that one to leave it alone.",
            )
        )


def _is_a_mesh_s(definition: Object) -> bool:
    """Whether a mesh wrote it last: an upgrade, whose version is on its way, or another mesh of this
    cluster, which may have another version. The one that was there first need not undo it.
    """
    writers = [
        (str(each.get("time", "")), str(each.get("manager", "")))
        for each in definition["metadata"].get("managedFields", ())
        if not each.get("subresource")
    ]
    last = max((time for time, _ in writers), default="")
    # Times are whole seconds: of two in one, the stranger counts.
    return bool(writers) and all(manager in WRITERS for time, manager in writers if time == last)
