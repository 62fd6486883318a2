"""Which names may stand in a certificate (SPIFFE-ID specification §2.1 and §2.2)."""

import re

from osm.core.model.identity import Identity, ProxyIdentity

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,253}")
_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_URI_LIMIT = 2048


def is_well_formed(name: Identity | ProxyIdentity | str) -> bool:
    """Tell whether an identity, a proxy or a DNS name can be certified.

    The model's parser splits at slashes and looks no further; here every character is looked at, so
    that no name can carry a query, an escape, or somebody else's name.
    """
    match name:
        case Identity(trust_domain, namespace, service_account):
            return _fits(trust_domain, namespace, service_account)
        case ProxyIdentity(Identity(trust_domain, namespace, service_account), workload):
            return _fits(trust_domain, namespace, service_account, workload)
        case str():
            return len(name) <= 253 and _DNS_NAME.fullmatch(name) is not None


def parse_spiffe_id(uri: str) -> Identity | ProxyIdentity | None:
    """The workload or proxy that a SPIFFE ID names, or None when it is not exactly in our form."""
    if len(uri) > _URI_LIMIT:
        return None
    who = Identity.from_spiffe_id(uri) or ProxyIdentity.from_spiffe_id(uri)
    return who if who is not None and is_well_formed(who) else None


def _fits(trust_domain: str, *segments: str) -> bool:
    return _TRUST_DOMAIN.fullmatch(trust_domain) is not None and all(
        _SEGMENT.fullmatch(segment) and segment not in (".", "..") for segment in segments
    )
