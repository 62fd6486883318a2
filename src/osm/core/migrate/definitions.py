"""OSM's CustomResourceDefinitions, and what in a cluster belongs to OSM's control plane alone."""

from collections.abc import Iterator, Sequence

from osm.core.api.crd import custom_resource_definitions
from osm.core.install.names import INSTANCE_LABEL, NAME, NAME_LABEL, RECONCILE_LABEL, Installation
from osm.core.migrate.documents import Document, items, label, name, of_kind, part, text, title
from osm.core.migrate.installation import Former
from osm.core.migrate.report import Entry, Severity

MULTICLUSTER = "multicluster.x-k8s.io"
_GONE = {
    "multiclusterservices.config.openservicemesh.io": "OSM v1.1's preview of several clusters",
    f"serviceexports.{MULTICLUSTER}": "nothing of OSM's main branch looked at it",
    f"serviceimports.{MULTICLUSTER}": "nothing of OSM's main branch looked at it",
}
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def judge_definitions(documents: Sequence[Document]) -> Iterator[Entry]:
    """Whether our definitions can replace those that are there."""
    ours = {name(each): each for each in custom_resource_definitions()}
    for there in of_kind(documents, "CustomResourceDefinition", "apiextensions.k8s.io"):
        if name(there) in ours:
            yield from _judge_definition(there, ours[name(there)])
        elif name(there) in _GONE:
            yield Entry(
                Severity.UNSUPPORTED,
                "kind-unknown",
                title(there),
                "",
                f"this kind has no meaning here: {_GONE[name(there)]}",
                f"Delete it when OSM is gone: kubectl delete crd {name(there)}",
            )


def _judge_definition(there: Document, ours: Document) -> Iterator[Entry]:
    known = {text(each, "name") for each in items(ours, "spec", "versions")}
    served = _served(ours)
    stored = [str(each) for each in items(there, "status", "storedVersions")]
    if lost := [each for each in stored if each not in served]:
        unknown = not known.issuperset(lost)
        yield Entry(
            Severity.ACTION,
            "stored-version",
            title(there),
            "status.storedVersions",
            f"objects may be stored as {', '.join(lost)}, "
            + (
                "which this mesh does not have: the API server would refuse its definition"
                if unknown
                else "which is not served any more: fields that stand beside `metadata` would be lost"
            ),
            "Write each object once (kubectl get … -o yaml | kubectl replace -f -), then take the version "
            "off status.storedVersions.",
        )
    elif gone := sorted(_served(there) - served):
        yield Entry(
            Severity.ACTION,
            "served-version",
            title(there),
            "spec.versions",
            f"{', '.join(gone)} will not be served any more: objects stay, and who asks for them so gets 404",
            f"Let programs and manifests use {', '.join(sorted(served))}.",
        )
    else:
        yield Entry(
            Severity.CARRY_OVER,
            "definition",
            title(there),
            "spec.versions",
            "objects stay where they are, and every version that is served goes on to be",
        )
    strategy = text(there, "spec", "conversion", "strategy")
    if strategy == "Webhook":
        service = text(there, "spec", "conversion", "webhook", "clientConfig", "service", "name")
        yield Entry(
            Severity.ACTION,
            "conversion-webhook",
            title(there),
            "spec.conversion",
            f"versions are converted by {service or 'a webhook'}: without it nobody can read its objects",
            "`osm install` sets the strategy to None; let it, before you remove OSM.",
        )


def _served(definition: Document) -> set[str]:
    return {
        text(each, "name")
        for each in items(definition, "spec", "versions")
        if part(each).get("served") is True
    }


def judge_ownership(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    """Webhook configurations of OSM, and labels that its reconciler goes by."""
    mine = Installation(former.mesh, former.namespace)
    for kind in _WEBHOOKS:
        for document in of_kind(documents, kind, "admissionregistration.k8s.io"):
            if _is_of(document, former):
                same = name(document) in (mine.mutating_webhook, mine.validating_webhook)
                yield Entry(
                    Severity.ACTION,
                    "webhook-configuration",
                    title(document),
                    "",
                    "it sends new pods and objects to OSM's control plane"
                    + ("; a mesh of the same name would need this name" if same else ""),
                    f"Delete it with OSM: kubectl delete {kind.lower()} {name(document)}",
                )
    held = [
        each
        for each in of_kind(documents, "CustomResourceDefinition", "apiextensions.k8s.io")
        if label(each, RECONCILE_LABEL)
    ]
    if held:
        yield Entry(
            Severity.ACTION,
            "reconcile-label",
            f"{len(held)} CustomResourceDefinitions",
            f"metadata.labels[{RECONCILE_LABEL}]",
            "OSM's bootstrap puts their specs back when it starts, and at once when it runs with "
            "--enable-reconciler",
            "When it was started anew after the new mesh was installed, run `osm install` again.",
        )


def _is_of(document: Document, former: Former) -> bool:
    clients = [part(each, "clientConfig", "service") for each in items(document, "webhooks")]
    ours = label(document, NAME_LABEL) == NAME and label(document, INSTANCE_LABEL) == former.mesh
    return ours or any(text(each, "namespace") == former.namespace for each in clients)
