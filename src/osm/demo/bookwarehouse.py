"""bookwarehouse: restocks the bookstore, and keeps the total in a database, reached over TCP."""

import socket
import sys
from collections.abc import Callable

from osm.demo.bookstore import whole_number
from osm.demo.journal import Journal
from osm.demo.page import Counter, Page, activity
from osm.demo.process import main
from osm.demo.server import Request, Response, Routes, json_response
from osm.demo.settings import Environment, text
from osm.demo.valkey import Address, Valkey, ValkeyError
from osm.demo.verdict import SUCCESS

KEY = "total-books"
TOTAL = "totalBooks"
DATABASE_PORT = 6379
RESTOCKS_FOR_SUCCESS = 3

PAGE = Page(
    title="bookwarehouse",
    blurb="Restocks the bookstore, and keeps count in a database.",
    colour="#9a5b00",
    night_colour="#f5b14c",
    counters=(Counter(TOTAL, "books restocked in total"),),
    destination_label="counts in",
)


class Bookwarehouse:
    """Has no counter of its own: what it shows is what the database says."""

    name = "bookwarehouse"

    def __init__(self, environment: Environment, journal: Journal) -> None:
        self._identity = text(environment, "IDENTITY", self.name)
        self._address: Address | None = None
        self._environment = environment
        self._journal = journal
        self._database = Valkey(self._database_address)
        self._restocks = 0

    def routes(self) -> Routes:
        return {
            ("GET", "/"): self._show,
            ("GET", "/raw"): lambda _: self._total(),
            ("GET", "/activity"): lambda _: activity(self._journal),
            ("GET", "/reset"): self._reset,
            ("POST", "/reset"): self._reset,
            ("POST", "/"): self._restock,
            ("POST", "/restock-books"): self._restock,
        }

    def start(self) -> None:
        """Do nothing: the database is called when somebody asks."""

    def stop(self) -> None:
        self._database.close()

    def _database_address(self) -> Address:
        # Decided once: where names do not resolve, asking each time would take seconds.
        if self._address is None:
            self._address = database_address(self._environment, resolves)
        return self._address

    def _show(self, _: Request) -> Response:
        host, port = self._database_address()
        return PAGE.response(self._identity, f"{host}:{port}")

    def _restock(self, request: Request) -> Response:
        books = whole_number(request.body)
        if books is None:
            return json_response({"error": "send the number of books as the body, such as 1"}, 400)
        try:
            total = self._database.increase(KEY, books)
        except ValkeyError as failure:
            return self._unavailable(failure)
        self._journal.say(f"restocked {books} (total {total})", "good")
        self._restocks += 1
        if self._restocks == RESTOCKS_FOR_SUCCESS:
            self._journal.say(SUCCESS)
        return json_response({"restocked": books}, headers=(("Identity", self._identity),))

    def _total(self) -> Response:
        try:
            return json_response({TOTAL: self._database.read(KEY)})
        except ValkeyError as failure:
            return self._unavailable(failure, quiet=True)

    def _reset(self, _: Request) -> Response:
        try:
            self._database.write(KEY, 0)
        except ValkeyError as failure:
            return self._unavailable(failure)
        self._journal.say("total set to 0")
        return json_response({TOTAL: 0})

    def _unavailable(self, failure: ValkeyError, *, quiet: bool = False) -> Response:
        if not quiet:
            self._journal.say(str(failure), "bad")
        return json_response({"error": str(failure)}, 503)


def database_address(environment: Environment, resolves: Callable[[str], bool]) -> Address:
    """Return where the database is.

    `DATABASE_HOST` says so. Without it, it is the service's name; or, where that does not resolve,
    the address that the platform gives in `DATABASE_SERVICE_HOST`.
    """
    namespace = text(environment, "DATABASE_NAMESPACE", "bookwarehouse")
    service = f"database.{namespace}.svc.cluster.local"
    host = text(environment, "DATABASE_HOST", "")
    given = text(environment, "DATABASE_SERVICE_HOST", "")
    if host:
        return host, _port(environment, "DATABASE_PORT")
    if given and not resolves(service):
        return given, _port(environment, "DATABASE_SERVICE_PORT")
    return service, _port(environment, "DATABASE_PORT")


def _port(environment: Environment, name: str) -> int:
    # Kubernetes sets DATABASE_PORT=tcp://10.0.0.1:6379 for a service called "database".
    written = text(environment, name, "")
    return int(written) if written.isdigit() else DATABASE_PORT


def resolves(host: str) -> bool:
    """Tell whether a name has an address here."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return True


def build(environment: Environment, journal: Journal) -> Bookwarehouse:
    """Return the application, not yet started."""
    return Bookwarehouse(environment, journal)


if __name__ == "__main__":
    sys.exit(main("bookwarehouse", 14001, build))
