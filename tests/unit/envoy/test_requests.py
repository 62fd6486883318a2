"""What `osm explain` makes of a request is what Envoy makes of it: paths and matches, one by one."""

from pathlib import Path
from random import Random

import msgspec
from tests.unit.envoy.live import Ask, live_envoy

from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm.core.envoy.route import OutboundHost, OutboundRule, build_outbound_host
from osm.core.model.origin import Origin
from osm.core.model.request import (
    Request,
    fits,
    has_escaped_slash,
    is_refused_path,
    normalise_path,
    split_target,
)
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch

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
    async with live_envoy(tmp_path, [echo_host()]) as envoy:
        answers = await envoy.ask(Ask(path) for path in paths)
    seen = {200: 0, 307: 0, 400: 0}
    for path, answer in zip(paths, answers, strict=True):
        seen[answer.status] += 1
        assert (answer.status == 400) == is_refused_path(path), path
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


async def test_matches_fit_the_requests_that_envoy_says_they_fit(tmp_path: Path) -> None:
    random = Random(20260102)
    matches: list[HttpMatch] = []
    for case in range(60):
        only = ValueMatch("x-case", "exact", str(case))
        for match in (random_match(random) for _ in range(4)):
            matches.append(msgspec.structs.replace(match, headers=(only, *match.headers)))
    rules = tuple(
        OutboundRule((), Origin("Rule", "", f"[{index}]"), (match,))
        for index, match in enumerate(matches)
    )
    host = build_outbound_host(OutboundHost("rds-outbound/any", "*", rules))
    asks = [random_ask(random, case) for case in range(60) for _ in range(30)]
    async with live_envoy(tmp_path, [host]) as envoy:
        answers = await envoy.ask(asks)
    fitted = 0
    for ask, answer in zip(asks, answers, strict=True):
        path, query = split_target(ask.target)
        request = Request(ask.method, normalise_path(path), ask.authority, ask.headers, query)
        first = next((i for i, match in enumerate(matches) if fits(match, request)), None)
        if first is None:
            assert answer.status == 404, ask
        else:
            assert f"Rule [{first}]" in answer.body, (ask, matches[first])
            fitted += 1
    assert 300 < fitted < len(asks) - 300
