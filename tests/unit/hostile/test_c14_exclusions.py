"""C14: lists that lead traffic around the proxy, as annotations of pods and of what makes pods.

MeshConfig's lists are in `tests/unit/api/test_mesh_config.py`. Nothing of either ever becomes part of
a command line: redirection is made of messages (`tests/unit/local/test_supervision.py`).
"""

from collections.abc import Mapping

import pytest

from osm.core.api.decode import Decoded, decode

PORTS = ("outbound-port-exclusion-list", "inbound-port-exclusion-list")
EXCLUDED = "outbound-ip-range-exclusion-list"
INCLUDED = "outbound-ip-range-inclusion-list"
RANGES = (EXCLUDED, INCLUDED)
WRONG_PORTS = (
    "0", "70000", "65536", "-1", "+80", "80;reboot", "80 -j ACCEPT", "$(id)", "`id`", "80\n81", "80,,81",
    "80:90", "80-90", "http", "1e3", "0x50", "8_0", "٣", "80,", "\x00", "9" * 5000, "80\t", "'80'",
    ",".join(["80"] * 10_000),
)  # fmt: skip
WRONG_RANGES = (
    "10.0.0.1", "10.0.0.0/33", "10.0.0/8", "::/0", "fd00::/8", "::ffff:10.0.0.0/104", "10.0.0.0/8;reboot",
    "10.0.0.0/8 -j ACCEPT", "$(id)", "10.0.0.0/8\n0.0.0.0/0", "10.0.0.0/255.0.0.0x", "localhost/8", "/8",
    "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8,,", "0x0a000000/8", "x" * 5000,
    ",".join(["10.0.0.0/8"] * 10_000),
)  # fmt: skip
EVERYTHING = ("0.0.0.0/0", "10.0.0.0/8,0.0.0.0/0", "10.1.2.3/0", "128.0.0.0/0", "0.0.0.0/00")
ROWS = [
    *((name, value) for name in PORTS for value in WRONG_PORTS),
    *((name, value) for name in RANGES for value in WRONG_RANGES),
    *((EXCLUDED, value) for value in EVERYTHING),
]
CODES = {"OSM119", "OSM130", "OSM135", "OSM148"}


def pod_with(annotations: Mapping[str, str]) -> Decoded:
    metadata = {"name": "p", "annotations": dict(annotations)}
    spec = {"containers": [{"name": "c"}]}
    return decode({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def deployment_with(annotations: Mapping[str, str]) -> Decoded:
    template = {
        "metadata": {"labels": {"app": "p"}, "annotations": dict(annotations)},
        "spec": {"containers": [{"name": "c"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "p"}}, "template": template}
    metadata = {"name": "p"}
    return decode(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    )


def annotation(name: str, value: str) -> dict[str, str]:
    return {f"openservicemesh.io/{name}": value}


@pytest.mark.parametrize(("name", "value"), ROWS, ids=range(len(ROWS)))
def test_what_is_no_list_is_refused_where_it_stands(name: str, value: str) -> None:
    for decoded in (
        pod_with(annotation(name, value)),
        deployment_with(annotation(name, value)),
    ):
        assert decoded.manifest is None
        (finding,) = decoded.findings
        assert finding.code in CODES
        assert finding.origin is not None and name in finding.origin.field
        assert len(finding.message) < 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in PORTS for value in ("", "80", "6379,5432", "1, 65535")),
        *(
            (name, value)
            for name in RANGES
            for value in ("", "10.0.0.0/8", "10.0.0.1/32, 10.1.0.0/16")
        ),
        (INCLUDED, "0.0.0.0/0"),
        (PORTS[0], ",".join(map(str, range(1, 1001)))),
    ],
)
def test_lists_are_taken(name: str, value: str) -> None:
    assert pod_with(annotation(name, value)).manifest is not None
    assert deployment_with(annotation(name, value)).manifest is not None
