"""What a proxy runs against what it should: read as Envoy tells it, compared as it is meant."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from osm.cli.difference import Comparison, compare
from osm.cli.running import read_running
from osm.errors import OsmError
from osm.ports import ExpectedResource
from osm.testing.bookstore_proxies import expected_resources
from osm.testing.proxy_dump import config_dump, runtime

EXPECTED = expected_resources("bookbuyer")
NAMES = {each.type: each.name for each in EXPECTED}


def compared(*running: ExpectedResource) -> Comparison:
    return compare(EXPECTED, read_running(config_dump(running), runtime(running)))


def with_change(kind: str, config: Mapping[str, Any], version: str = "other") -> Comparison:
    """The proxy runs something else for one resource."""
    name = NAMES[kind]
    return compared(
        *(
            msgspec.structs.replace(each, version=version, config=config)
            if (each.type, each.name) == (kind, name)
            else each
            for each in EXPECTED
        )
    )


def endpoints(*paths: str, **more: object) -> dict[str, object]:
    members = [{"endpoint": {"address": {"pipe": {"path": path}}}, **more} for path in paths]
    return {"cluster_name": NAMES["EDS"], "endpoints": [{"lb_endpoints": members}]}


def test_every_type_is_found_in_what_envoy_tells() -> None:
    comparison = compared(*EXPECTED)
    assert comparison == Comparison(by_version=5, by_content=4)
    assert comparison.in_sync


@pytest.mark.parametrize("kind", sorted(NAMES.keys() - {"RTDS"}))  # none is an empty layer
def test_what_a_proxy_does_not_have_is_missing(kind: str) -> None:
    comparison = compared(*(each for each in EXPECTED if each.type != kind))
    assert ("missing", kind, NAMES[kind]) in {
        (each.kind, each.type, each.name) for each in comparison.differences
    }


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_what_a_proxy_should_not_have_is_extra(kind: str) -> None:
    wanted = [each for each in EXPECTED if each.type != kind]
    found = compare(wanted, read_running(config_dump(EXPECTED), runtime(EXPECTED)))
    assert ("extra", kind, NAMES[kind]) in {
        (each.kind, each.type, each.name) for each in found.differences
    }


@pytest.mark.parametrize(
    ("kind", "config", "lines"),
    [
        ("CDS", {"name": NAMES["CDS"], "type": "EDS", "connect_timeout": "1s"},
         ("-connect_timeout: 1s", "+connect_timeout: 5s")),
        ("EDS", endpoints("/run/other.sock"),
         ("-path: /run/other.sock", "+path: /run/in.14001.sock")),
        ("RTDS", {"name": "access", "layer": {"osm.tcp.3306.b": 100.0}},
         ("-osm.tcp.3306.b: '100'", "+osm.tcp.3306.a: '100'")),
        ("VHDS", {"name": NAMES["VHDS"], "domains": ["x"]},
         ("-- x", "+- bookstore.bookstore:14001")),
        ("ECDS", {"name": NAMES["ECDS"]}, ("+typed_config:",)),
    ],
)  # fmt: skip
def test_different_content_is_shown_line_by_line(
    kind: str, config: dict[str, object], lines: tuple[str, ...]
) -> None:
    (difference,) = with_change(kind, config).differences
    assert (difference.kind, difference.type, difference.name) == ("different", kind, NAMES[kind])
    assert set(lines) <= {line[:1] + line[1:].strip() for line in difference.diff}
    tells = kind in ("CDS", "ECDS")
    assert difference.running_version == ("other" if tells else "")


def test_the_order_and_the_health_of_endpoints_are_no_difference() -> None:
    first = ExpectedResource("EDS", NAMES["EDS"], "1", endpoints("/a", "/b"))
    found = ExpectedResource("EDS", NAMES["EDS"], "", endpoints("/b", "/a"))
    cluster = next(each for each in EXPECTED if each.type == "CDS")
    dump = config_dump((cluster, found)).replace(b'"HEALTHY"', b'"UNHEALTHY"')
    assert compare((cluster, first), read_running(dump, runtime(()))).in_sync


def test_endpoints_that_all_went_are_no_endpoints() -> None:
    nobody = ExpectedResource("EDS", NAMES["EDS"], "1", {"cluster_name": NAMES["EDS"]})
    cluster = next(each for each in EXPECTED if each.type == "CDS")
    dump = config_dump((cluster, ExpectedResource("EDS", NAMES["EDS"], "", endpoints())))
    assert compare((cluster, nobody), read_running(dump, runtime(()))).in_sync


def test_a_weight_of_an_endpoint_is_compared() -> None:
    (difference,) = with_change("EDS", endpoints("/run/in.14001.sock", priority=3)).differences
    assert "-    priority: 3" in difference.diff


def test_a_version_that_is_received_and_not_used_yet_is_said() -> None:
    name = NAMES["LDS"]
    dump = json.loads(config_dump(EXPECTED))
    (listener,) = next(c for c in dump["configs"] if "Listeners" in c["@type"])["dynamic_listeners"]
    listener["warming_state"] = dict(listener["active_state"])
    listener["active_state"]["version_info"] = "old"
    found = compare(EXPECTED, read_running(json.dumps(dump).encode(), runtime(EXPECTED)))
    (difference,) = found.differences
    assert (difference.type, difference.name, difference.warming) == ("LDS", name, True)
    assert (difference.running_version, difference.kind) == ("old", "different")


def test_a_listener_that_was_changed_in_place_keeps_its_old_version_in_what_envoy_tells() -> None:
    listener = next(each for each in EXPECTED if each.type == "LDS")
    assert with_change("LDS", listener.config, version="old") == Comparison(4, 5)


def test_a_cluster_that_is_not_used_yet_is_a_difference() -> None:
    dump = config_dump(EXPECTED).replace(b"dynamic_active_clusters", b"dynamic_warming_clusters")
    (difference,) = compare(EXPECTED, read_running(dump, runtime(EXPECTED))).differences
    assert (difference.type, difference.warming) == ("CDS", True)


def test_certificates_are_shown_by_their_hash() -> None:
    secret = next(each for each in EXPECTED if each.type == "SDS")
    (difference,) = with_change("SDS", {"name": secret.name}).differences
    shown = "\n".join(difference.diff)
    assert "+    inline_bytes: 240 bytes, SHA-256 " in shown
    assert "+    inline_bytes: '[redacted]'" in shown


def test_a_runtime_layer_of_somebody_else_is_not_looked_at() -> None:
    layer = next(each for each in EXPECTED if each.type == "RTDS")
    running = read_running(config_dump(EXPECTED), runtime(EXPECTED))
    assert running["RTDS", layer.name].config["layer"] == {"osm.tcp.3306.a": "100"}


@pytest.mark.parametrize("answer", [b"", b"no", b'{"configs": '])
def test_an_answer_that_is_no_json_is_said(answer: bytes) -> None:
    with pytest.raises(OsmError, match="did not answer with JSON"):
        read_running(answer, b"{}")


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"configs": 3}', b'{"configs": [3, null, []]}'])
def test_an_answer_of_another_shape_holds_nothing(answer: bytes) -> None:
    assert read_running(answer, answer) == {}
