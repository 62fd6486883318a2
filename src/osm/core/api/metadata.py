"""What every object has in common."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from osm.core.api.scalars import check_annotations, check_labels, checked


class KubernetesStruct(
    msgspec.Struct, frozen=True, gc=False, rename="camel", repr_omit_defaults=True
):
    """The part of a Kubernetes type that a mesh reads. Other fields are passed over."""

    unknown_fields: ClassVar[str] = "ignore"


class MeshStruct(msgspec.Struct, frozen=True, gc=False, rename="camel", repr_omit_defaults=True):
    """A type of ours, or of SMI. An unknown field is reported: mostly it is a misspelling."""

    unknown_fields: ClassVar[str] = "warn"


class ConditionStruct(
    msgspec.Struct, frozen=True, gc=False, rename="camel", repr_omit_defaults=True
):
    """Conditions of access. An unknown field is refused: to pass over it would widen access."""

    unknown_fields: ClassVar[str] = "refuse"


class OwnerReference(KubernetesStruct, frozen=True):
    """The object that this one belongs to."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Metadata(KubernetesStruct, frozen=True):
    """Name, namespace, labels and what an API server adds."""

    name: str = ""
    namespace: str = ""
    labels: Annotated[Mapping[str, str], checked(check_labels)] = {}
    annotations: Annotated[Mapping[str, str], checked(check_annotations)] = {}
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    generation: int = 0
    resource_version: str = ""
    uid: str = ""
    owner_references: tuple[OwnerReference, ...] = ()


class Opaque(KubernetesStruct, frozen=True):
    """An object that the mesh stores and shows, and does not act on (yet)."""

    api_version: str
    kind: str
    metadata: Metadata
