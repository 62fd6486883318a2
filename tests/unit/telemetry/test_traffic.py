"""Rates between apps from the counters of proxies."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.telemetry.traffic import Edge, EdgeTraffic, TrafficWindow

HTTP = Edge("bookbuyer", "bookbuyer", "bookstore", "bookstore-v1", "http")
TCP = Edge("bookwarehouse", "bookwarehouse", "database", "mysql", "tcp")


def labels(edge: Edge, pod: str = "p0", **more: str) -> str:
    pairs = {
        **more,
        "source_namespace": edge.source_namespace,
        "source_kind": "Deployment",
        "source_name": edge.source,
        "source_pod": f"{edge.source}-0",
        "destination_namespace": edge.destination_namespace,
        "destination_kind": "Deployment",
        "destination_name": edge.destination,
        "destination_pod": pod,
    }
    return ",".join(f'{name}="{value}"' for name, value in pairs.items())


def requests(edge: Edge, /, pod: str = "p0", **codes: int) -> dict[str, float]:
    """`c200=5` makes the series of five requests with code 200."""
    return {
        f"envoy_osm_request_total{{{labels(edge, pod, response_code=code[1:])}}}": float(count)
        for code, count in codes.items()
    }


def durations(edge: Edge, buckets: Mapping[str, int]) -> dict[str, float]:
    return {
        f'envoy_osm_request_duration_ms_bucket{{{labels(edge)},le="{bound}"}}': float(count)
        for bound, count in buckets.items()
    }


def connections(
    edge: Edge, *, opened: int, closed: int = 0, sent: int = 0, received: int = 0
) -> dict[str, float]:
    names = {
        "connections_opened": opened,
        "connections_closed": closed,
        "bytes_sent": sent,
        "bytes_received": received,
    }
    return {
        f"envoy_osm_tcp_{name}_total{{{labels(edge)}}}": float(count)
        for name, count in names.items()
        if count
    }


def only(window: TrafficWindow, now: float) -> EdgeTraffic:
    (edge,) = window.edges(now)
    return edge


def test_a_rate_is_what_was_counted_over_the_time_between_samples() -> None:
    window = TrafficWindow()
    for second in range(11):
        window.add("buyer", second, requests(HTTP, c200=100 + 20 * second, c500=5 * second))
    edge = only(window, 10)
    assert edge.edge == HTTP
    assert edge.requests_per_second == 25
    assert edge.codes_per_second == ((200, 20.0), (500, 5.0))
    assert edge.total == 350 and edge.codes_total == ((200, 300), (500, 50))
    assert edge.success_percent() == 80


def test_uneven_intervals_do_not_disturb_a_rate() -> None:
    window = TrafficWindow()
    for at in (0.0, 0.7, 2.9, 3.0, 4.4, 6.1):
        window.add("buyer", at, requests(HTTP, c200=round(at * 10)))
    assert only(window, 6.1).requests_per_second == pytest.approx(10)


def test_the_first_sample_of_a_proxy_counts_in_the_total_but_not_in_the_rate() -> None:
    """The control plane was started again: requests of last week are not of this second."""
    window = TrafficWindow()
    window.add("buyer", 0, requests(HTTP, c200=1_000_000))
    assert (only(window, 0).requests_per_second, only(window, 0).total) == (0, 1_000_000)


def test_a_series_that_appears_later_counts_from_zero() -> None:
    window = TrafficWindow()
    window.add("buyer", 0, {})
    window.add("buyer", 1, requests(HTTP, c200=10))
    assert only(window, 1).requests_per_second == 10


def test_a_proxy_that_started_again_does_not_make_a_rate_negative() -> None:
    window = TrafficWindow()
    window.add("buyer", 0, requests(HTTP, c200=1000))
    window.add("buyer", 1, requests(HTTP, c200=1010))
    window.add("buyer", 2, requests(HTTP, c200=4))
    edge = only(window, 2)
    assert edge.requests_per_second == 7 and edge.total == 1014


def test_traffic_that_stops_leaves_the_window_but_not_the_total() -> None:
    window = TrafficWindow(window_s=5)
    for second in range(20):
        window.add("buyer", second, requests(HTTP, c200=min(second, 5) * 10))
    assert only(window, 19).requests_per_second == 0
    assert only(window, 19).success_percent() is None
    assert only(window, 19).total == 50


def test_a_proxy_that_no_longer_answers_has_no_rate_after_the_window() -> None:
    window = TrafficWindow(window_s=5)
    window.add("buyer", 0, requests(HTTP, c200=0))
    window.add("buyer", 1, requests(HTTP, c200=10))
    assert only(window, 3).requests_per_second == 10
    assert only(window, 6.5).requests_per_second == 0


def test_proxies_and_pods_of_one_app_are_added_up() -> None:
    window = TrafficWindow()
    for second in (0, 1):
        window.add(
            "buyer-0",
            second,
            requests(HTTP, "p0", c200=second * 3) | requests(HTTP, "p1", c200=second * 4),
        )
        window.add("buyer-1", second, requests(HTTP, "p0", c200=second * 5))
    assert only(window, 1).requests_per_second == 12


def test_what_a_proxy_sent_stays_in_the_total_when_it_is_gone() -> None:
    window = TrafficWindow()
    window.add("buyer-0", 0, requests(HTTP, c200=1))
    window.add("buyer-0", 1, requests(HTTP, c200=10))
    window.keep_only([])
    assert (only(window, 1).requests_per_second, only(window, 1).total) == (0, 10)


def test_quantiles_come_from_the_window_alone() -> None:
    window = TrafficWindow()
    old = {"1": 1000, "5": 1000, "10": 1000, "+Inf": 1000}
    new = {"1": 1000, "5": 1050, "10": 1100, "+Inf": 1100}
    window.add("buyer", 0, durations(HTTP, old))
    window.add("buyer", 1, durations(HTTP, new))
    edge = only(window, 1)
    assert edge.p50_ms == pytest.approx(5)
    assert edge.p99_ms == pytest.approx(9.9)
    assert only(window, 100).p50_ms is None


def test_a_tcp_edge_counts_connections_and_bytes() -> None:
    window = TrafficWindow()
    window.add("warehouse", 0, connections(TCP, opened=10, closed=8, sent=100, received=50))
    window.add("warehouse", 2, connections(TCP, opened=14, closed=9, sent=300, received=150))
    edge = only(window, 2)
    assert edge.edge == TCP
    assert (edge.requests_per_second, edge.total, edge.connections) == (2, 14, 5)
    assert (edge.sent_bytes_per_second, edge.received_bytes_per_second) == (100, 50)
    assert (edge.sent_bytes_total, edge.received_bytes_total) == (300, 150)
    assert edge.success_percent() is None


def test_a_proxy_that_counts_only_ends_has_connections_but_none_open() -> None:
    window = TrafficWindow()
    window.add("warehouse", 0, {})
    window.add("warehouse", 1, {f"envoy_osm_osm_tcp_connections_total{{{labels(TCP)}}}": 6.0})
    edge = only(window, 1)
    assert (edge.requests_per_second, edge.total, edge.connections) == (6, 6, 0)


def test_connections_of_a_proxy_that_died_are_not_open() -> None:
    window = TrafficWindow()
    window.add("warehouse", 0, connections(TCP, opened=10, closed=2))
    window.add("warehouse", 1, connections(TCP, opened=3, closed=1))
    assert only(window, 1).connections == 2
    window.keep_only([])
    assert only(window, 1).connections == 0


def test_labels_that_envoy_left_empty_are_called_unknown() -> None:
    window = TrafficWindow()
    nowhere = Edge("bookbuyer", "bookbuyer", "", "", "http")
    window.add("buyer", 0, requests(nowhere, c503=1))
    assert only(window, 0).edge == Edge("bookbuyer", "bookbuyer", "unknown", "unknown", "http")


@pytest.mark.parametrize(
    ("codes", "denied", "percent"),
    [
        ({"c200": 10}, 0, 100),
        ({"c200": 9, "c404": 1}, 0, 100),
        ({"c200": 5, "c503": 5}, 0, 50),
        ({"c403": 10}, 10, None),
        ({"c403": 10}, 0, 100),
        ({"c200": 5, "c403": 5}, 5, 100),
        ({"c200": 5, "c403": 5, "c500": 5}, 4, 50),
        ({"c200": 10}, 50, 100),
        ({"c200": 5, "c0": 5}, 0, 100),
        ({"c0": 5}, 0, None),
    ],
)
def test_success_is_told_of_the_requests_that_were_let_in(
    codes: dict[str, int], denied: float, percent: float | None
) -> None:
    window = TrafficWindow()
    window.add("buyer", 0, {})
    window.add("buyer", 1, requests(HTTP, "p0", **codes))
    assert only(window, 1).success_percent(denied) == percent


def test_series_that_are_not_ours_and_late_samples_are_ignored() -> None:
    window = TrafficWindow()
    window.add(
        "buyer", 5, {'envoy_osm_other_total{a="b"}': 1.0, "envoy_osm_request_duration_ms_sum": 3.0}
    )
    window.add("buyer", 5, requests(HTTP, c200=10))
    window.add("buyer", 4, requests(HTTP, c200=10))
    assert window.edges(5) == ()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_totals_never_shrink_and_rates_are_never_negative(counts: list[int]) -> None:
    window = TrafficWindow()
    total = 0
    for second, count in enumerate(counts):
        window.add("buyer", second, requests(HTTP, c200=count))
        for edge in window.edges(second):
            assert edge.requests_per_second >= 0
            assert edge.total >= total
            total = edge.total
    assert total >= max(counts)
