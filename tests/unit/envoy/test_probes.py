"""What the bootstrap of an injected pod has for the kubelet, and Envoy takes all of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.envoy.readable import as_yaml
from tests.unit.envoy.static import CONTROL_PLANE_NAME, complaint_of, make_certificates

from osm.core.envoy.bootstrap import Bootstrap, build_bootstrap
from osm.core.envoy.probes import EVERY_ADDRESS, EVERY_IPV4, ProbeListeners
from osm.core.model.probe import HttpProbe, ProbeKind, Probes, TcpProbe
from osm.core.model.workload import PipeAddress

GOLDEN = Path(__file__).parent / "golden" / "probes.yaml"
PROBES = Probes(
    http=(
        HttpProbe(ProbeKind.LIVENESS, "web", 8080, "/alive"),
        HttpProbe(ProbeKind.READINESS, "web", 8080, "/ready?deep=1", timeout_s=3),
        HttpProbe(ProbeKind.READINESS, "safe", 8443, "/", tls=True),
    ),
    tcp=(TcpProbe(5432, period_s=20, timeout_s=2), TcpProbe(6379)),
)


def bootstrap(directory: Path, probes: ProbeListeners | None) -> Any:
    admin = PipeAddress(str(directory / "admin.sock"))
    control_plane = PipeAddress(str(directory / "ads.sock"))
    value = Bootstrap(None, control_plane, CONTROL_PLANE_NAME, admin, str(directory), probes=probes)
    return json.loads(build_bootstrap(value))


def test_golden_probes_of_a_pod(golden: Callable[[Path, str], None]) -> None:
    found = bootstrap(Path("/var/run/osm"), ProbeListeners(PROBES))
    resources = found["static_resources"]
    limits = found["layered_runtime"]["layers"][0]["static_layer"]
    tree = {
        "listeners": {each.pop("name"): each for each in resources["listeners"]},
        "clusters": {each.pop("name"): each for each in resources["clusters"][1:]},
        "limits": {name: value for name, value in limits.items() if "listener" in name},
    }
    golden(GOLDEN, as_yaml(tree))


@pytest.mark.parametrize("address", [EVERY_IPV4, EVERY_ADDRESS])
def test_envoy_takes_the_probes_of_a_pod(address: str, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    found = bootstrap(tmp_path, ProbeListeners(PROBES, address))
    assert {
        each["address"]["socket_address"].get("ipv4_compat", False)
        for each in found["static_resources"]["listeners"]
    } == {address == EVERY_ADDRESS}
    # Its name comes from arguments, which are not given here.
    found["node"] = {"id": "shop/web", "cluster": "shop"}
    (tmp_path / "envoy.json").write_text(json.dumps(found))
    assert complaint_of(tmp_path / "envoy.json") == ""


def test_a_pod_without_probes_is_asked_for_its_proxy_and_a_local_one_for_nothing() -> None:
    resources = bootstrap(Path("/var/run/osm"), ProbeListeners())["static_resources"]
    (listener,) = resources["listeners"]
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 15904}
    assert [each["name"] for each in resources["clusters"]] == ["osm-controller"]

    resources = bootstrap(Path("/var/run/osm"), None)["static_resources"]
    assert "listeners" not in resources
    assert [each["name"] for each in resources["clusters"]] == ["osm-controller"]


def test_probes_of_one_port_share_a_cluster_and_a_series() -> None:
    many = tuple(
        HttpProbe(kind, f"container-{number}", 8000 + number % 4, f"/{kind}/{number}")
        for kind in ProbeKind
        for number in range(100)
    )
    found = bootstrap(Path("/var/run/osm"), ProbeListeners(Probes(tuple(sorted(many)))))
    resources = found["static_resources"]
    clusters = resources["clusters"][1:]
    assert len(clusters) == 4 and {each["alt_stat_name"] for each in clusters} == {"probes"}
    assert {each["stat_prefix"] for each in resources["listeners"]} == {"probes"}
