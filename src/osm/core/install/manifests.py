"""All objects of an installation."""

from osm.core.api.crd import custom_resource_definitions
from osm.core.api.registry import Document
from osm.core.install.deployment import DEPLOYMENT, SCALING
from osm.core.install.mesh_config import CONFIGURATION
from osm.core.install.names import Installation
from osm.core.install.rbac import RBAC
from osm.core.install.services import SERVICES
from osm.core.install.template import NAMESPACE, Scope, Template, fill
from osm.core.install.values import Values
from osm.core.install.webhooks import MUTATING, VALIDATING

TEMPLATES: tuple[Template, ...] = (
    *RBAC,
    CONFIGURATION,
    *SERVICES,
    DEPLOYMENT,
    *SCALING,
    # Last: from here on the API server asks the control plane.
    MUTATING,
    VALIDATING,
)
"""In the order in which they are applied."""
_NAMESPACE = Template(
    "namespace",
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"app.kubernetes.io/name": "openservicemesh.io"}},
    },
)


def manifests(installation: Installation, values: Values, version: str) -> tuple[Document, ...]:
    """Everything but the namespace and the definitions, in the order in which it is applied.

    `installation` wins over `osm.meshName` and `osm.osmNamespace`; `version` is that of `osm`, and of
    the images unless the values have a tag. MeshConfig (`is_kept`) is made once and then left alone.
    """
    scope = scope_of(installation, values, version)
    filled = (fill(template, scope) for template in TEMPLATES)
    return tuple(document for document in filled if document is not None)


def crds() -> tuple[Document, ...]:
    """The CustomResourceDefinitions. They are the cluster's, and no mesh's."""
    return custom_resource_definitions()


def namespace(installation: Installation) -> Document:
    """The namespace of the control plane, for when there is none."""
    document = fill(_NAMESPACE, scope_of(installation, Values(), ""))
    assert document is not None
    return document


def is_kept(document: Document) -> bool:
    """Whether an object is people's from the moment that it is there: MeshConfig."""
    return document.get("kind") == "MeshConfig"


def scope_of(installation: Installation, values: Values, version: str) -> Scope:
    """What templates are filled from."""
    given = {"mesh": installation.mesh, "namespace": installation.namespace, "version": version}
    return Scope(values.tree(), given)
