"""How a proxy finds the control plane, and how it proves who it is: Envoy takes each way."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.envoy.static import CONTROL_PLANE_NAME, complaint_of, make_certificates

from osm.core.envoy.bootstrap import (
    CERTIFICATE_FILE,
    TOKEN_FILE,
    TRUST_FILE,
    Bootstrap,
    HostAddress,
    build_bootstrap,
    build_certificate_file,
    build_token_file,
    build_trust_file,
    build_volume_trust_file,
)
from osm.core.envoy.token import VOLUME_ROOTS, VOLUME_TOKEN
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.workload import Address, PipeAddress, SocketAddress

ADDRESSES: tuple[tuple[Address | HostAddress, str], ...] = (
    (PipeAddress("/run/ads.sock"), "STATIC"),
    (SocketAddress("10.96.0.7", 15128), "STATIC"),
    (SocketAddress("fd00::7", 15128), "STATIC"),
    (HostAddress("osm-controller.osm-system.svc", 15128), "LOGICAL_DNS"),
)


def bootstrap(directory: Path, address: Address | HostAddress, *, shows_token: bool) -> str:
    proxy = ProxyIdentity(Identity("cluster.local", "shop", "bookbuyer"), "buyer-0")
    admin = PipeAddress(str(directory / "admin.sock"))
    return build_bootstrap(
        Bootstrap(proxy, address, CONTROL_PLANE_NAME, admin, str(directory), shows_token)
    )


def cluster_of(text: str) -> Any:
    (cluster,) = json.loads(text)["static_resources"]["clusters"]
    return cluster


def filters_of(cluster: Any) -> list[Any]:
    (options,) = cluster["typed_extension_protocol_options"].values()
    found: list[Any] = options.get("http_filters", [])
    return found


def write_files(directory: Path, *, shows_token: bool) -> None:
    chain, key, bundle = make_certificates(directory)
    if shows_token:
        (directory / VOLUME_TOKEN).write_text("aaaa.bbbb.cccc")
        (directory / VOLUME_ROOTS).write_bytes(bundle)
        (directory / TOKEN_FILE).write_text(build_token_file(str(directory)))
        trust = build_volume_trust_file(str(directory), CONTROL_PLANE_NAME)
    else:
        (directory / CERTIFICATE_FILE).write_text(build_certificate_file(chain, key))
        trust = build_trust_file(bundle, CONTROL_PLANE_NAME)
    (directory / TRUST_FILE).write_text(trust)


@pytest.mark.parametrize("shows_token", [False, True])
def test_envoy_takes_each_address_with_each_proof(tmp_path: Path, *, shows_token: bool) -> None:
    write_files(tmp_path, shows_token=shows_token)
    for address, kind in ADDRESSES:
        text = bootstrap(tmp_path, address, shows_token=shows_token)
        assert cluster_of(text)["type"] == kind
        (tmp_path / "envoy.json").write_text(text)
        assert complaint_of(tmp_path / "envoy.json") == ""


def test_a_proxy_shows_a_certificate_or_a_token_and_never_both() -> None:
    address = SocketAddress("10.96.0.7", 15128)
    with_certificate = bootstrap(Path("/var/run/osm"), address, shows_token=False)
    assert filters_of(cluster_of(with_certificate)) == []
    assert CERTIFICATE_FILE in with_certificate and TOKEN_FILE not in with_certificate

    with_token = bootstrap(Path("/var/run/osm"), address, shows_token=True)
    injector, codec = filters_of(cluster_of(with_token))
    assert CERTIFICATE_FILE not in with_token
    # Without its token a request must not leave.
    assert "allow_request_without_credential" not in injector["typed_config"]
    generic = injector["typed_config"]["credential"]["typed_config"]["value"]
    assert (generic["header"], generic["header_value_prefix"]) == ("authorization", "Bearer ")
    assert codec["name"] == "envoy.filters.http.upstream_codec"
    watched = generic["credential"]["sds_config"]["path_config_source"]["watched_directory"]
    assert watched == {"path": "/var/run/osm"}


def test_what_is_in_a_pod_names_files_and_holds_no_secret() -> None:
    (token,) = json.loads(build_token_file("/var/run/osm"))["resources"]
    assert token["generic_secret"] == {"secret": {"filename": "/var/run/osm/token"}}
    (trust,) = json.loads(build_volume_trust_file("/var/run/osm", "ads.test"))["resources"]
    context = trust["validation_context"]
    assert context["trusted_ca"] == {"filename": "/var/run/osm/roots.pem"}
    assert context["match_typed_subject_alt_names"] == [
        {"san_type": "DNS", "matcher": {"exact": "ads.test"}}
    ]
