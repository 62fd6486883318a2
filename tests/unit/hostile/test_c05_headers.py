"""C5: headers that somebody wants to be set, with values that Envoy would take for commands.

Who may set which is asked by `tests/unit/api/test_policies.py` too; here a real Envoy answers.
"""

from pathlib import Path

import pytest
from tests.unit.envoy.live import Ask, live_envoy

from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm.core.api.decode import decode
from osm.core.envoy.filters.rate_limit import (
    RATE_LIMIT_FILTER,
    http_rate_limit,
    http_rate_limit_per_route,
)
from osm.core.envoy.route import OutboundHost, OutboundRule, build_outbound_host
from osm.core.model.origin import Origin
from osm.core.model.route import HeaderFilter
from osm.core.model.service import ServiceName
from osm.testing.builders import Document, model, pod, service, upstream

MOST_HEADERS = 9
"""Envoy takes ten in an answer to one too many, and one is ours."""
HOST = "shop.default.svc.cluster.local"
COMMANDS = (
    "%",
    "%%",
    "%%%",
    "100%",
    "100% busy",
    "%PROTOCOL%",
    "%%PROTOCOL%%",
    "%%%PROTOCOL%%%",
    "%ENVIRONMENT(PATH)%",
    "%DOWNSTREAM_PEER_CERT%",
    "%DOWNSTREAM_LOCAL_URI_SAN%",
    "%FILTER_STATE(osm.path)%",
    "%DYNAMIC_METADATA(a:b)%",
    "%REQ(:authority)%",
    "%REQ(authorization)?(cookie):40%",
    "%START_TIME(%s)%",
    "%HOSTNAME%",
    "%NOT_A_COMMAND%",
    "%REQ(",
    "%(",
    "a%41b%0d%0ac: d",
    "%{x}",
    "$(id)`reboot`",
    '"; drop \\',
)
NAMES = (
    ":authority",
    ":path",
    ":status",
    "host",
    "Host",
    "connection",
    "content-length",
    "Content-Length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-osm-limited",
    "X-OSM-Denied",
    "x-envoy-upstream-service-time",
    "a b",
    "a:b",
    "a\r\nb",
    "a\x00",
    "ä",
    "",
    "x" * 257,
)
VALUES = ("", "a\r\nb: c", "a\nb", "a\rb", "\x00", "a\x7f", "ä", "\ud800", "x" * 4097, "x" * 65_536)


def limited(*headers: tuple[str, str]) -> Document:
    requests = {
        "requests": 1,
        "unit": "hour",
        "responseHeadersToAdd": [{"name": name, "value": value} for name, value in headers],
    }
    return upstream("u", HOST, {"rateLimit": {"local": {"http": requests}}})


@pytest.mark.parametrize("name", NAMES)
def test_headers_that_are_the_proxys_or_none_are_refused(name: str) -> None:
    decoded = decode(limited((name, "x")))
    assert decoded.manifest is None
    assert [f.code for f in decoded.findings] in (["OSM136"], ["OSM119"])


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_values_that_no_header_may_have_are_refused(value: str) -> None:
    decoded = decode(limited(("x-a", value)))
    assert decoded.manifest is None
    assert len(decoded.findings) == 1
    assert len(decoded.findings[0].message) < 200


@pytest.mark.parametrize("first", range(0, len(COMMANDS), MOST_HEADERS))
async def test_what_was_written_is_only_text_in_answers_to_one_too_many(
    first: int, tmp_path: Path
) -> None:
    values = COMMANDS[first : first + MOST_HEADERS]
    wanted = {f"x-{number}": value for number, value in enumerate(values)}
    found = model(pod("shop"), service("shop", 80), limited(*wanted.items()))
    limit = found.upstreams[ServiceName("default", "shop")].http
    assert limit is not None
    host = route_components_pb2.VirtualHost(name="limited", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.direct_response.status = 200
    config = route.typed_per_filter_config[RATE_LIMIT_FILTER]
    config.Pack(http_rate_limit_per_route(limit))
    async with live_envoy(tmp_path, host, (http_rate_limit(),)) as envoy:
        one, two = await envoy.ask([Ask("/"), Ask("/")])
    assert (one.status, two.status) == (200, 429)
    assert {name: two.headers[name] for name in wanted} == wanted


def test_one_header_more_than_envoy_takes_is_refused() -> None:
    headers = [(f"x-{number}", "1") for number in range(MOST_HEADERS + 1)]
    assert decode(limited(*headers[1:])).manifest is not None
    assert [finding.code for finding in decode(limited(*headers)).findings] == ["OSM119"]


async def test_what_was_written_is_only_text_where_routes_set_headers(tmp_path: Path) -> None:
    wanted = {f"x-{number}": value for number, value in enumerate(COMMANDS)}
    pairs = tuple(wanted.items())
    filters = (HeaderFilter(set=pairs[::2], add=pairs[1::2], response=True),)
    rule = OutboundRule((("one", 1),), Origin("HTTPRoute", "default", "r"), filters=filters)
    host = build_outbound_host(OutboundHost("live/web", ("*",), (), (rule,)))
    host.routes[0].direct_response.status = 200  # in place of the cluster
    async with live_envoy(tmp_path, host) as envoy:
        (answer,) = await envoy.ask([Ask("/", headers=(("authorization", "secret"),))])
    assert answer.status == 200
    assert {name: answer.headers[name] for name in wanted} == wanted
