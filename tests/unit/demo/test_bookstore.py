"""bookstore: what it sells, counts, echoes, and orders from the warehouse."""

import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from tests.unit.demo.apps import free_port, recording, running, wait_until

from osm.demo import bookstore
from osm.demo.bookstore import BUSY_S, whole_number
from osm.demo.client import Answer, fetch
from osm.demo.server import LARGEST_BODY, Response
from osm.demo.settings import span_s
from osm.errors import ConfigError

QUICK = {"IDENTITY": "bookstore-v1", "RESPONSE_DELAY_MS": "0"}


def test_each_sale_counts_and_tells_identity_and_count() -> None:
    with running(bookstore.build, QUICK) as run:
        for count in (1, 2, 3):
            answer = run.ask("/buy-a-book/new")
            assert answer.status == 200
            assert answer.headers["identity"] == "bookstore-v1"
            assert answer.headers["booksbought"] == str(count)
        assert run.raw() == {"booksSold": 3}


def test_asking_for_the_count_sells_nothing() -> None:
    with running(bookstore.build, QUICK) as run:
        run.ask("/buy-a-book/new")
        answer = run.ask("/books-bought")
        assert (answer.status, answer.headers["booksbought"]) == (200, "1")
        assert answer.headers["identity"] == "bookstore-v1"
        assert run.raw() == {"booksSold": 1}


def test_the_count_can_be_set_and_reset() -> None:
    with running(bookstore.build, QUICK) as run:
        assert run.ask("/books-bought", "POST", b"41").headers["booksbought"] == "41"
        run.ask("/buy-a-book/new")
        assert run.raw() == {"booksSold": 42}
        assert run.ask("/reset").status == 200
        assert run.raw() == {"booksSold": 0}


@pytest.mark.parametrize("body", [b"", b"seven", b"-1", b"1.5", b"9" * 17, "\u0661".encode()])
def test_a_count_that_is_no_whole_number_is_refused(body: bytes) -> None:
    with running(bookstore.build, QUICK) as run:
        assert run.ask("/books-bought", "POST", body).status == 400
        assert run.raw() == {"booksSold": 0}


@pytest.mark.parametrize(
    ("body", "number"), [(b"0", 0), (b" 12\n", 12), (b"x", None), (str(2**53 + 1).encode(), None)]
)
def test_a_body_is_a_whole_number_or_nothing(body: bytes, number: int | None) -> None:
    assert whole_number(body) == number


@pytest.mark.parametrize("path", ["/liveness", "/readiness", "/startup"])
def test_health_checks_answer(path: str) -> None:
    with running(bookstore.build, QUICK) as run:
        answer = run.ask(path)
    assert answer.status == 200
    assert answer.body


TRACING = {"x-request-id": "r1", "x-b3-traceid": "t1", "x-b3-sampled": "1", "traceparent": "00-1"}


@pytest.mark.parametrize("path", ["/books-bought", "/buy-a-book/new"])
def test_tracing_headers_come_back_and_no_others(path: str) -> None:
    with running(bookstore.build, QUICK) as run:
        answer = run.ask(path, headers={**TRACING, "authorization": "secret"})
    for name, value in TRACING.items():
        assert answer.headers[name] == value
    assert "authorization" not in answer.headers
    assert "secret" not in run.log.getvalue()


def test_each_sale_orders_one_book_from_the_warehouse() -> None:
    with recording("/restock-books") as (warehouse, url):
        warehouse.responses = {"/restock-books": Response(200, b'{"restocked": 1}')}
        environment = {**QUICK, "BOOKWAREHOUSE_URL": url}
        with running(bookstore.build, environment, start=True) as run:
            run.ask("/buy-a-book/new", headers=TRACING)
            run.ask("/buy-a-book/new", headers=TRACING)
            wait_until(lambda: run.log.getvalue().count("restocked 1 book") == 2, "two orders")
    for order in warehouse.requests:
        assert (order.method, order.body) == ("POST", b"1")
        assert order.headers["host"] == "bookwarehouse.bookwarehouse"
        assert TRACING.items() <= order.headers.items()


def test_a_sale_does_not_wait_for_the_warehouse_and_survives_its_refusal() -> None:
    with recording("/restock-books") as (warehouse, url):
        warehouse.delay_s = 0.5
        environment = {**QUICK, "BOOKWAREHOUSE_URL": url}
        with running(bookstore.build, environment, start=True) as run:
            assert run.ask("/buy-a-book/new").status == 200
            assert "cannot restock" not in run.log.getvalue()
            wait_until(lambda: "cannot restock: 403" in run.log.getvalue(), "the refusal is told")
            assert run.ask("/buy-a-book/new").status == 200


def test_an_absent_warehouse_is_told_and_disturbs_nobody() -> None:
    environment = {**QUICK, "BOOKWAREHOUSE_URL": f"http://127.0.0.1:{free_port()}"}
    with running(bookstore.build, environment, start=True) as run:
        assert run.ask("/buy-a-book/new").status == 200
        wait_until(lambda: "cannot restock: 0" in run.log.getvalue(), "the failure is told")


def test_the_warehouse_is_called_by_its_full_name() -> None:
    with running(bookstore.build, {**QUICK, "BOOKWAREHOUSE_NAMESPACE": "depot"}) as run:
        page = run.ask("/").body.decode()
    assert "http://bookwarehouse.depot.svc.cluster.local:14001/restock-books" in page
    assert "<h1>bookstore-v1</h1>" in page


def test_a_sale_takes_its_time() -> None:
    assert BUSY_S == (0.15, 0.75)
    with running(bookstore.build, {"RESPONSE_DELAY_MS": "60-70"}) as run:
        begun = time.monotonic()
        run.ask("/buy-a-book/new")
        assert time.monotonic() - begun >= 0.06
        begun = time.monotonic()
        run.ask("/books-bought")
        assert time.monotonic() - begun < 0.06


@pytest.mark.parametrize(
    ("written", "span"), [("", (1.0, 2.0)), ("20", (0.02, 0.02)), ("150-750", (0.15, 0.75))]
)
def test_a_delay_is_one_number_or_a_span(written: str, span: tuple[float, float]) -> None:
    assert span_s({"D": written}, "D", (1.0, 2.0)) == span


@pytest.mark.parametrize("written", ["fast", "9-1", "-5", "1-", "nan"])
def test_a_delay_that_makes_no_sense_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match="D is"):
        span_s({"D": written}, "D", (1.0, 2.0))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/buy-a-book/new", 405), ("HEAD", "/books-bought", 200)],
)
def test_other_paths_and_methods_are_refused(method: str, path: str, status: int) -> None:
    with running(bookstore.build, QUICK) as run:
        answer = run.ask(path, method)
        assert answer.status == status
        assert run.raw() == {"booksSold": 0}


def test_a_folded_header_comes_back_as_one_line() -> None:
    with running(bookstore.build, QUICK) as run:
        place = urlsplit(run.url)
        with socket.create_connection((place.hostname, place.port), 2) as peer:
            peer.sendall(
                b"GET /books-bought HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                b"x-request-id: one\r\n Set-Cookie: two\r\n\r\n"
            )
            answer = b""
            while piece := peer.recv(4096):
                answer += piece
    assert b"x-request-id: one Set-Cookie: two\r\n" in answer
    assert b"\nSet-Cookie" not in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": str(LARGEST_BODY + 1)}, 413),
        ({"Content-Length": "-1"}, 413),
        ({"Content-Length": "many"}, 413),
    ],
)
def test_a_body_without_a_usable_length_is_refused_and_the_connection_closed(
    headers: dict[str, str], status: int
) -> None:
    with running(bookstore.build, QUICK) as run:
        place = urlsplit(run.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=2)
        connection.putrequest("POST", "/books-bought")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == status
        assert response.getheader("Connection") == "close"
        response.read()
        connection.close()


def test_a_connection_serves_many_requests() -> None:
    with running(bookstore.build, QUICK) as run:
        place = urlsplit(run.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=2)
        connection.connect()
        before = connection.sock
        for _ in range(3):
            connection.request("POST", "/books-bought", body="1")
            connection.getresponse().read()
        assert connection.sock is before
        connection.close()


def test_a_running_sale_is_finished_when_the_server_stops() -> None:
    answers: list[Answer] = []
    with running(bookstore.build, {"RESPONSE_DELAY_MS": "300"}) as run:
        url = f"{run.url}/buy-a-book/new"
        sale = threading.Thread(
            target=lambda: answers.append(fetch("GET", url, {}, environment={}))
        )
        sale.start()
        wait_until(lambda: "sold a book" in run.log.getvalue(), "the sale has begun")
    sale.join(2)
    assert [answer.status for answer in answers] == [200]
