"""What the replica that leads is asked to write (`osm.runtime.writer`), answered from the running parts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from osm import __version__
from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key, Manifest
from osm.core.api.membership import gives_proxies, is_read
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
    *,
    former_mesh: str = "",
) -> WriterInputs:
    """Ask `core` for everything; there is news with each model that it hands on, but for pods that come,
    go and get ready with nothing wrong about them: most changes are such, and none is written anywhere.
    """
    news = asyncio.Event()
    said: object = None

    def published(kinds: AbstractSet[str]) -> None:
        nonlocal said
        before, said = said, (core.pipeline.findings, core.pipeline.failures)
        if kinds != {"Pod"} or said != before:
            news.set()

    core.pipeline.on_published = published
    definitions = crds()

    def objects() -> Mapping[Key, Manifest]:
        return core.pipeline.objects

    def documents() -> Sequence[Document]:
        roots = core.keeper.issuer.trust_bundle
        return (
            *definitions,
            mutating_webhook(
                installation,
                roots,
                webhook_timeout_s,
                version=__version__,
                former_mesh=former_mesh,
            ),
            validating_webhook(installation, roots, version=__version__, former_mesh=former_mesh),
        )

    return WriterInputs(
        news=news,
        objects=objects,
        findings=findings,
        namespaces=lambda: _namespaces(
            objects(), lambda labels: is_read(labels, installation.mesh)
        ),
        served=lambda: _namespaces(
            objects(), lambda labels: gives_proxies(labels, installation.mesh, former_mesh)
        ),
        proxy_files=lambda: proxy_files(core.keeper.issuer.trust_bundle.decode(), trust_domain),
        documents=documents,
        refused=core.refused,
    )


def _namespaces(
    objects: Mapping[Key, Manifest], wanted: Callable[[Mapping[str, str]], bool]
) -> frozenset[str]:
    """Those whose labels are as wanted."""
    return frozenset(
        manifest.key.name
        for manifest in objects.values()
        if isinstance(manifest.object, Namespace) and wanted(manifest.object.metadata.labels)
    )
