"""What a refusal says is read from every form in which our proxies write it."""

import json
import re

import pytest

from osm.core.envoy.filters.access_log import DEFAULT_FORMAT
from osm.core.envoy.filters.denials import DenialContext, denied_answer, http_denial_logs
from osm.core.explain.refusal import Refusal, Unreadable, read_refusal
from osm.testing.builders import identity

THIEF = "spiffe://cluster.local/ns/bookthief/sa/bookthief"
DETAILS = "rbac_access_denied_matched_policy[no-access-rule-for-source]"
OPERATORS = {
    "%DOWNSTREAM_PEER_URI_SAN%": THIEF,
    "%REQ(:METHOD)%": "GET",
    "%PATH(NQ:PATH)%": "/buy/(it)",
    "%RESPONSE_CODE_DETAILS%": DETAILS,
    "%START_TIME%": "2026-11-21T17:00:00.123Z",
}
CONTEXT = DenialContext(identity("bookstore/bookstore-v1"), 14001)
READ = Refusal(
    THIEF,
    "bookstore/bookstore-v1",
    method="GET",
    path="/buy/(it)",
    reason="no-access-rule-for-source",
)
LOGGED = Refusal(
    THIEF,
    "bookstore/bookstore-v1",
    port=14001,
    method="GET",
    path="/buy/(it)",
    reason="no-access-rule-for-source",
    time="2026-11-21T17:00:00.123Z",
)


def filled(template: str, **other: str) -> str:
    """A text of ours as Envoy writes it."""
    for operator, value in {**OPERATORS, **other}.items():
        template = template.replace(operator, value)
    assert "%" not in template, template
    return template


def body() -> str:
    bodies = [
        mapper.body_format_override.text_format_source.inline_string
        for mapper in denied_answer(CONTEXT).mappers
    ]
    (text,) = [body for body in bodies if "may not" in body]
    return filled(text)


def line() -> str:
    logger = http_denial_logs(CONTEXT)[0].typed_config
    template = re.search(rb"\[%START_TIME%.*\n", logger.value)
    assert template is not None
    return filled(template[0].decode())


def test_the_body_of_an_answer_is_read() -> None:
    assert read_refusal(body()) == READ


def test_the_body_is_found_in_what_a_program_or_curl_prints_around_it() -> None:
    printed = f"HTTP/1.1 403 Forbidden\r\nx-osm-denied: {DETAILS}\r\n\r\n{body()}"
    assert read_refusal(printed) == READ
    logged = f'ERROR: "http://bookstore:14001/buy" is 403; expected 200 ({body().strip()})'
    assert read_refusal(logged) == READ


def test_a_line_of_a_proxys_log_is_read() -> None:
    assert read_refusal(line()) == LOGGED
    assert read_refusal("bookstore-0 envoy | " + line()) == LOGGED


def test_a_caller_outside_of_the_mesh_is_an_address() -> None:
    for text in (body(), line()):
        found = read_refusal(text.replace(THIEF, "10.2.1.1 [- -]"))
        assert isinstance(found, Refusal)
        assert (found.source, found.path) == ("10.2.1.1", "/buy/(it)")


@pytest.mark.parametrize(
    "entry",
    [
        {
            "time": "2026-11-21T17:00:00.123Z",
            "source": THIEF,
            "destination": "bookstore/bookstore-v1",
            "port": 14001,
            "method": "GET",
            "path": "/buy/(it)",
            "reason": "no-access-rule-for-source",
            "count": 3,
        },
        {
            "start_time": "2026-11-21T17:00:00.123Z",
            "downstream_peer_uri_san": THIEF,
            "downstream_local_uri_san": "spiffe://cluster.local/ns/bookstore/sa/bookstore-v1",
            "port": "14001",
            "method": "GET",
            "path": "/buy/(it)?page=2",
            "response_code": 403,
            "response_code_details": DETAILS,
            "authority": None,
        },
    ],
)
def test_a_json_entry_is_read(entry: dict[str, object]) -> None:
    assert read_refusal("envoy: " + json.dumps(entry)) == LOGGED


def test_an_entry_of_osms_access_log_needs_to_be_told_who_called() -> None:
    entry = dict.fromkeys(DEFAULT_FORMAT) | {
        "start_time": "2026-11-21T17:00:00.123Z",
        "method": "GET",
        "path": "/buy?page=2",
        "response_code": 403,
        "response_code_details": DETAILS,
        "authority": "bookstore.bookstore:14001",
    }
    assert isinstance(read_refusal(json.dumps(entry)), Unreadable)
    assert read_refusal(json.dumps(entry), "bookthief") == Refusal(
        "bookthief",
        "",
        method="GET",
        path="/buy",
        authority="bookstore.bookstore:14001",
        reason="no-access-rule-for-source",
        time="2026-11-21T17:00:00.123Z",
    )


def test_a_tcp_connection_has_no_method() -> None:
    entry = {"source": "a/b", "destination": "c/d-0", "port": 9000, "method": "-", "path": None}
    assert read_refusal(json.dumps(entry)) == Refusal("a/b", "c/d-0", port=9000)


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("", "no refusal", "body of the 403"),
        ("hello", "no refusal", "body of the 403"),
        (f"x-osm-denied: {DETAILS}", "gives the reason", "body of the 403"),
        (
            "X-Osm-Limited: UpstreamTrafficSetting a/b",
            "limit of UpstreamTrafficSetting a/b",
            "limits",
        ),
        (
            "osm: the mesh knows no HTTP service by the name and port of gone:80",
            "knows no way to gone:80",
            "osm explain SOURCE gone:80",
        ),
        ('{"method": "GET", "path": "/"}', "who called", "osm explain SOURCE --denied"),
        ('{"source": "a/b", "authority": "c", "response_code": 200}', "answered with 200", "403"),
        ('{"source": "a/b", "path": "/"}', "whom", "body of the 403"),
        ('{"source": [', "no refusal", ""),
        (
            "access denied by the mesh: its external authorizer did not answer, and …",
            "external authorizer did not answer",
            "which request",
        ),
        ("access denied by the mesh: - may not GET / of a/b (x)", "who called", "SOURCE"),
    ],
)
def test_what_names_no_request_says_so(text: str, problem: str, hint: str) -> None:
    found = read_refusal(text)
    assert isinstance(found, Unreadable)
    assert problem in found.text
    assert hint in found.hint
