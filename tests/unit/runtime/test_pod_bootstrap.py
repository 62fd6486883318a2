"""The arguments of an injected pod, and what its volume brings: a real Envoy takes them together."""

import re
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.envoy.static import make_certificates
from tests.unit.inject.pods import CLUSTER, answer, container, pod

from osm.core.envoy.probes import EVERY_ADDRESS, EVERY_IPV4
from osm.core.inject.injection import Injected
from osm.core.inject.sidecar import DIRECTORY, TOKEN_FILE
from osm.core.install.names import Installation
from osm.local.proxy import envoy_binary
from osm.runtime.pod_bootstrap import pod_bootstrap, proxy_files

INSTALLATION = Installation("bookstore", "mesh-system")
DOMAIN = "cluster.local"
KUBELET = {
    "POD_NAME": "shop-0",
    "POD_NAMESPACE": "shop",
    "SERVICE_ACCOUNT": "shop",
}
HTTP: Mapping[str, object] = {"httpGet": {"path": "/$(POD_NAME)?a=$$(POD_NAME)$$", "port": 8080}}
TLS: Mapping[str, object] = {"httpGet": {"port": 8443, "scheme": "HTTPS"}}


def arguments(address: str = EVERY_IPV4) -> list[str]:
    """Of the proxy of a pod with probes of all kinds, as the kubelet would start it."""
    document = pod(
        container("web", livenessProbe=HTTP, readinessProbe=TLS),
        container("db", startupProbe={"tcpSocket": {"port": 5432}}),
    )
    start = partial(pod_bootstrap, INSTALLATION, DOMAIN, address=address)
    found = answer(document, start=start)
    assert isinstance(found, Injected)
    after: Any = found.pod
    (proxy,) = (each for each in after["spec"]["initContainers"] if each["name"] == "envoy")
    return [*proxy["command"], *(_expanded(text) for text in proxy["args"])]


def _expanded(text: str) -> str:
    """Variables as Kubernetes puts them in: `$(NAME)`, and `$$` for a `$`."""
    return re.sub(
        r"\$\$|\$\(([A-Za-z_]+)\)", lambda found: KUBELET[found[1]] if found[1] else "$", text
    )


@pytest.mark.parametrize("address", [EVERY_IPV4, EVERY_ADDRESS])
def test_envoy_takes_the_arguments_of_an_injected_pod_with_its_volume(
    address: str, tmp_path: Path
) -> None:
    _, _, roots = make_certificates(tmp_path)
    volume = tmp_path / "volume"
    volume.mkdir()
    files = {**proxy_files(roots.decode(), DOMAIN), TOKEN_FILE: "aaaa.bbbb.cccc"}
    for name, text in files.items():
        (volume / name).write_text(text.replace(DIRECTORY, str(volume)))
    _, *given = (text.replace(DIRECTORY, str(volume)) for text in arguments(address))
    result = subprocess.run(
        [envoy_binary(), *given, "--mode", "validate"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_what_is_written_in_a_probe_arrives_as_written() -> None:
    text = arguments()[-1]
    assert '"prefix_rewrite":"/$(POD_NAME)?a=$$(POD_NAME)$$"' in text


def test_proxies_find_the_control_plane_by_its_service_and_know_it_by_its_name() -> None:
    text = arguments()[-1]
    assert '"address":"osm-controller.mesh-system.svc","port_value":15128' in text
    assert '"sni":"ads.cluster.local"' in text
    assert (
        '"admin":{"address":{"socket_address":{"address":"127.0.0.1","port_value":15000}}}' in text
    )
    assert "node" not in text.replace("node_on_first", ""), "its arguments say who it is"
    assert CLUSTER.native


def test_what_the_config_map_holds_is_no_secret() -> None:
    files = proxy_files("-----BEGIN CERTIFICATE-----\n", DOMAIN)
    assert set(files) == {
        "roots.pem",
        "token_sds_secret.json",
        "validation_context_sds_secret.json",
    }
    assert files["roots.pem"] == "-----BEGIN CERTIFICATE-----\n"
    assert f"{DIRECTORY}/token" in files["token_sds_secret.json"]
    assert f"{DIRECTORY}/roots.pem" in files["validation_context_sds_secret.json"]
    assert "ads.cluster.local" in files["validation_context_sds_secret.json"]
