"""bookwarehouse and its database: a real Valkey server on a free port."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest
from tests.unit.demo.apps import LOOPBACK, database, free_port, running, wait_until

from osm.demo import bookstore, bookwarehouse
from osm.demo.bookwarehouse import database_address
from osm.demo.valkey import Valkey, ValkeyError
from osm.demo.verdict import SUCCESS


def client_of(port: int, timeout_s: float = 2.0) -> closing[Valkey]:
    return closing(Valkey(lambda: (LOOPBACK, port), timeout_s))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    chosen = free_port()
    with database(chosen):
        yield chosen


@pytest.fixture
def place(port: int) -> dict[str, str]:
    with client_of(port) as client:
        client.write("total-books", 0)
    return {"DATABASE_HOST": LOOPBACK, "DATABASE_PORT": str(port)}


@pytest.mark.parametrize("path", ["/", "/restock-books"])
def test_restocking_is_confirmed_and_kept_in_the_database(
    path: str, place: dict[str, str], port: int
) -> None:
    with running(bookwarehouse.build, place) as run:
        answer = run.ask(path, "POST", b"5")
        assert (answer.status, json.loads(answer.body)) == (200, {"restocked": 5})
        run.ask(path, "POST", b"2")
        assert run.raw() == {"totalBooks": 7}
    with client_of(port) as client:
        assert client.read("total-books") == 7


def test_the_total_outlives_the_warehouse(place: dict[str, str]) -> None:
    with running(bookwarehouse.build, place) as run:
        run.ask("/restock-books", "POST", b"3")
    with running(bookwarehouse.build, place) as run:
        assert run.raw() == {"totalBooks": 3}


def test_reset_sets_the_total_to_zero(place: dict[str, str]) -> None:
    with running(bookwarehouse.build, place) as run:
        run.ask("/restock-books", "POST", b"3")
        assert run.ask("/reset").status == 200
        assert run.raw() == {"totalBooks": 0}


@pytest.mark.parametrize("body", [b"", b"many", b"-2", b"1; FLUSHALL", b"1\r\nFLUSHALL"])
def test_a_body_that_is_no_number_of_books_changes_nothing(
    body: bytes, place: dict[str, str]
) -> None:
    with running(bookwarehouse.build, place) as run:
        run.ask("/restock-books", "POST", b"4")
        assert run.ask("/restock-books", "POST", body).status == 400
        assert run.raw() == {"totalBooks": 4}


def test_success_is_told_once_after_three_restocks(place: dict[str, str]) -> None:
    with running(bookwarehouse.build, place) as run:
        told = []
        for _ in range(5):
            run.ask("/restock-books", "POST", b"1")
            told.append(run.log.getvalue().count(SUCCESS))
    assert told == [0, 0, 1, 1, 1]


def test_a_sale_at_the_bookstore_arrives_in_the_database(place: dict[str, str]) -> None:
    with running(bookwarehouse.build, place) as warehouse:
        environment = {"RESPONSE_DELAY_MS": "0", "BOOKWAREHOUSE_URL": warehouse.url}
        with running(bookstore.build, environment, start=True) as store:
            for _ in range(4):
                store.ask("/buy-a-book/new")
            wait_until(lambda: warehouse.raw() == {"totalBooks": 4}, "four books are restocked")


def test_many_restocks_at_once_are_all_counted(place: dict[str, str]) -> None:
    with running(bookwarehouse.build, place) as run:
        clients = [
            threading.Thread(
                target=lambda: [run.ask("/restock-books", "POST", b"1") for _ in range(10)]
            )
            for _ in range(4)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(20)
        assert run.raw() == {"totalBooks": 40}


def test_a_missing_database_is_a_503_that_says_so_and_heals_by_itself() -> None:
    chosen = free_port()
    place = {"DATABASE_HOST": LOOPBACK, "DATABASE_PORT": str(chosen)}
    with running(bookwarehouse.build, place) as run:
        for answer in (run.ask("/raw"), run.ask("/restock-books", "POST", b"1"), run.ask("/reset")):
            assert answer.status == 503
            assert "the database cannot be reached" in json.loads(answer.body)["error"]
        assert run.ask("/").status == 200
        assert run.ask("/readiness").status == 200
        with database(chosen):
            assert run.ask("/restock-books", "POST", b"1").status == 200
        assert run.ask("/restock-books", "POST", b"1").status == 503
        with database(chosen):
            assert run.ask("/restock-books", "POST", b"2").status == 200
            assert run.raw() == {"totalBooks": 2}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"-ERR unknown command\r\n", "refused: ERR unknown command"),
        (b"HTTP/1.1 400 Bad Request\r\n", "this is no database"),
        (b"+many\r\n", "many"),
        (b"", "cannot be reached"),
        (b"$" + b"9" * 70_000, "too long"),
    ],
)
def test_a_database_that_answers_nonsense_is_an_error(answer: bytes, message: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(100)
                peer.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        client = client_of(listener.getsockname()[1])
        with client as database_client, pytest.raises(ValkeyError, match=message):
            database_client.read("total-books")
        server.join(5)


def test_a_database_that_says_nothing_is_given_up() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        client = client_of(listener.getsockname()[1], timeout_s=0.05)
        with client as database_client, pytest.raises(ValkeyError, match="timed out"):
            database_client.increase("total-books", 1)


NAME = "database.bookwarehouse.svc.cluster.local"
ADDRESSES: list[tuple[Mapping[str, str], bool, tuple[str, int]]] = [
    ({}, True, (NAME, 6379)),
    ({}, False, (NAME, 6379)),
    ({"DATABASE_HOST": "db", "DATABASE_PORT": "1"}, False, ("db", 1)),
    ({"DATABASE_HOST": "db", "DATABASE_SERVICE_HOST": "127.9.9.9"}, False, ("db", 6379)),
    ({"DATABASE_SERVICE_HOST": "127.9.9.9"}, True, (NAME, 6379)),
    ({"DATABASE_SERVICE_HOST": "127.9.9.9"}, False, ("127.9.9.9", 6379)),
    (
        {"DATABASE_SERVICE_HOST": "127.9.9.9", "DATABASE_SERVICE_PORT": "7000"},
        False,
        ("127.9.9.9", 7000),
    ),
    ({"DATABASE_PORT": "tcp://10.0.0.1:6379"}, True, (NAME, 6379)),
]


@pytest.mark.parametrize(("environment", "resolves", "address"), ADDRESSES)
def test_the_database_is_found_by_name_or_by_what_the_platform_says(
    environment: Mapping[str, str],
    resolves: bool,  # noqa: FBT001 - a column of the table
    address: tuple[str, int],
) -> None:
    assert database_address(environment, lambda _: resolves) == address
