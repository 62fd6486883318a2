"""What the replica that leads writes to the cluster: status, Events, proxies' files, its own objects."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import Document
from osm.core.install.names import Installation
from osm.core.model.origin import Finding
from osm.kubernetes.api_server import ApiServer


class WriterInputs(msgspec.Struct, frozen=True):
    """What is asked for again and again. All are cheap, and called from the writer's event loop.

    Whoever makes them sets `news` when one of them may answer differently (after each compiled
    change, a refusal, a renewed root); the writer clears it. Without news it looks every 5 s.
    """

    news: asyncio.Event
    objects: Callable[[], Mapping[Key, Manifest]]
    """All that the mesh reads: `pipeline.objects`."""
    findings: Callable[[], Sequence[Finding]]
    """What is wrong with them: the source's, the compiler's and the proxies' together."""
    namespaces: Callable[[], AbstractSet[str]]
    """Of the mesh. Status and Events are written for objects in these, and in the mesh's own."""
    proxy_files: Callable[[], Mapping[str, str]]
    """What the ConfigMap `osm-proxy-files` holds; empty while it is not known."""
    documents: Callable[[], Sequence[Document]]
    """Webhook configurations and CRDs as they should be; they carry the label of `names.NAME_LABEL`."""


async def write_while_leading(
    server: ApiServer,
    installation: Installation,
    pod_name: str,
    inputs: WriterInputs,
    *,
    observe: Callable[[bool], None] = lambda _: None,
) -> None:
    """Contend for the Lease and write while it is held. Runs until it is cancelled, and then gives
    the Lease back (within 3 s). Never raises because of the cluster.

    `observe` hears whether this replica leads, with each change: for a metric and `/health`.
    """
    raise NotImplementedError
