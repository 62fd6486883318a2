"""Which names pods learn, and which ports of this machine's loopback are open to them."""

from collections.abc import Sequence

import pytest

from osm.core.api.kubernetes import Pod, PodSpec
from osm.core.api.metadata import Metadata
from osm.core.model.way_out import HOST_ADDRESS, HOST_NAME
from osm.runtime import way_out
from osm.runtime.way_out import WayOut
from osm.testing.builders import Part, egress, manifests, mesh_config, model, namespace, pod

CLIENT = Pod(Metadata("client", "default"), PodSpec(()))
KNOWN = {"public.test": ["198.51.100.7"], "rebound.test": ["127.0.0.1", "169.254.169.254"]}
EVERYTHING = mesh_config(traffic={"enableEgress": True})
ALIAS = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "db", "namespace": "default"},
    "spec": {"type": "ExternalName", "externalName": "Public.Test"},
}
HOST_PORTS = ["http:8080", "tcp:5432"]


async def _look_up(name: str) -> Sequence[str]:
    return KNOWN.get(name, [])


@pytest.mark.parametrize(
    ("objects", "name", "expected"),
    [
        ([], "public.test", []),
        ([EVERYTHING], "public.test", ["198.51.100.7"]),
        ([EVERYTHING], "Public.Test.", ["198.51.100.7"]),
        ([EVERYTHING], "rebound.test", []),
        ([EVERYTHING], "unknown.test", []),
        ([EVERYTHING], HOST_NAME, [HOST_ADDRESS]),
        ([egress("e", ["client"], ["http:80"], "public.test")], "public.test", ["198.51.100.7"]),
        ([egress("e", ["client"], ["http:80"], "other.test")], "public.test", []),
        ([egress("e", ["other"], ["http:80"], "public.test")], "public.test", []),
        ([egress("e", ["client"], ["https:443"], "*.test")], "public.test", ["198.51.100.7"]),
        ([egress("e", ["client"], ["https:443"])], "public.test", ["198.51.100.7"]),
        ([egress("e", ["client"], ["tcp:25"])], "public.test", ["198.51.100.7"]),
        ([egress("e", ["client"], HOST_PORTS, HOST_NAME)], HOST_NAME, [HOST_ADDRESS]),
        ([egress("e", ["client"], ["http:80"], "public.test")], HOST_NAME, []),
        ([ALIAS, egress("e", ["client"], ["http:80"], "public.test")], "db", ["198.51.100.7"]),
        (
            [ALIAS, egress("e", ["client"], ["http:80"], "public.test")],
            "db.default.svc",
            KNOWN["public.test"],
        ),
        ([ALIAS, egress("e", ["client"], ["http:80"], "db")], "db", []),
        ([ALIAS], "db", []),
    ],
)
async def test_a_pod_learns_the_names_by_which_it_may_leave(
    monkeypatch: pytest.MonkeyPatch, objects: list[Part], name: str, expected: list[str]
) -> None:
    monkeypatch.setattr(way_out, "look_up", _look_up)
    found = model(pod("client"), *objects)
    assert list(await WayOut(lambda: found).look_up(CLIENT, name)) == expected


async def test_a_pod_that_is_not_in_the_mesh_learns_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(way_out, "look_up", _look_up)
    found = model(pod("client"), namespace("default", ignore="true"), EVERYTHING)
    assert list(await WayOut(lambda: found).look_up(CLIENT, "public.test")) == []


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([], set()),
        ([EVERYTHING], set()),
        ([egress("e", ["client"], HOST_PORTS, "public.test")], set()),
        ([egress("e", ["client"], HOST_PORTS, "public.test", HOST_NAME)], {8080, 5432}),
        ([egress("e", ["client"], ["https:8443"], HOST_NAME.upper())], {8443}),
        ([mesh_config(observability={"tracing": {"address": HOST_NAME, "port": 9411}})], {9411}),
        ([mesh_config(observability={"tracing": {"address": "other.test", "port": 9411}})], set()),
    ],
)
def test_a_port_of_this_machine_is_open_when_an_object_names_both(
    objects: list[Part], expected: set[int]
) -> None:
    found = WayOut(model)
    found.take(manifests(*objects))
    assert found.host_ports == expected
