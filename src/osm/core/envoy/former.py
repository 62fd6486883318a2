"""Certificates of OSM's proxies, as long as they are about: one DNS name, and no SPIFFE ID.

OSM v1 names an identity `<account>.<namespace>.<trust domain>`. Names that its root signed for others
have another number of labels before the trust domain: a proxy's bootstrap certificate four
(`<uuid>.sidecar.<account>.<namespace>`), its control plane one (`ads`), a Service of Kubernetes, whose
domain is usually spelt like the trust domain, three (`<service>.<namespace>.svc`). So exactly two count,
and an account with a dot in its name has no such name: OSM, which takes names apart at dots, gave its
proxies no certificates (`docs/decisions/0016-taking-over-from-osm.md`).
"""

from osm.core.envoy.matching import quote
from osm.core.model.identity import Identity

_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
"""Neither a wildcard's asterisk, nor the comma by which Envoy joins several names."""
_URI = "%DOWNSTREAM_PEER_URI_SAN%"
_URI_OR_NAME = (
    '%COALESCE({"operators":[{"command":"DOWNSTREAM_PEER_URI_SAN"},'
    '{"command":"DOWNSTREAM_PEER_DNS_SAN"}]})%'
)


def former_name(identity: Identity) -> str:
    """The name in certificates of OSM's proxies; empty when there can be none."""
    is_plain = "." not in identity.service_account and "." not in identity.namespace
    return identity.dns_name if is_plain else ""


def former_names(trust_domain: str) -> str:
    """A regex for the names of all identities of a trust domain."""
    return rf"{_LABEL}\.{_LABEL}\.{quote(trust_domain)}"


def told_caller(*, former_proxies: bool) -> str:
    """How Envoy's logs and answers name a caller of the mesh."""
    return _URI_OR_NAME if former_proxies else _URI
