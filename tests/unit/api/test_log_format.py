"""Formats of access logs: what we take Envoy takes, and what Envoy refuses we refuse before it."""

import json
from pathlib import Path

import pytest
from tests.unit.envoy.static import complaint_of

from osm.core.api.log_format import (
    HEADERS,
    NAMED,
    PLAIN,
    TIMES,
    check_log_format,
    needs_req_without_query,
)

WITHOUT_QUERY = {
    "name": "envoy.formatter.req_without_query",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"
    },
}

TAKEN = (
    "",
    "%%",
    "100 %%\n",
    "%PROTOCOL%",
    "[%START_TIME%] %REQ(:METHOD)% %REQ(X-A?:PATH):20% %RESP(x)% %TRAILER(y):0%",
    "%START_TIME(%Y-%m-%dT%H:%M:%S.%3f)%",
    "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%",
    "%DYNAMIC_METADATA(a.b:c)% %FILTER_STATE(a:PLAIN)% %FILTER_STATE(a:FIELD:b)%",
    '{"a": "%PROTOCOL%", "b": {"c": ["%DURATION%", 1, true, null]}}',
    "{}",
    '{"a":' * 10 + "1" + "}" * 10,
)
REFUSED = (
    "100%",
    "a % b",
    "% REQ(X)%",
    "%protocol%",
    "%NOPE%",
    "%REQ%",
    "%REQ()%",
    "%REQ(a%",
    "%REQ(a b)%",
    "%REQ(a?b?c)%",
    "%REQ(X):abc%",
    "%REQ(X):-1%",
    "%REQ(X):99999999999999999999%",
    "%REQ(X\n)%",
    "%DURATION(x)%",
    "%HOSTNAME:3%",
    "%GRPC_STATUS(x)%",
    "%DYNAMIC_METADATA%",
    "%FILTER_STATE()%",
    "%FILTER_STATE(a:x)%",
    "%RESPONSE_FLAGS(x)%",
    '{"a": "100%"}',
    '{"a": ["%NOPE%"]}',
)
OURS_ALONE = (
    "%ENVIRONMENT(HOME)%",
    "%CEL(request.method)%",
    '%COALESCE({"operators":["HOSTNAME"]})%',
    "{not JSON",
    '{"a": 1}{"b": 2}',
    '{"a":' * 11 + "1" + "}" * 11,
    '{"a":' * 3000,
    '{"a":' * 5000,
)


def envoys_complaint(text: str, directory: Path) -> str:
    try:
        members = json.loads(text) if text.startswith("{") else None
    except ValueError:
        members = None
    form = {"text_format_source": {"inline_string": text or "\n"}}
    if isinstance(members, dict):
        form = {"json_format": members}
    log = {
        "name": "log",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {**form, "formatters": [WITHOUT_QUERY]},
        },
    }
    proxy = {
        "name": "tcp",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "x",
            "cluster": "c",
        },
    }
    listener = {
        "name": "a",
        "address": {"pipe": {"path": str(directory / "socket")}},
        "access_log": [log],
        "filter_chains": [{"filters": [proxy]}],
    }
    file = directory / "envoy.json"
    resources = {"listeners": [listener], "clusters": [{"name": "c"}]}
    file.write_text(json.dumps({"static_resources": resources}))
    return complaint_of(file)


def test_envoy_takes_every_operator_and_format_that_we_take(tmp_path: Path) -> None:
    operators = [f"%{name}%" for name in sorted(PLAIN | TIMES)]
    operators += [f"%{name}(x-a?x-b):9%" for name in sorted(HEADERS)]
    operators += [f"%{name}(a)%" for name in sorted(NAMED)]
    text = " ".join(operators)
    assert check_log_format(text) is None
    assert envoys_complaint(text, tmp_path) == ""
    for each in TAKEN:
        assert check_log_format(each) is None, each
        assert envoys_complaint(each, tmp_path) == "", each


@pytest.mark.parametrize("text", REFUSED)
def test_what_envoy_refuses_we_refuse(text: str, tmp_path: Path) -> None:
    complaint = check_log_format(text)
    assert complaint is not None
    assert complaint.code == "OSM139"
    assert envoys_complaint(text, tmp_path) != ""


@pytest.mark.parametrize("text", OURS_ALONE, ids=range(len(OURS_ALONE)))
def test_what_runs_programs_tells_secrets_or_only_looks_like_json_is_refused(text: str) -> None:
    assert check_log_format(text) is not None


def test_who_logs_paths_without_query_needs_envoys_extension_for_it() -> None:
    assert needs_req_without_query('{"a": "%REQ_WITHOUT_QUERY(:PATH)%"}')
    assert not needs_req_without_query("%REQ(:PATH)% %% REQ_WITHOUT_QUERY %%")
