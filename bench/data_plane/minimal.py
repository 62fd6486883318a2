"""The pair to beat: what a person would write for one service behind mutual TLS, and tune.

No access rules, no metrics of requests but Envoy's few counters, no logs, no request identifiers,
nothing that arrives later. The way is ours: TCP from the client, a unix socket between the proxies,
TLS 1.3 with P-256 certificates, HTTP/2 inside, HTTP/1.1 to the application.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from osm.core.model.identity import Identity
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock

Json = dict[str, Any]

HTTP_MANAGER = "envoy.filters.network.http_connection_manager"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_TRUST_DOMAIN = "cluster.local"
_COUNTERS = ("upstream_rq_total", "upstream_cx_total", "downstream_rq_total", "downstream_cx_total")


class Sides(msgspec.Struct, frozen=True):
    """The bootstraps of a pair: the proxy of the one who asks, and of the one who answers."""

    client: Json
    server: Json


class Plan(msgspec.Struct, frozen=True):
    """Where a pair listens and whom it serves. `directory` gets its sockets."""

    directory: Path
    listen: tuple[str, int]
    application: tuple[str, int]
    authority: str


class Certificates(msgspec.Struct, frozen=True):
    """PEM files of both sides, each with its key, and the root."""

    client: tuple[Path, Path]
    server: tuple[Path, Path]
    root: Path


async def make_certificates(directory: Path) -> Certificates:
    """Write certificates of the kind that the mesh gives its workloads."""
    tresor = Tresor.open(
        directory / "root",
        trust_domain=_TRUST_DOMAIN,
        leaf_validity=timedelta(hours=24),
        clock=SystemClock(),
    )

    async def leaf(name: str) -> tuple[Path, Path]:
        pair = await tresor.issue(Identity(_TRUST_DOMAIN, name, name))
        files = directory / f"{name}.crt", directory / f"{name}.key"
        files[0].write_bytes(pair.certificate)
        files[1].write_bytes(pair.private_key)
        return files

    root = directory / "root.crt"
    root.write_bytes(tresor.trust_bundle)
    return Certificates(await leaf("buyer"), await leaf("shop"), root)


def minimal_pair(plan: Plan, certificates: Certificates) -> Sides:
    """Build both bootstraps."""
    between: Json = {"pipe": {"path": str(plan.directory / "between.sock")}}
    return Sides(
        client=_bootstrap(
            listener=_listener(_socket(plan.listen), "out", plan.authority),
            cluster=_cluster(between)
            | {"transport_socket": _tls("Upstream", certificates.client, certificates.root, "shop")}
            | _http_options({"http2_protocol_options": {}}),
        ),
        server=_bootstrap(
            listener=_listener(
                between,
                "in",
                "*",
                _tls("Downstream", certificates.server, certificates.root, "buyer"),
            ),
            cluster=_cluster(_socket(plan.application))
            | _http_options({"http_protocol_options": {}}),
        ),
    )


def _bootstrap(*, listener: Json, cluster: Json) -> Json:
    counters = [{"suffix": name} for name in _COUNTERS]
    return {
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": counters}}},
        "stats_flush_interval": "60s",
    }


def _listener(address: Json, name: str, authority: str, tls: Json | None = None) -> Json:
    manager = _typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        generate_request_id=False,
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                "typed_config": _typed(
                    "filters.http.router.v3.Router",
                    dynamic_stats=False,
                    suppress_envoy_headers=True,
                ),
            }
        ],
        route_config={
            "name": name,
            "virtual_hosts": [
                {
                    "name": name,
                    "domains": [authority],
                    "routes": [
                        {"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}}
                    ],
                }
            ],
        },
    )
    chain: Json = {"filters": [{"name": HTTP_MANAGER, "typed_config": manager}]}
    if tls is not None:
        chain["transport_socket"] = tls
    return {"name": name, "address": address, "filter_chains": [chain]}


def _cluster(address: Json) -> Json:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return {
        "name": "next",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "next", "endpoints": [endpoint]},
    }


def _http_options(explicit: Json) -> Json:
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = _typed("upstreams.http.v3.HttpProtocolOptions", explicit_http_config=explicit)
    return {"typed_extension_protocol_options": {name: options}}


def _tls(side: str, own: tuple[Path, Path], root: Path, peer: str) -> Json:
    accepted = f"spiffe://{_TRUST_DOMAIN}/ns/{peer}/sa/{peer}"
    context = _typed(
        f"transport_sockets.tls.v3.{side}TlsContext",
        common_tls_context={
            "alpn_protocols": ["h2"],
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(own[0])},
                    "private_key": {"filename": str(own[1])},
                }
            ],
            "validation_context": {
                "trusted_ca": {"filename": str(root)},
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"exact": accepted}}
                ],
            },
        },
    )
    if side == "Downstream":
        context["require_client_certificate"] = True
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _socket(address: tuple[str, int]) -> Json:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


def _typed(name: str, **fields: object) -> Json:
    return {"@type": f"{_EXTENSIONS}.{name}", **fields}
