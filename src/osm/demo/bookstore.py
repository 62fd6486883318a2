"""bookstore: sells books and restocks each. IDENTITY says which version of it this is."""

import random
import sys
import time
from collections.abc import Mapping

from osm.demo.counters import Counters
from osm.demo.journal import Journal
from osm.demo.page import Counter, Page, activity
from osm.demo.process import main
from osm.demo.restock import Restocker
from osm.demo.server import Request, Response, Routes, json_response, text_response
from osm.demo.settings import Environment, span_s, text

SOLD = "booksSold"
BUSY_S = (0.15, 0.75)
COLOURS = {"bookstore-v1": ("#1f5fbf", "#79aefc"), "bookstore-v2": ("#7a3db8", "#c79bf7")}


class Bookstore:
    """Counts what it sells. Every answer has its identity, and the caller's tracing headers."""

    name = "bookstore"

    def __init__(self, environment: Environment, journal: Journal) -> None:
        self.identity = text(environment, "IDENTITY", "bookstore")
        self.counters = Counters((SOLD,))
        self._busy_s = span_s(environment, "RESPONSE_DELAY_MS", BUSY_S)
        self._journal = journal
        self._restocker = Restocker(environment, journal)
        day, night = COLOURS.get(self.identity, COLOURS["bookstore-v1"])
        self._page = Page(
            title=self.identity,
            blurb="Sells books, and orders each again from the warehouse.",
            colour=day,
            night_colour=night,
            counters=(Counter(SOLD, "books sold"),),
            destination_label="restocks from",
        )

    def routes(self) -> Routes:
        return {
            ("GET", "/"): lambda _: self._page.response(self.identity, self._restocker.url),
            ("GET", "/raw"): lambda _: json_response(self.counters.values()),
            ("GET", "/activity"): lambda _: activity(self._journal),
            ("GET", "/books-bought"): self._answer,
            ("POST", "/books-bought"): self._correct,
            ("GET", "/buy-a-book/new"): self._sell,
            ("GET", "/reset"): self._reset,
            ("POST", "/reset"): self._reset,
        }

    def start(self) -> None:
        self._restocker.start()

    def stop(self) -> None:
        self._restocker.stop()

    def _correct(self, request: Request) -> Response:
        count = whole_number(request.body)
        if count is None:
            return text_response("Send the number of books as the body, such as 7.", 400)
        self.counters.set(SOLD, count)
        self._journal.say(f"books sold set to {count}")
        return self._answer(request)

    def _sell(self, request: Request) -> Response:
        self.counters.add(SOLD)
        self._restocker.order(tracing_headers(request.headers))
        response = self._answer(request)
        self._journal.say(f"sold a book (total {self.counters[SOLD]})", "good")
        time.sleep(random.uniform(*self._busy_s))  # noqa: S311 - no secret
        return response

    def _reset(self, _: Request) -> Response:
        self.counters.reset()
        self._journal.say("counters set to 0")
        return json_response(self.counters.values())

    def _answer(self, request: Request) -> Response:
        sold = self.counters[SOLD]
        headers = {
            **tracing_headers(request.headers),
            "Booksbought": str(sold),
            "Identity": self.identity,
        }
        return json_response({SOLD: sold}, headers=tuple(headers.items()))


def tracing_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that tie the requests of one trace together: B3's and W3C's."""
    kept = ("x-request-id", "traceparent", "tracestate")
    return {
        name: value for name, value in headers.items() if name in kept or name.startswith("x-b3-")
    }


def whole_number(body: bytes) -> int | None:
    """Return the number that a body consists of, or None when it is not one from 0 to 2**53."""
    written = body.strip()
    if not (written.isdigit() and len(written) <= 16):
        return None
    number = int(written)
    return number if number <= 1 << 53 else None


def build(environment: Environment, journal: Journal) -> Bookstore:
    """Return the application, not yet started."""
    return Bookstore(environment, journal)


if __name__ == "__main__":
    sys.exit(main("bookstore", 14001, build))
