"""What to add so that a call may leave the mesh."""

import re
from ipaddress import AddressValueError, IPv4Address

from osm.core.explain.objects import (
    Names,
    Object,
    account,
    group_reference,
    made_object,
    printed,
    route_group,
)
from osm.core.model.groups import POLICY
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.request import Request

TLS_PORT = 443
_LABEL = r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_CLUSTER = {"svc", "cluster", "local", "localhost"}


def may_be_beyond(model: Model, host: str) -> bool:
    """Whether a host is one that an Egress can name, and no mistyped service of the mesh."""
    if _is_address(host):
        return not IPv4Address(host).is_loopback
    last = host.rpartition(".")[2]
    namespaces = {name.service.namespace for name in model.services}
    namespaces |= {namespace for namespace, _ in model.workloads}
    return (
        len(host) <= 253
        and _HOST.fullmatch(host) is not None
        and not last.isdecimal()
        and last not in _CLUSTER
        and last not in namespaces
    )


def http_remedy(names: Names, source: Identity, host: str, port: int, request: Request) -> str:
    """Let exactly this request leave."""
    name = names.free(source.namespace, _wanted_name(source, host))
    group = route_group(source.namespace, name, request)
    spec = {"hosts": [host], "matches": [group_reference(name)]}
    return printed((group, _egress(name, source, port, "http", spec)))


def connection_remedy(
    names: Names, source: Identity, host: str, port: int
) -> tuple[str, tuple[str, ...]]:
    """Let connections leave: to an address, or with TLS to a name. What an application says without
    TLS names nobody, so that only its address could tell whom it calls.
    """
    name = names.free(source.namespace, _wanted_name(source, host))
    if _is_address(host):
        spec: Object = {"ipAddresses": [f"{host}/32"]}
        return printed([_egress(name, source, port, "tcp", spec)]), ()
    advice = () if port == TLS_PORT else (_only_tls(host, port),)
    return printed([_egress(name, source, port, "https", {"hosts": [host]})]), advice


def _only_tls(host: str, port: int) -> str:
    return (
        f"The Egress below is for TLS to {host}:{port}. Without TLS proxies see only the address: ask "
        f"again with that instead of the name, and you get one for TCP."
    )


def _egress(name: str, source: Identity, port: int, protocol: str, spec: Object) -> Object:
    whole = {
        "sources": [account(source)],
        "ports": [{"number": port, "protocol": protocol}],
        **spec,
    }
    return made_object(POLICY, "Egress", source.namespace, name, whole)


def _wanted_name(source: Identity, host: str) -> str:
    return f"{source.service_account}-to-{re.sub('[^a-z0-9.-]', '-', host)}"


def _is_address(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True
