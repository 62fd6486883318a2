"""What the replica that leads is asked to write (`osm.runtime.writer`), answered from the running parts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from osm import __version__
from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key, Manifest
from osm.core.api.mesh_keys import IGNORE, MONITORED_BY
from osm.core.api.registry import Document
from osm.core.install.manifests import crds
from osm.core.install.names import Installation
from osm.core.install.webhooks import mutating_webhook, validating_webhook
from osm.core.model.origin import Finding
from osm.runtime.control_core import ControlCore
from osm.runtime.pod_bootstrap import proxy_files
from osm.runtime.writer import WriterInputs


def writer_inputs(
    installation: Installation,
    trust_domain: str,
    webhook_timeout_s: int,
    core: ControlCore,
    findings: Callable[[], Sequence[Finding]],
) -> WriterInputs:
    """Ask `core` for everything; there is news with each model that it hands on."""
    news = asyncio.Event()
    core.pipeline.on_published = news.set
    definitions = crds()

    def objects() -> Mapping[Key, Manifest]:
        return core.pipeline.objects

    def documents() -> Sequence[Document]:
        roots = core.keeper.issuer.trust_bundle
        return (
            *definitions,
            mutating_webhook(installation, roots, webhook_timeout_s, version=__version__),
            validating_webhook(installation, roots, version=__version__),
        )

    return WriterInputs(
        news=news,
        objects=objects,
        findings=findings,
        namespaces=lambda: meshed_namespaces(objects(), installation.mesh),
        proxy_files=lambda: proxy_files(core.keeper.issuer.trust_bundle.decode(), trust_domain),
        documents=documents,
    )


def meshed_namespaces(objects: Mapping[Key, Manifest], mesh: str) -> frozenset[str]:
    """The namespaces that take part in a mesh."""
    return frozenset(
        manifest.key.name
        for manifest in objects.values()
        if isinstance(manifest.object, Namespace)
        and manifest.object.metadata.labels.get(MONITORED_BY) == mesh
        and IGNORE not in manifest.object.metadata.labels
    )
