"""Somebody else's webhook, which API servers ask about pods beside ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from tests.kubernetes.control_plane import free_ports

from osm.core.inject.patch import Operation
from osm.core.install.names import INJECTOR_SERVICE
from osm.core.install.webhooks import mutating_webhook
from osm.kubernetes.admission import AdmissionRequest, Allowed, Decision, reviewing
from osm.kubernetes.webhook_server import serve_webhook

from .admitting import Admitting, webhooks_of

ADDED = Operation("add", "/spec/containers/-", {"name": "added", "image": "mesh.local/added:1"})


@contextlib.asynccontextmanager
async def others_webhook(
    mesh: Admitting,
    *patch: Operation,
    prefix: str = "zz",
    where: Sequence[object] | None = None,
) -> AsyncIterator[None]:
    """One that adds a container to pods of the mesh, or changes those of other namespaces otherwise.
    Webhooks are asked in the order of their configurations' names, which begin with `prefix`.
    """

    async def add(_: AdmissionRequest) -> Decision:
        return Allowed(patch or (ADDED,))

    name, (port,) = f"{prefix}-{mesh.installation.mesh}", free_ports(1)
    ready = asyncio.Event()
    pair = mesh.pairs[INJECTOR_SERVICE]
    serving = serve_webhook("127.0.0.1", port, "/", lambda: pair, reviewing(add), ready)
    task = asyncio.create_task(serving)
    await asyncio.wait_for(ready.wait(), 5)
    document = mutating_webhook(mesh.installation, mesh.root.trust_bundle, version="0")
    document["metadata"] = {"name": name}
    (webhook,) = webhooks_of(document)
    webhook["clientConfig"]["service"] = {
        "namespace": mesh.installation.namespace,
        "name": INJECTOR_SERVICE,
        "port": port,
        "path": "/",
    }
    webhook["name"] = "added.example.com"
    webhook["reinvocationPolicy"] = "Never"
    if where is not None:
        webhook["namespaceSelector"] = {"matchExpressions": where}
    await mesh.apply(document)
    try:
        yield
    finally:
        await mesh.cluster.kubectl("delete", "mutatingwebhookconfiguration", name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
