"""Requests: what of a path counts, and whether a match fits. Envoy's own view is in `envoy/`."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from osm.core.model.request import (
    Request,
    fits,
    has_escaped_slash,
    is_refused_target,
    normalise_path,
    path_fits,
    route_fits,
    split_target,
)
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("/a//b", "/a/b"),
        ("/a///", "/a/"),
        ("//", "//"),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/../../b", "/b"),
        ("/a//../b", "/a/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/..;/b", "/b"),
        ("/a/..;x=1/b", "/b"),
        ("/a/.;/b", "/a/b"),
        ("/a/...;/b", "/a/...;/b"),
        ("/a/b;c/d", "/a/b;c/d"),
        ("/a\\..\\b", "/b"),
        ("/a\\b", "/a/b"),
        ("/%61%62", "/ab"),
        ("/%7Euser", "/~user"),
        ("/%25", "/%25"),
        ("/%3b", "/%3b"),
        ("/%", "/%"),
        ("/%zz", "/%zz"),
        ("/%2", "/%2"),
        ("/%2%41", "/%252A"),
        ("/%252e%252e/b", "/%252e%252e/b"),
        ('/{"a"}', "/%7B%22a%22%7D"),
        ("/a|b^c`d<e>", "/a%7Cb%5Ec%60d%3Ce%3E"),
    ],
)
def test_a_path_is_normalised(path: str, plain: str) -> None:
    assert normalise_path(path) == plain


@given(st.text("/.%2eE5cfab;\\", max_size=30).map(lambda text: "/" + text))
def test_a_normalised_path_has_no_way_up_and_no_dots(path: str) -> None:
    plain = normalise_path(path)
    assert plain.startswith("/") and "\\" not in plain
    assert {".", ".."}.isdisjoint(plain.split("/"))
    assert plain == "//" or "//" not in plain


@pytest.mark.parametrize("path", ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%5C"])
def test_an_escaped_slash_is_seen(path: str) -> None:
    assert has_escaped_slash(path)
    assert not has_escaped_slash("/a/b%25")


@pytest.mark.parametrize("path", ["", "a", "*", "/a b", "/a\n", "/\x7f", "/é", "/a%00b", "/a#b"])
def test_a_path_that_no_url_can_have_is_refused(path: str) -> None:
    assert is_refused_target(path)
    assert not is_refused_target("/a~!$&'()*+,;=:@%01")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a", "/a", ()),
        ("/a?", "/a", ()),
        ("/a?b=1&c", "/a", (("b", "1"), ("c", ""))),
        ("/a?b=1?c=2", "/a", (("b", "1?c=2"),)),
        ("/a?&&b", "/a", (("b", ""),)),
    ],
)
def test_a_target_is_a_path_and_its_query(
    target: str, path: str, query: tuple[tuple[str, str], ...]
) -> None:
    assert split_target(target) == (path, query)


REQUEST = Request(
    "GET",
    "/a/b",
    "shop:80",
    (("x-one", "1"), ("x-two", "2"), ("x-two", "3")),
    (("p", "1"), ("p", "2")),
)


@pytest.mark.parametrize(
    ("match", "fitting"),
    [
        pytest.param(HttpMatch(), True, id="nothing"),
        pytest.param(HttpMatch(methods=("GET", "POST")), True, id="method"),
        pytest.param(HttpMatch(methods=("get",)), False, id="method in lower case"),
        pytest.param(HttpMatch(PathMatch("exact", "/a/b")), True, id="exact"),
        pytest.param(HttpMatch(PathMatch("exact", "/a")), False, id="exact is whole"),
        pytest.param(HttpMatch(PathMatch("prefix", "/a")), True, id="prefix"),
        pytest.param(HttpMatch(PathMatch("prefix", "/a/")), True, id="prefix with a slash"),
        pytest.param(HttpMatch(PathMatch("prefix", "/a/b")), True, id="prefix that is all"),
        pytest.param(HttpMatch(PathMatch("prefix", "/")), True, id="prefix of everything"),
        pytest.param(HttpMatch(PathMatch("prefix", "/a/bc")), False, id="prefix by elements"),
        pytest.param(HttpMatch(PathMatch("regex", "/a/.")), True, id="regex"),
        pytest.param(HttpMatch(PathMatch("regex", "/a")), False, id="regex is whole"),
        pytest.param(HttpMatch(headers=(ValueMatch("x-one", "exact", "1"),)), True, id="header"),
        pytest.param(HttpMatch(headers=(ValueMatch("x-one", "regex", "."),)), True, id="h regex"),
        pytest.param(
            HttpMatch(headers=(ValueMatch("x-no", "regex", ".*"),)), False, id="no header"
        ),
        pytest.param(HttpMatch(headers=(ValueMatch("x-two", "exact", "2,3"),)), True, id="joined"),
        pytest.param(HttpMatch(headers=(ValueMatch("x-two", "exact", "2"),)), False, id="one of"),
        pytest.param(
            HttpMatch(headers=(ValueMatch(":authority", "regex", "shop.*"),)), True, id="authority"
        ),
        pytest.param(HttpMatch(headers=(ValueMatch("host", "exact", "shop"),)), False, id="host"),
        pytest.param(HttpMatch(headers=(ValueMatch(":method", "exact", "GET"),)), True, id=":m"),
        pytest.param(HttpMatch(query=(ValueMatch("p", "exact", "1"),)), True, id="first of query"),
        pytest.param(HttpMatch(query=(ValueMatch("p", "exact", "2"),)), False, id="second"),
        pytest.param(HttpMatch(query=(ValueMatch("q", "regex", ".*"),)), False, id="no query"),
        pytest.param(
            HttpMatch(PathMatch("exact", "/a/b"), ("POST",)), False, id="every part must fit"
        ),
    ],
)
def test_a_match_fits_a_request(match: HttpMatch, *, fitting: bool) -> None:
    assert fits(match, REQUEST) == fitting


@pytest.mark.parametrize(
    ("value", "fitting"), [("2", True), ("3", True), ("2,3", False), ("4", False)]
)
def test_a_route_looks_at_each_line_of_a_header(value: str, *, fitting: bool) -> None:
    match = HttpMatch(
        headers=(ValueMatch("x-two", "exact", value), ValueMatch("x-one", "exact", "1"))
    )
    assert route_fits(match, REQUEST) == fitting
    assert route_fits(
        HttpMatch(headers=(ValueMatch("x-two", "exact", "2"), ValueMatch("host", "regex", "s.*"))),
        REQUEST,
    )
    assert not route_fits(HttpMatch(methods=("PUT",)), REQUEST)


@given(path=st.text("/ab.", max_size=6), regex=st.sampled_from(("/a*", ".*b", "", "/(a|b)+", "a")))
def test_a_regex_fits_as_re2_says_for_the_whole_path(path: str, regex: str) -> None:
    expected = re2.fullmatch(regex, path) is not None
    assert path_fits(PathMatch("regex", regex), path) == expected
