"""What refused requests look like to people, whatever the refused client sent."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm._envoy.envoy.config.core.v3.base_pb2 import RequestMethod
from osm._envoy.envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry, TCPAccessLogEntry
from osm._envoy.envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from osm.core.model.identity import Identity, ProxyIdentity
from osm.telemetry.access_log import DenialLog
from osm.testing.clock import FakeClock

STORE = ProxyIdentity(Identity("cluster.local", "bookstore", "bookstore-v1"), "bookstore-v1-0")
THIEF = "spiffe://cluster.local/ns/bookthief/sa/bookthief"
DENIED = "rbac_access_denied_matched_policy[none]"


def http(
    *,
    path: str = "/buy",
    details: str = DENIED,
    uri: str = THIEF,
    port: int = 14001,
    method: str = "GET",
) -> HTTPAccessLogEntry:
    entry = HTTPAccessLogEntry()
    entry.request.path = path
    entry.request.request_method = RequestMethod.Value(method)  # type: ignore[assignment]
    entry.response.response_code.value = 403
    entry.response.response_code_details = details
    common = entry.common_properties
    if uri:
        common.tls_properties.peer_certificate_properties.subject_alt_name.add().uri = uri
    common.downstream_local_address.socket_address.port_value = port
    return entry


def tcp(details: str = DENIED) -> TCPAccessLogEntry:
    entry = TCPAccessLogEntry()
    common = entry.common_properties
    common.connection_termination_details = details
    common.tls_properties.peer_certificate_properties.subject_alt_name.add().uri = THIEF
    common.custom_tags["osm.port"] = "3306"
    common.downstream_local_address.pipe.path = "/run/osm/in.sock"
    return entry


def message(*entries: HTTPAccessLogEntry | TCPAccessLogEntry) -> StreamAccessLogsMessage:
    whole = StreamAccessLogsMessage()
    for entry in entries:
        if isinstance(entry, HTTPAccessLogEntry):
            whole.http_logs.log_entry.append(entry)
        else:
            whole.tcp_logs.log_entry.append(entry)
    return whole


def test_a_refused_request_says_who_what_where_and_why() -> None:
    log = DenialLog(FakeClock())
    log.handle(message(http(method="POST")).SerializeToString(), STORE)
    (denial,) = log.views()
    assert denial.source == "bookthief/bookthief"
    assert denial.destination == "bookstore/bookstore-v1-0"
    assert (denial.port, denial.method, denial.path) == (14001, "POST", "/buy")
    assert denial.reason == "no access rule allows it"
    assert denial.time == "2026-01-01T00:00:00.000+00:00" and denial.count == 1


def test_a_refused_connection_has_no_method_and_takes_its_port_from_the_tag() -> None:
    log = DenialLog(FakeClock())
    log.handle(message(tcp()), STORE)
    (denial,) = log.views()
    assert (denial.source, denial.port, denial.method, denial.path) == (
        "bookthief/bookthief",
        3306,
        "",
        "",
    )


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (DENIED, "no access rule allows it"),
        ("rbac_access_denied_matched_policy[]", "no access rule allows it"),
        (
            "rbac_access_denied_matched_policy[TrafficTarget/bookstore/x/spec.rules[0]]",
            "TrafficTarget/bookstore/x/spec.rules[0]",
        ),
        ("via_upstream", None),
        ("", None),
        ("route_not_found", None),
    ],
)
def test_the_reason_is_the_policy_that_refused(details: str, reason: str | None) -> None:
    log = DenialLog(FakeClock())
    log.handle(message(http(details=details)), STORE)
    log.handle(message(tcp(details)), STORE)
    assert [denial.reason for denial in log.views()] == ([reason] * 2 if reason else [])


async def test_equal_denials_are_counted_and_the_newest_comes_first() -> None:
    clock = FakeClock()
    log = DenialLog(clock)
    for path in ("/a", "/b", "/a", "/a?secret=1"):
        await clock.advance(1)
        log.handle(message(http(path=path)), STORE)
    assert [(d.path, d.count, d.time[17:19]) for d in log.views()] == [
        ("/a", 3, "04"),
        ("/b", 1, "02"),
    ]


def test_a_flood_of_different_denials_pushes_out_the_oldest() -> None:
    log = DenialLog(FakeClock())
    log.handle(message(*(http(path=f"/{n}") for n in range(2000))), STORE)
    paths = [denial.path for denial in log.views()]
    assert paths == [f"/{n}" for n in range(1999, 1499, -1)]


def test_a_flood_of_sources_is_bounded() -> None:
    log = DenialLog(FakeClock())
    uri = "spiffe://cluster.local/ns/a/sa/"
    log.handle(message(*(http(uri=f"{uri}{n}") for n in range(3000))), STORE)
    assert len(log.rates()) == 2000


async def test_rates_are_of_the_window_and_totals_of_always() -> None:
    clock = FakeClock()
    log = DenialLog(clock)
    names = ("bookthief/bookthief", "bookstore/bookstore-v1-0")
    for _ in range(20):
        log.handle(message(*[http()] * 4), STORE)
        await clock.advance(1)
    rate = log.rates(5)[names]
    assert rate.total == 80 and rate.per_second == pytest.approx(4, rel=0.25)
    await clock.advance(100)
    assert log.rates(5)[names].per_second == 0 and log.rates(5)[names].total == 80


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        (THIEF, "bookthief/bookthief"),
        ("", "unknown"),
        ("spiffe://cluster.local/other", "spiffe://cluster.local/other"),
        ("spiffe://\x1b[31mred", "spiffe://\\u001b[31mred"),
        ("spiffe://" + "x" * 1000, "spiffe://" + "x" * 190 + "…"),
    ],
)
def test_the_source_is_the_identity_or_what_the_certificate_claims(uri: str, source: str) -> None:
    log = DenialLog(FakeClock())
    log.handle(message(http(uri=uri)), STORE)
    assert [denial.source for denial in log.views()] == [source]


def test_who_has_no_certificate_is_known_by_the_address() -> None:
    """Only callers from outside of the mesh may come without one."""
    entry = http(uri="")
    entry.common_properties.downstream_remote_address.socket_address.address = "10.2.0.7"
    log = DenialLog(FakeClock())
    log.handle(message(entry), STORE)
    assert [denial.source for denial in log.views()] == ["10.2.0.7"]


@given(st.text(), st.text(), st.binary(max_size=50))
def test_nothing_that_a_client_sends_reaches_a_terminal_unescaped(
    path: str, uri: str, garbage: bytes
) -> None:
    log = DenialLog(FakeClock())
    log.handle(
        message(http(path=path, uri=uri, details=f"rbac_access_denied_matched_policy[{path}]")),
        STORE,
    )
    log.handle(garbage, STORE)
    for denial in log.views():
        for text in (denial.source, denial.path, denial.reason, denial.method):
            assert text.isprintable() and len(text) <= 1200


def test_the_query_of_a_path_is_not_shown() -> None:
    log = DenialLog(FakeClock())
    log.handle(message(http(path="/buy?token=hunter2")), STORE)
    assert log.views()[0].path == "/buy"
    assert "hunter2" not in repr(log.views())


def test_a_path_that_callers_claim_in_a_header_is_not_shown() -> None:
    entry = http(path="/sent")
    entry.request.original_path = "/claimed"
    log = DenialLog(FakeClock())
    log.handle(message(entry), STORE)
    assert log.views()[0].path == "/sent"


def test_what_is_no_message_is_counted_and_passed_over() -> None:
    log = DenialLog(FakeClock())
    log.handle(b"\xff\xff\xff", STORE)
    assert log.malformed == 1 and log.views() == ()


async def test_a_pause_longer_than_the_span_of_rates_forgets_seconds_not_totals() -> None:
    clock = FakeClock()
    log = DenialLog(clock)
    for _ in range(100):
        log.handle(message(http()), STORE)
        await clock.advance(timedelta(seconds=1).total_seconds())
    (rate,) = log.rates(60).values()
    assert rate.total == 100 and 0.9 <= rate.per_second <= 1.1


def test_a_proxy_of_osm_is_named_by_its_certificates_dns_name() -> None:
    named = {
        "dns": "bookthief.library.cluster.local",
        "both": "x.y.cluster.local",
        "odd": "a.b.org",
    }
    entries = {name: http(uri=THIEF if name == "both" else "", path=f"/{name}") for name in named}
    for name, entry in entries.items():
        entry.common_properties.custom_tags["osm.former"] = named[name]
    log = DenialLog(FakeClock())
    log.handle(message(*entries.values()), STORE)
    assert {view.path: view.source for view in log.views()} == {
        "/dns": "library/bookthief",
        "/both": "bookthief/bookthief",
        "/odd": "unknown",
    }
