"""What an upgrade leaves over, and what an uninstall removes: exactly what an installation made.

An object is an installation's when it has its labels **and** a name that an installation can give, so
that no object of somebody who copied labels is ever removed. Nothing needs to be remembered for that, and
it holds for what `helm install` made as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from osm.core.api.registry import Document
from osm.core.install.labels import selecting
from osm.core.install.manifests import TEMPLATES, scope_of
from osm.core.install.names import PROXY_FILES, Installation
from osm.core.install.record import RECORD
from osm.core.install.template import Template, fill
from osm.core.install.values import Values

HELM_RELEASE = "meta.helm.sh/release-name"


class Searched(msgspec.Struct, frozen=True):
    """Objects to list, by `selector`: in the control plane's namespace, or everywhere."""

    api_version: str
    kind: str
    everywhere: bool = False


SEARCHED: tuple[Searched, ...] = (
    # First, so that nobody is locked out by a control plane that is going.
    Searched("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", everywhere=True),
    Searched("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", everywhere=True),
    Searched("autoscaling/v2", "HorizontalPodAutoscaler"),
    Searched("policy/v1", "PodDisruptionBudget"),
    Searched("apps/v1", "Deployment"),
    Searched("v1", "Service"),
    Searched("config.openservicemesh.io/v1alpha2", "MeshConfig"),
    # What proxies of a namespace read; the control plane made it.
    Searched("v1", "ConfigMap", everywhere=True),
    Searched("coordination.k8s.io/v1", "Lease"),
    Searched("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", everywhere=True),
    Searched("rbac.authorization.k8s.io/v1", "ClusterRole", everywhere=True),
    Searched("rbac.authorization.k8s.io/v1", "RoleBinding"),
    Searched("rbac.authorization.k8s.io/v1", "Role"),
    Searched("v1", "ServiceAccount"),
)
"""Where to look for an installation, in the order of removal."""


def selector(installation: Installation) -> str:
    """The label selector of everything that an installation, or its control plane, made."""
    return ",".join(f"{key}={value}" for key, value in selecting(installation.mesh).items())


def installed(installation: Installation, found: Iterable[Document]) -> tuple[Document, ...]:
    """Of what was found in `SEARCHED`, what the installation made, in the order of removal."""
    names = frozenset(_possible(installation))
    return _ordered(each for each in found if _is_of(installation, each) and _place(each) in names)


def to_prune(
    installation: Installation, wanted: Sequence[Document], found: Iterable[Document]
) -> tuple[Document, ...]:
    """What an upgrade to `wanted` has to delete: what an installation made, and makes no more.

    Not MeshConfig and not the record, which are people's and the verbs'.
    """
    stay = {_place(document) for document in wanted}
    return tuple(
        each
        for each in installed(installation, found)
        if _place(each) not in stay and each["kind"] not in ("MeshConfig", "ConfigMap")
    )


def removals(installation: Installation, found: Iterable[Document]) -> tuple[Document, ...]:
    """What an uninstall deletes, in this order: what install made, and what the control plane made
    besides. The Secret with the root certificate stays, and so do definitions: they are the cluster's.
    """
    everything = list(found)
    mine = [each for each in everything if _is_of(installation, each)]
    ours = (each for each in mine if _is_made_by_controller(installation, each))
    return _ordered([*installed(installation, everything), *ours])


def helm_release(found: Iterable[Document]) -> str | None:
    """The Helm release that objects belong to. Its Secrets (`owner=helm,name=RELEASE`) go with them."""
    for each in found:
        annotations = _metadata(each).get("annotations")
        if isinstance(annotations, Mapping) and annotations.get(HELM_RELEASE):
            return str(annotations[HELM_RELEASE])
    return None


_Place = tuple[str, str, str]
"""Kind, namespace and name."""


def _possible(installation: Installation) -> Iterator[_Place]:
    """All that an installation can be made of, whatever the values are."""
    scope = scope_of(installation, Values(), "")
    for template in TEMPLATES:
        document = fill(Template(template.name, template.node), scope)
        assert document is not None
        yield _place(document)
    yield "ConfigMap", installation.namespace, RECORD


def _is_of(installation: Installation, document: Document) -> bool:
    labels = _metadata(document).get("labels")
    return isinstance(labels, Mapping) and all(
        labels.get(key) == value for key, value in selecting(installation.mesh).items()
    )


def _is_made_by_controller(installation: Installation, document: Document) -> bool:
    place = kind, _, name = _place(document)
    own = (
        ("Lease", installation.namespace, installation.lease),
        ("ConfigMap", installation.namespace, installation.refusals),
    )
    return place in own or (kind, name) == ("ConfigMap", PROXY_FILES)


def _ordered(documents: Iterable[Document]) -> tuple[Document, ...]:
    ranks = {searched.kind: rank for rank, searched in enumerate(SEARCHED)}
    return tuple(sorted(documents, key=lambda each: (ranks[str(each["kind"])], _place(each))))


def _place(document: Document) -> _Place:
    metadata = _metadata(document)
    return str(document["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])


def _metadata(document: Document) -> Mapping[str, object]:
    metadata = document["metadata"]
    assert isinstance(metadata, Mapping)
    return metadata
