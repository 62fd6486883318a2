"""What `osm explain` makes of a request is what Envoy makes of it: paths and matches, one by one."""

from pathlib import Path
from random import Random

import msgspec
from tests.unit.envoy.live import Ask, live_envoy

from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from osm.core.envoy.access import _http_decision
from osm.core.envoy.filters.extension import http_filter
from osm.core.envoy.filters.request_path import request_path
from osm.core.envoy.route import RBAC_FILTER, OutboundHost, OutboundRule, build_outbound_host
from osm.core.model.access import AccessRule
from osm.core.model.origin import Origin
from osm.core.model.request import (
    Request,
    fits,
    has_escaped_slash,
    is_refused_target,
    normalise_path,
    route_fits,
    split_target,
)
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch
from osm.testing.builders import identity

CASES = 30
PIECES = [
    *("/", "/", "/", ".", "..", "%2e", "%2E", "a", "b", "4", "1", "\\", ";", "^", "|", "{", "}"),
    *('"', "<", "`", "~", "_", "-", "+", "=", "&", "@", ":", "*", "'", "(", ")", "!", "$", ","),
    *("[", "]", "%41", "%7e", "%5e", "%2d", "%25", "%252e", "%3b", "%", "%2", "%%", "%zz", "%00"),
    *("%2f", "%5C", "#", "\x7f", "\xe9"),
]


def echo_host() -> route_components_pb2.VirtualHost:
    """Answers every request with its path, as access rules see it."""
    host = route_components_pb2.VirtualHost(name="echo", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.direct_response.status = 200
    header = route.response_headers_to_add.add().header
    header.key, header.value = "x-path", "%PATH(NQ:PATH)%"
    return host


async def test_paths_are_normalised_as_envoy_does_it(tmp_path: Path) -> None:
    random = Random(20260101)
    paths = [
        "/" + "".join(random.choice(PIECES) for _ in range(random.randint(0, 7)))
        for _ in range(3000)
    ]
    async with live_envoy(tmp_path, echo_host()) as envoy:
        answers = await envoy.ask(Ask(path) for path in paths)
    seen = {200: 0, 307: 0, 400: 0}
    for path, answer in zip(paths, answers, strict=True):
        seen[answer.status] += 1
        assert (answer.status == 400) == is_refused_target(path), path
        if answer.status != 400:
            assert (answer.status == 307) == has_escaped_slash(path), path
        if answer.status == 200:
            assert answer.headers["x-path"] == normalise_path(path), path
    assert all(count > 100 for count in seen.values())


def random_match(random: Random) -> HttpMatch:
    paths = [
        None,
        PathMatch("exact", random.choice(("/a", "/a/", "/A"))),
        PathMatch("prefix", random.choice(("/", "/a", "/a/", "/a/b"))),
        PathMatch("regex", random.choice(("/a", "/a.*", ".*b", "/[ab]+", "/(a|a/b)", "(?i)/A"))),
    ]
    values = ("1", "1|2", "[0-9]+", ".*", "", "1,2")
    headers = [
        ValueMatch(name, random.choice(("exact", "regex")), random.choice(values))
        for name in random.sample(("x-a", "x-b", ":authority"), random.choice((0, 0, 1, 2)))
    ]
    query = [
        ValueMatch(name, random.choice(("exact", "regex")), random.choice(values))
        for name in random.sample(("p", "q"), random.choice((0, 0, 1)))
    ]
    methods = random.choice(((), (), ("GET",), ("GET", "POST")))
    return HttpMatch(random.choice(paths), methods, tuple(headers), tuple(query))


def random_ask(random: Random, case: int) -> Ask:
    target = random.choice(("/", "/a", "/a/", "/a/b", "/ab", "/A", "/a//b", "/x/../a", "/b"))
    target += random.choice(("", "", "?p=1", "?q=12&p=", "?p=2&p=1", "?", "?p"))
    header = (random.choice(("x-a", "x-b")), random.choice(("1", "2", "12", "", "x")))
    headers = (
        [("x-case", str(case))]
        + [header] * random.choice((0, 1, 1))
        + [("x-a", "2")] * random.choice((0, 0, 1))
    )
    method = random.choice(("GET", "GET", "POST", "DELETE"))
    return Ask(target, method, random.choice(("1", "12", "host")), tuple(headers))


def random_matches(random: Random) -> list[HttpMatch]:
    """Four matches for each of some cases, which a header tells apart."""
    return [
        msgspec.structs.replace(match, headers=(only, *match.headers))
        for case in range(CASES)
        for only in [ValueMatch("x-case", "exact", str(case))]
        for match in (random_match(random) for _ in range(4))
    ]


def request_of(ask: Ask) -> Request:
    path, query = split_target(ask.target)
    return Request(ask.method, normalise_path(path), ask.authority, ask.headers, query)


async def test_the_first_route_that_fits_is_the_one_that_envoy_takes(tmp_path: Path) -> None:
    random = Random(20260102)
    matches = random_matches(random)
    rules = tuple(
        OutboundRule((), Origin("Rule", "", f"[{index}]"), (match,))
        for index, match in enumerate(matches)
    )
    host = build_outbound_host(OutboundHost("rds-outbound/any", ("*",), (), rules))
    asks = [random_ask(random, case) for case in range(CASES) for _ in range(30)]
    async with live_envoy(tmp_path, host) as envoy:
        answers = await envoy.ask(asks)
    fitted = 0
    for ask, answer in zip(asks, answers, strict=True):
        request = request_of(ask)
        first = next((i for i, m in enumerate(matches) if route_fits(m, request)), None)
        if first is None:
            assert answer.status == 404, (ask, answer.body)
        else:
            assert f"Rule [{first}]" in answer.body, (ask, matches[first])
            fitted += 1
    assert 150 < fitted < len(asks) - 150


async def test_access_is_given_to_the_requests_that_fit(tmp_path: Path) -> None:
    random = Random(20260103)
    matches = random_matches(random)
    source, origin = identity("buyer"), Origin("TrafficTarget", "default", "t")
    decision = _http_decision(
        [AccessRule(identity("shop"), (source,), origin, match) for match in matches]
    )
    rbac = rbac_pb2.RBAC(matcher=decision.matcher)
    filters = (request_path(), http_filter(RBAC_FILTER, rbac))
    asks = [random_ask(random, case) for case in range(CASES) for _ in range(30)]
    async with live_envoy(tmp_path, echo_host(), filters) as envoy:
        answers = await envoy.ask(asks)
    for ask, answer in zip(asks, answers, strict=True):
        allowed = any(fits(m, request_of(ask)) for m in matches if not m.query)
        assert answer.status == (200 if allowed else 403), ask
    assert {answer.status for answer in answers} == {200, 403}
