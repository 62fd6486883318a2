"""MeshRootCertificate as people write it: who signs the certificates of a mesh.

A line `field: …` in a docstring is what `kubectl explain` shows of it (`crd_schema`).
"""

from typing import Annotated, ClassVar

from osm.core.api.hosts import Host
from osm.core.api.limits import ShortText
from osm.core.api.metadata import MeshStruct, Metadata
from osm.core.api.scalars import DnsLabel, DnsSubdomain, PortNumber, checked, one_of


class SecretReference(MeshStruct, frozen=True):
    """A Secret.

    name: Name of the Secret.
    namespace: Namespace of the Secret.
    """

    name: DnsSubdomain
    namespace: DnsLabel


class SecretKeyReference(MeshStruct, frozen=True):
    """One entry of a Secret.

    name: Name of the Secret.
    key: Name of the entry.
    namespace: Namespace of the Secret.
    """

    name: DnsSubdomain
    key: ShortText
    namespace: DnsLabel


class CertManagerProvider(MeshStruct, frozen=True):
    """An issuer of cert-manager.

    issuer_name: Name of the issuer.
    issuer_kind: `Issuer` or `ClusterIssuer`.
    issuer_group: API group of the issuer, for instance `cert-manager.io`.
    """

    issuer_name: DnsSubdomain
    issuer_kind: Annotated[str, checked(one_of("ClusterIssuer", "Issuer"))]
    issuer_group: DnsSubdomain


class VaultToken(MeshStruct, frozen=True):
    """Where the token is.

    secret_key_ref: Entry of a Secret that holds it.
    """

    secret_key_ref: SecretKeyReference


class VaultProvider(MeshStruct, frozen=True):
    """A Vault server.

    host: Name or address of the server.
    port: Its port.
    role: Vault's role that certificates are issued with.
    protocol: `http` or `https`.
    token: What the mesh identifies itself with.
    """

    host: Host
    port: PortNumber
    role: ShortText
    protocol: Annotated[str, checked(one_of("http", "https"))]
    token: VaultToken


class TresorCa(MeshStruct, frozen=True):
    """The mesh's own certificate authority.

    secret_ref: Secret that holds it (`ca.crt`, `private.key`). It is made if there is none.
    """

    secret_ref: SecretReference


class TresorProvider(MeshStruct, frozen=True):
    """The issuer that comes with the mesh.

    ca: Its root certificate.
    """

    ca: TresorCa


class Provider(MeshStruct, frozen=True):
    """Who signs.

    cert_manager: An issuer of cert-manager.
    vault: A Vault server.
    tresor: The issuer that comes with the mesh.
    """

    exactly_one_of: ClassVar[tuple[str, ...]] = ("cert_manager", "vault", "tresor")

    cert_manager: CertManagerProvider | None = None
    vault: VaultProvider | None = None
    tresor: TresorProvider | None = None


class MeshRootCertificateSpec(MeshStruct, frozen=True):
    """A root of trust, and what it is used for. Only the role may change later.

    trust_domain: Domain of the names in certificates.
    role: `active` signs, `passive` is trusted only, `inactive` is neither. OSM v1.2 had no role,
        which is `active`.
    spiffe_enabled: Whether certificates show a SPIFFE identity. Ours always do.
    provider: Who signs.
    """

    provider: Provider
    trust_domain: Host = "cluster.local"
    role: Annotated[str, checked(one_of("passive", "active", "inactive"))] = "active"
    spiffe_enabled: bool = False


class MeshRootCertificate(MeshStruct, frozen=True):
    """A root of trust of the mesh.

    spec: What this object says.
    """

    metadata: Metadata
    spec: MeshRootCertificateSpec
