import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from osm.telemetry.bare_counter import BareCounter
from osm.telemetry.control_plane import ControlPlaneMetrics

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
BUYER = "bookbuyer.bookbuyer.cluster.local"


def metrics() -> ControlPlaneMetrics:
    return ControlPlaneMetrics(CollectorRegistry(), version="2.0.0", git_commit="abc")


def text(of: ControlPlaneMetrics) -> str:
    return generate_latest(of.registry).decode()


def lines(of: ControlPlaneMetrics, name: str) -> list[str]:
    return [line for line in text(of).splitlines() if line.startswith(name)]


def push(to: ControlPlaneMetrics, proxy: str, size: int, *triggers: str) -> None:
    to.sent(proxy, BUYER, CLUSTER, size=size, resources=2, queued_s=0.004, triggers=triggers)


def use_all(of: ControlPlaneMetrics) -> None:
    """Each metric gets a value."""
    of.connected(again=True)
    of.requested("u1", BUYER, CLUSTER)
    push(of, "u1", 1000, "Pod")
    of.not_sent("u1", BUYER, CLUSTER)
    of.broadcast()
    of.acknowledged(CLUSTER, 0.2)
    of.refused_configuration(CLUSTER, 0.1)
    of.refused_client("expired")
    of.cut_off()
    of.watch_pending(lambda: {CLUSTER: 3})
    of.loop_lag(0.001)
    of.certificate("issued", 0.001)
    of.certificate("failed", 0.001)
    of.events_queued(3)


def test_osms_names_are_served_as_they_were() -> None:
    all_of_them = metrics()
    all_of_them.connected()
    all_of_them.connected(again=True)
    all_of_them.disconnected()
    all_of_them.requested("u1", BUYER, CLUSTER)
    push(all_of_them, "u1", 1000)
    all_of_them.not_sent("u1", BUYER, CLUSTER)
    all_of_them.broadcast()
    all_of_them.acknowledged(CLUSTER, 0.2)
    all_of_them.certificate("issued", 0.001)
    all_of_them.events_queued(3)
    update = f'resource_type="{CLUSTER}",success="true"'
    proxy = f'{{proxy_uuid="u1",identity="{BUYER}",type="{CLUSTER}"}}'
    by_name = f'{{identity="{BUYER}",proxy_uuid="u1",type="{CLUSTER}"}}'
    served = text(all_of_them).replace(by_name, proxy).splitlines()
    for line in (
        "osm_proxy_connect_count 1.0",
        "osm_proxy_reconnect_count 1.0",
        f"osm_proxy_response_send_success_count{proxy} 1.0",
        f"osm_proxy_response_send_error_count{proxy} 1.0",
        f"osm_proxy_xds_request_count{proxy} 1.0",
        "osm_proxy_broadcast_event_count 1.0",
        f'osm_proxy_config_update_time_bucket{{le="0.25",{update}}} 1.0',
        f'osm_proxy_config_update_time_bucket{{le="0.1",{update}}} 0.0',
        "osm_cert_issued_count 1.0",
        "osm_cert_issued_time_count 1.0",
        "osm_events_queued 3.0",
        'osm_version_info{build_date="",git_commit="abc",version="2.0.0"} 1.0',
    ):
        assert line in served


def test_the_bytes_and_refusals_of_each_type_are_counted() -> None:
    some = metrics()
    push(some, "u1", 1000)
    push(some, "u2", 500)
    some.refused_configuration(CLUSTER, 0.1)
    some.refused_client("expired")
    assert lines(some, "osm_proxy_push_bytes") == [
        f'osm_proxy_push_bytes{{type="{CLUSTER}"}} 1500.0'
    ]
    assert lines(some, "osm_proxy_nack_count") == [f'osm_proxy_nack_count{{type="{CLUSTER}"}} 1.0']
    assert lines(some, "osm_authentication_refused") == [
        'osm_authentication_refused_count{reason="expired"} 1.0'
    ]


def test_certificates_that_were_not_issued_are_counted_by_cause() -> None:
    some = metrics()
    for outcome in ("failed", "limited", "limited"):
        some.certificate(outcome, 1.0)
    assert lines(some, "osm_cert_issue_error_count") == [
        'osm_cert_issue_error_count{cause="failed"} 1.0',
        'osm_cert_issue_error_count{cause="limited"} 2.0',
    ]
    assert lines(some, "osm_cert_issued_count") == ["osm_cert_issued_count 0.0"]


def test_the_end_of_the_root_is_served() -> None:
    some = metrics()
    some.root_expires(datetime(2036, 1, 1, tzinfo=UTC))
    assert lines(some, "osm_root_certificate_expiry")[0].split()[1] == "2.0827584e+09"


def test_a_proxy_that_is_gone_leaves_no_series() -> None:
    some = metrics()
    push(some, "u0", 1, "Pod")
    some.forget("u0")
    before = text(some)
    for number in range(1000):
        push(some, f"u{number}", 1, "Pod")
        some.requested(f"u{number}", BUYER, CLUSTER)
        some.not_sent(f"u{number}", BUYER, CLUSTER)
    for number in range(1000):
        some.forget(f"u{number}")
    assert text(some).count("\n") == before.count("\n")


def test_two_control_planes_in_one_process_do_not_share_counters() -> None:
    one, other = metrics(), metrics()
    one.broadcast()
    assert lines(other, "osm_proxy_broadcast") == ["osm_proxy_broadcast_event_count 0.0"]


def test_a_wrong_number_of_label_values_is_an_error() -> None:
    counter = BareCounter("osm_x", "help", ("a", "b"), CollectorRegistry())
    with pytest.raises(ValueError, match="osm_x has the labels"):
        counter.increment("1")


def test_a_push_is_counted_with_its_reasons_its_resources_and_its_wait() -> None:
    some = metrics()
    push(some, "u1", 1000, "Pod", "TrafficTarget")
    push(some, "u2", 1000, "Pod")
    push(some, "u2", 1000, "")
    assert lines(some, "osm_proxy_push_trigger_count") == [
        f'osm_proxy_push_trigger_count{{trigger="Pod",type="{CLUSTER}"}} 2.0',
        f'osm_proxy_push_trigger_count{{trigger="TrafficTarget",type="{CLUSTER}"}} 1.0',
        f'osm_proxy_push_trigger_count{{trigger="other",type="{CLUSTER}"}} 1.0',
    ]
    assert lines(some, "osm_proxy_push_count")[0].endswith(" 3.0")
    assert lines(some, "osm_proxy_push_resource_count")[0].endswith(" 6.0")
    bucket = f'osm_proxy_push_queue_time_bucket{{le="0.005",type="{CLUSTER}"}} 3.0'
    assert bucket in lines(some, "osm_proxy_push_queue_time_bucket")


def test_the_worst_lag_is_that_since_the_last_scrape() -> None:
    some = metrics()
    for lag in (0.001, 0.3, 0.002):
        some.loop_lag(lag)
    assert lines(some, "osm_event_loop_lag_max_seconds") == ["osm_event_loop_lag_max_seconds 0.3"]
    assert lines(some, "osm_event_loop_lag_max_seconds") == ["osm_event_loop_lag_max_seconds 0.0"]
    assert "osm_event_loop_lag_seconds_count 3.0" in lines(some, "osm_event_loop_lag_seconds")


def test_pending_responses_are_counted_when_they_are_read() -> None:
    some = metrics()
    pending = {CLUSTER: 1}
    some.watch_pending(lambda: pending)
    pending[CLUSTER] = 7
    assert lines(some, "osm_proxy_pending") == [
        f'osm_proxy_pending_responses{{type="{CLUSTER}"}} 7.0'
    ]


def test_the_reference_lists_every_metric_with_its_kind_and_labels() -> None:
    some = metrics()
    use_all(some)
    served = {}
    for family in some.registry.collect():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        # OSM's counters have no `_total`: prometheus-client can serve such only without a type.
        kind = "counter" if family.type == "unknown" else family.type
        served[family.name] = (kind, labels)
    page = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
    listed = {}
    for row in page.read_text().splitlines():
        if cells := re.fullmatch(r"\| `(osm_\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|", row):
            listed[cells[1]] = (cells[2], set(re.findall(r"`(\w+)`", cells[3])))
    assert listed == served
