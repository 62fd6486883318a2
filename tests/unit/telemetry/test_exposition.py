from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest

from osm.telemetry.exposition import parse_series, read_samples

ENVOY = """\
# TYPE envoy_cluster_upstream_cx_total counter
envoy_cluster_upstream_cx_total{envoy_cluster_name="bookstore/bookstore|14001"} 7
# TYPE envoy_osm_request_total counter
envoy_osm_request_total{response_code="200",source_name="book-buyer.v1",destination_name=""} 5
envoy_osm_request_total{response_code="0",source_name="book-buyer.v1",destination_name=""} 1

# TYPE envoy_osm_request_duration_ms histogram
envoy_osm_request_duration_ms_bucket{source_name="book-buyer.v1",le="+Inf"} 7
envoy_osm_request_duration_ms_sum{source_name="book-buyer.v1"} 205.92566782810683889692882075906
osm_request_total{response_code="503"} 2
"""


def test_only_the_wanted_series_are_read_with_or_without_envoys_prefix() -> None:
    samples = read_samples(ENVOY)
    assert {parse_series(key).name for key in samples} == {
        "osm_request_total",
        "osm_request_duration_ms_bucket",
        "osm_request_duration_ms_sum",
    }
    assert sorted(samples.values()) == [1, 2, 5, 7, 205.92566782810684]


def test_other_prefixes_can_be_asked_for() -> None:
    assert read_samples(ENVOY, "cluster_upstream") == {
        'envoy_cluster_upstream_cx_total{envoy_cluster_name="bookstore/bookstore|14001"}': 7.0
    }


def test_a_series_is_split_into_name_and_labels() -> None:
    series = parse_series(
        'envoy_osm_request_total{response_code="200",source_name="book-buyer.v1",x=""}'
    )
    assert series.name == "osm_request_total"
    assert series.labels == {"response_code": "200", "source_name": "book-buyer.v1", "x": ""}
    assert parse_series("osm_events_queued").labels == {}


@given(st.dictionaries(st.sampled_from(["a", "b_c", "le"]), st.text(), min_size=1))
def test_every_label_value_survives_what_prometheus_writes(labels: dict[str, str]) -> None:
    # A carriage return and its like end a line for Python only; Envoy never has them in a label.
    labels = {name: " ".join(value.splitlines()) for name, value in labels.items()}
    registry = CollectorRegistry()
    Counter("osm_x", "help", list(labels), registry=registry).labels(**labels).inc(3)
    samples = read_samples(generate_latest(registry).decode(), "osm_x_total")
    ((key, value),) = samples.items()
    assert (parse_series(key).labels, value) == (labels, 3.0)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    for key, value in read_samples(f"osm_{text}\nenvoy_osm_a{{{text} 1\n{text}").items():
        parse_series(key)
        assert isfinite(value)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "one", "", "0x10"])
def test_a_value_that_no_counter_can_have_is_passed_over(value: str) -> None:
    assert read_samples(f"osm_request_total {value}\n") == {}


def test_a_flood_of_series_is_cut_off() -> None:
    text = "".join(f'osm_request_total{{a="{n}"}} 1\n' for n in range(1000))
    assert len(read_samples(text, limit=100)) == 100
