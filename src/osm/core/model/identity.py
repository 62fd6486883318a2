"""Identities: who a workload is, as structure.

SPIFFE IDs have the form `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` (SPIFFE-ID
specification §2; the path layout is the one that Istio and others use for Kubernetes).
"""

from typing import Self

import msgspec


def token_audience(mesh: str) -> str:
    """For whom the ServiceAccount tokens are by which proxies on Kubernetes prove who they are: a token
    for another server, or of another mesh, opens nothing here, and ours opens nothing there.
    """
    return f"openservicemesh.io/{mesh}"


class Identity(msgspec.Struct, frozen=True, order=True, gc=False):
    """Trust domain, namespace and service account. Compared as structure, never as a joined string."""

    trust_domain: str
    namespace: str
    service_account: str

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @property
    def dns_name(self) -> str:
        """OSM's principal, `<sa>.<ns>.<trust domain>`. For people, gateways, and OSM's proxies."""
        return f"{self.service_account}.{self.namespace}.{self.trust_domain}"

    @property
    def short(self) -> str:
        """`<namespace>/<service account>`, for messages."""
        return f"{self.namespace}/{self.service_account}"

    @classmethod
    def from_spiffe_id(cls, uri: str) -> Self | None:
        """The identity that a SPIFFE ID names, or None when it has another form."""
        match uri.removeprefix("spiffe://").split("/"):
            case [trust_domain, "ns", namespace, "sa", account] if (
                uri.startswith("spiffe://") and trust_domain and namespace and account
            ):
                return cls(trust_domain, namespace, account)
        return None

    @classmethod
    def from_dns_name(cls, name: str, trust_domain: str) -> Self | None:
        """The identity that OSM's principal names, or None when it has another form. An account with a
        dot in its name is not read: it could be taken for another one's namespace.
        """
        match name.removesuffix(f".{trust_domain}").split("."):
            case [account, namespace] if (
                name.endswith(f".{trust_domain}") and account and namespace
            ):
                return cls(trust_domain, namespace, account)
        return None


class ProxyIdentity(msgspec.Struct, frozen=True, order=True, gc=False):
    """Which proxy speaks to the control plane: its workload's name and identity.

    Carried by bootstrap certificates only, as `spiffe://<trust domain>/proxy/<ns>/<sa>/<workload>`:
    a form that no access rule can name, so that a bootstrap certificate is worth nothing in the mesh.
    """

    identity: Identity
    workload: str

    @property
    def spiffe_id(self) -> str:
        who = self.identity
        return f"spiffe://{who.trust_domain}/proxy/{who.namespace}/{who.service_account}/{self.workload}"

    @property
    def name(self) -> str:
        """`<namespace>/<workload>`: the proxy's name everywhere that people see it."""
        return f"{self.identity.namespace}/{self.workload}"

    @classmethod
    def from_spiffe_id(cls, uri: str) -> Self | None:
        """The proxy that a bootstrap certificate names, or None when the URI has another form."""
        match uri.removeprefix("spiffe://").split("/"):
            case [trust_domain, "proxy", namespace, account, workload] if (
                uri.startswith("spiffe://") and trust_domain and namespace and account and workload
            ):
                return cls(Identity(trust_domain, namespace, account), workload)
        return None
