"""bookbuyer and bookthief: what they send, what they count, what they say."""

import re
from collections.abc import Mapping

import pytest
from tests.unit.demo.apps import Recorder, Running, free_port, recording, running, wait_until

from osm.demo import bookbuyer, bookthief
from osm.demo.client import NO_ANSWER
from osm.demo.journal import Journal
from osm.demo.process import Build
from osm.demo.server import Response
from osm.demo.shopper import Shopper
from osm.demo.verdict import FAILURE, SUCCESS, Verdict
from osm.errors import ConfigError

PATHS = ("/books-bought", "/buy-a-book/new")


def sold_by(identity: str, status: int = 200) -> Response:
    return Response(status, b"", headers=(("Identity", identity),))


def open_store(store: Recorder, identity: str = "bookstore-v1") -> None:
    store.responses = dict.fromkeys(PATHS, sold_by(identity))


def shopper_of(run: Running) -> Shopper:
    assert isinstance(run.application, Shopper)
    return run.application


@pytest.mark.parametrize("build", [bookbuyer.build, bookthief.build])
def test_each_iteration_asks_for_both_pages_and_claims_to_be_bookbuyer_on_the_first(
    build: Build,
) -> None:
    with recording(*PATHS) as (store, url), running(build, {"BOOKSTORE_URL": url}) as run:
        shopper_of(run).iterate()
        asked = {request.path: request for request in store.requests}
    assert sorted(asked) == sorted(PATHS)
    assert {request.method for request in store.requests} == {"GET"}
    assert asked["/books-bought"].headers["client-app"] == "bookbuyer"
    assert asked["/books-bought"].headers["user-agent"] == "Go-http-client/1.1"
    assert set(asked["/buy-a-book/new"].headers) == {"host", "user-agent"}


def test_the_pages_are_asked_for_in_any_order() -> None:
    with recording(*PATHS) as (store, url), running(bookbuyer.build, {"BOOKSTORE_URL": url}) as run:
        for _ in range(20):
            shopper_of(run).iterate()
        firsts = {request.path for request in store.requests[::2]}
    assert firsts == set(PATHS)


def test_without_settings_the_bookstore_is_called_by_its_full_name() -> None:
    with running(bookbuyer.build, {}) as run:
        assert (
            shopper_of(run).settings.store == "http://bookstore.bookstore.svc.cluster.local:14001"
        )


def test_service_and_namespace_of_the_bookstore_come_from_the_environment() -> None:
    environment = {"BOOKSTORE_SVC": "shop", "BOOKSTORE_NAMESPACE": "town"}
    with running(bookbuyer.build, environment) as run:
        assert shopper_of(run).settings.store == "http://shop.town.svc.cluster.local:14001"


def test_an_http_proxy_gets_the_whole_url_and_the_name_is_not_resolved() -> None:
    with recording(*PATHS) as (proxy, url), running(bookbuyer.build, {"HTTP_PROXY": url}) as run:
        open_store(proxy)
        assert shopper_of(run).iterate()
        hosts = {request.headers["host"] for request in proxy.requests}
        assert run.raw() == {"booksBought": 1, "booksBoughtV1": 1, "booksBoughtV2": 0}
    assert hosts == {"bookstore.bookstore.svc.cluster.local:14001"}


COUNTED = [
    ("bookstore-v1", 200, (1, 1, 0)),
    ("bookstore-v1-6f8d", 200, (1, 1, 0)),
    ("bookstore-v2", 200, (1, 0, 1)),
    ("bookstore-v3", 200, (0, 0, 0)),
    ("", 200, (0, 0, 0)),
    ("my-bookstore-v1", 200, (0, 0, 0)),
    ("bookstore-v1", 201, (0, 0, 0)),
    ("bookstore-v1", 404, (0, 0, 0)),
    ("bookstore-v1", 403, (0, 0, 0)),
    ("bookstore-v2", 503, (0, 0, 0)),
]


@pytest.mark.parametrize(("identity", "status", "counts"), COUNTED)
def test_a_book_counts_only_with_status_200_and_for_the_version_that_sold_it(
    identity: str, status: int, counts: tuple[int, int, int]
) -> None:
    with recording(*PATHS) as (store, url):
        store.responses = {
            "/books-bought": sold_by("bookstore-v1"),
            "/buy-a-book/new": sold_by(identity, status),
        }
        bought = ("booksBought", "booksBoughtV1", "booksBoughtV2")
        stolen = ("booksStolen", "booksStolenV1", "booksStolenV2")
        for build, keys in ((bookbuyer.build, bought), (bookthief.build, stolen)):
            with running(build, {"BOOKSTORE_URL": url}) as run:
                shopper_of(run).iterate()
                assert run.raw() == dict(zip(keys, counts, strict=True))


def test_browsing_alone_counts_nothing() -> None:
    with recording(*PATHS) as (store, url), running(bookbuyer.build, {"BOOKSTORE_URL": url}) as run:
        store.responses = {"/books-bought": sold_by("bookstore-v1")}
        shopper_of(run).iterate()
        assert run.raw() == {"booksBought": 0, "booksBoughtV1": 0, "booksBoughtV2": 0}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_reset_sets_all_counters_to_zero(method: str) -> None:
    with recording(*PATHS) as (store, url), running(bookthief.build, {"BOOKSTORE_URL": url}) as run:
        for identity in ("bookstore-v1", "bookstore-v2"):
            open_store(store, identity)
            shopper_of(run).iterate()
        assert run.raw() == {"booksStolen": 2, "booksStolenV1": 1, "booksStolenV2": 1}
        assert run.ask("/reset", method).status == 200
        assert run.raw() == {"booksStolen": 0, "booksStolenV1": 0, "booksStolenV2": 0}


def test_no_connection_is_code_0() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with running(bookbuyer.build, {"BOOKSTORE_URL": url}) as run:
        assert not shopper_of(run).iterate()
        log = run.log.getvalue()
    for path in PATHS:
        assert f'ERROR: response code for "{url}{path}" is 0;  expected 200' in log


def test_a_hang_is_code_0_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osm.demo.client.fetch.__kwdefaults__", {"timeout_s": 0.05})
    with recording(*PATHS) as (store, url), running(bookbuyer.build, {"BOOKSTORE_URL": url}) as run:
        open_store(store)
        store.delay_s = 0.3
        assert not shopper_of(run).iterate()
        assert run.raw() == {"booksBought": 0, "booksBoughtV1": 0, "booksBoughtV2": 0}
        assert f'new" is 0;  expected 200 ({NO_ANSWER})' in run.log.getvalue()


def test_each_refusal_is_logged_with_its_reason() -> None:
    with recording(*PATHS) as (_, url), running(bookbuyer.build, {"BOOKSTORE_URL": url}) as run:
        for _ in range(3):
            shopper_of(run).iterate()
        log = run.log.getvalue()
    for path in PATHS:
        line = f'ERROR: response code for "{url}{path}" is 403;  expected 200 (refused by the mesh)'
        assert log.count(line) == 3


EXPECTED: list[tuple[Build, Mapping[str, str], int]] = [
    (bookbuyer.build, {}, 200),
    (bookbuyer.build, {"BOOKBUYER_EXPECTED_RESPONSE_CODE": "0"}, 0),
    (bookbuyer.build, {"BOOKTHIEF_EXPECTED_RESPONSE_CODE": "503"}, 200),
    (bookthief.build, {}, 404),
    (bookthief.build, {"BOOKTHIEF_EXPECTED_RESPONSE_CODE": "403"}, 403),
    (bookthief.build, {"BOOKTHIEF_EXPECTED_RESPONSE_CODE": "503"}, 503),
]


@pytest.mark.parametrize(("build", "environment", "status"), EXPECTED)
def test_the_expected_code_comes_from_the_environment(
    build: Build, environment: Mapping[str, str], status: int
) -> None:
    with running(build, environment) as run:
        assert shopper_of(run).settings.expected_status == status


def test_a_thief_that_expects_a_refusal_succeeds_when_it_is_refused() -> None:
    with recording(*PATHS) as (store, url):
        environment = {"BOOKTHIEF_EXPECTED_RESPONSE_CODE": "403", "BOOKSTORE_URL": url}
        with running(bookthief.build, environment) as run:
            assert shopper_of(run).iterate()
            assert "is 403, as expected (refused by the mesh)" in run.log.getvalue()
            assert "ERROR" not in run.log.getvalue()
            open_store(store)
            assert not shopper_of(run).iterate()
            assert run.raw() == {"booksStolen": 1, "booksStolenV1": 1, "booksStolenV2": 0}


def test_the_loop_repeats_after_the_pause_and_tells_success() -> None:
    with recording(*PATHS) as (store, url):
        open_store(store)
        environment = {"BOOKSTORE_URL": url, "CI_SLEEP_BETWEEN_REQUESTS": "0.01"}
        with running(bookbuyer.build, environment, start=True) as run:
            shopper = shopper_of(run)
            wait_until(lambda: shopper.counters["booksBought"] >= 5, "five books are bought")
            assert run.log.getvalue().count(SUCCESS) == 1


def test_the_loop_goes_on_after_hangs_and_refusals() -> None:
    with recording(*PATHS) as (store, url):
        environment = {"BOOKSTORE_URL": url, "CI_SLEEP_BETWEEN_REQUESTS_SECONDS": "0.01"}
        with running(bookbuyer.build, environment, start=True) as run:
            wait_until(lambda: len(store.requests) > 4, "several refused requests")
            open_store(store, "bookstore-v2")
            shopper = shopper_of(run)
            wait_until(lambda: shopper.counters["booksBoughtV2"] > 0, "a book is bought")


def test_several_connections_shop_at_the_same_time() -> None:
    with recording(*PATHS) as (store, url):
        store.delay_s = 1.0
        environment = {"BOOKSTORE_URL": url, "CI_CLIENT_CONCURRENT_CONNECTIONS": "3"}
        with running(bookbuyer.build, environment, start=True):
            wait_until(lambda: len(store.requests) == 3, "three requests wait", within_s=0.9)


VERDICTS = [
    ("1", 1, 0, ["S"]),
    ("0", 1, 0, [""]),
    ("1111", 1, 0, ["S", "", "", ""]),
    ("101", 1, 0, ["S", "", "S"]),
    ("1101111", 3, 0, ["", "", "", "", "", "S", ""]),
    ("000", 1, 3, ["", "", "F"]),
    ("001", 1, 3, ["", "", "S"]),
    ("100", 1, 3, ["S", "", "F"]),
    ("011", 1, 1, ["F", "", ""]),
    ("0001", 1, 2, ["", "F", "", ""]),
]


@pytest.mark.parametrize(("answers", "streak", "most", "told"), VERDICTS)
def test_success_is_a_streak_and_failure_is_too_many_iterations(
    answers: str, streak: int, most: int, told: list[str]
) -> None:
    verdict = Verdict(streak, most)
    lines = [verdict.after(good=answer == "1") for answer in answers]
    words = {SUCCESS: "S", FAILURE: "F"}
    assert ["".join(words.get(line, "") for line in each) for each in lines] == told


def test_the_words_of_the_verdict_are_osms() -> None:
    assert SUCCESS == "MAESTRO! THIS TEST SUCCEEDED!"
    assert FAILURE == "MAESTRO, WE HAVE A PROBLEM! THIS TEST FAILED!"
    assert Verdict(1, 1).after(good=False) == ("Threshold of 1 iterations exceeded", FAILURE)


def test_too_many_iterations_are_a_failure_in_the_log_and_the_loop_goes_on() -> None:
    with recording(*PATHS) as (store, url):
        environment = {
            "BOOKSTORE_URL": url,
            "CI_SLEEP_BETWEEN_REQUESTS": "0",
            "CI_MAX_ITERATIONS_THRESHOLD": "2",
        }
        with running(bookbuyer.build, environment, start=True) as run:
            wait_until(lambda: len(store.requests) > 8, "more than the allowed iterations")
            assert run.log.getvalue().count(FAILURE) == 1


WRONG = [
    ("CI_SLEEP_BETWEEN_REQUESTS", "soon"),
    ("CI_SLEEP_BETWEEN_REQUESTS", "-1"),
    ("CI_SLEEP_BETWEEN_REQUESTS", "nan"),
    ("CI_SLEEP_BETWEEN_REQUESTS", "inf"),
    ("CI_CLIENT_CONCURRENT_CONNECTIONS", "0"),
    ("CI_MAX_ITERATIONS_THRESHOLD", "1.5"),
    ("BOOKBUYER_EXPECTED_RESPONSE_CODE", "ok"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        bookbuyer.build({name: value}, Journal())
    assert value in refused.value.message
    assert refused.value.hint


def test_the_page_says_who_it_is_and_where_requests_go_and_needs_nothing_else() -> None:
    with running(bookthief.build, {"BOOKSTORE_SVC": "<b>shop"}) as run:
        answer = run.ask("/")
    page = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>bookthief</h1>" in page
    assert "http://&lt;b&gt;shop.bookstore.svc.cluster.local:14001" in page
    assert "<b>shop" not in page
    assert "[[" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "").replace(
        "http://&lt;b&gt;shop.bookstore", ""
    )
