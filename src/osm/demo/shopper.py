"""What bookbuyer and bookthief have in common: they ask the bookstore for books, again and again.

Both send `client-app: bookbuyer`: a header is not an identity, and the thief shows it.
"""

import random
import threading
import time
from typing import NamedTuple

from osm.demo.client import fetch
from osm.demo.counters import Counters
from osm.demo.journal import Journal
from osm.demo.page import Page, activity
from osm.demo.server import Request, Response, Routes, json_response
from osm.demo.settings import Environment, number, text, whole
from osm.demo.verdict import Verdict

OK = 200
FIRST_ERROR = 400

USER_AGENT = "Go-http-client/1.1"
"""What OSM's bookbuyer, a Go program, says it is: access policies written for OSM match on it."""


class Trade(NamedTuple):
    """What a shopper is called and what it does. `deed` is in the past tense: `bought`."""

    name: str
    deed: str
    expected_variable: str
    expected_status: int
    page: Page

    @property
    def counters(self) -> tuple[str, str, str]:
        total = f"books{self.deed.capitalize()}"
        return total, f"{total}V1", f"{total}V2"


class ShopperSettings(NamedTuple):
    """Where a shopper goes, how often, and what it expects."""

    store: str
    """`http://<host>:<port>` of the bookstore."""
    expected_status: int
    pause_s: float
    threads: int
    streak: int
    most_iterations: int
    egress: tuple[str, ...]

    @classmethod
    def read(cls, environment: Environment, trade: Trade) -> "ShopperSettings":
        service = text(environment, "BOOKSTORE_SVC", "bookstore")
        namespace = text(environment, "BOOKSTORE_NAMESPACE", "bookstore")
        store = f"http://{service}.{namespace}.svc.cluster.local:14001"
        seconds = number(environment, "CI_SLEEP_BETWEEN_REQUESTS", 1.0)
        wanted = text(environment, "ENABLE_EGRESS", "false").lower() == "true"
        return cls(
            # For trying an application without a mesh and without name resolution.
            store=text(environment, "BOOKSTORE_URL", store).rstrip("/"),
            expected_status=whole(environment, trade.expected_variable, trade.expected_status),
            pause_s=number(environment, "CI_SLEEP_BETWEEN_REQUESTS_SECONDS", seconds),
            threads=whole(environment, "CI_CLIENT_CONCURRENT_CONNECTIONS", 1, least=1),
            streak=whole(environment, "CI_MIN_SUCCESS_THRESHOLD", 1, least=1),
            most_iterations=whole(environment, "CI_MAX_ITERATIONS_THRESHOLD", 0),
            egress=("edition.cnn.com", "github.com") if wanted else (),
        )


class Shopper:
    """Asks for `/books-bought` and `/buy-a-book/new` in every iteration, in any order."""

    def __init__(self, trade: Trade, environment: Environment, journal: Journal) -> None:
        self.name = trade.name
        self.trade = trade
        self.settings = ShopperSettings.read(environment, trade)
        self.environment = environment
        self.journal = journal
        self.counters = Counters(trade.counters)
        self._ended = threading.Event()

    def routes(self) -> Routes:
        return {
            ("GET", "/"): lambda _: self.trade.page.response(self.name, self.settings.store),
            ("GET", "/raw"): lambda _: json_response(self.counters.values()),
            ("GET", "/activity"): lambda _: activity(self.journal),
            ("GET", "/reset"): self._reset,
            ("POST", "/reset"): self._reset,
        }

    def start(self) -> None:
        for index in range(self.settings.threads):
            threading.Thread(target=self._run, name=f"shop-{index}", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def iterate(self) -> bool:
        """Ask for everything once, and return whether every answer was the expected one."""
        store, expected = self.settings.store, self.settings.expected_status
        browse = {"client-app": "bookbuyer", "user-agent": USER_AGENT}
        visits: list[tuple[str, dict[str, str], tuple[int, ...]]] = [
            (f"{store}/books-bought", browse, (expected,)),
            (f"{store}/buy-a-book/new", {"user-agent": USER_AGENT}, (expected,)),
        ]
        if self.settings.egress:
            host = random.choice(self.settings.egress)  # noqa: S311 - no secret
            # Sites answer with a redirect or with a page: either came from outside.
            reached = (200, 301, 302, 307, 308)
            visits += [(f"{scheme}://{host}/", {}, reached) for scheme in ("http", "https")]
        random.shuffle(visits)
        answered = [self._visit(*visit) for visit in visits]  # every one, whatever came before
        return all(answered)

    def _visit(self, url: str, headers: dict[str, str], expected: tuple[int, ...]) -> bool:
        answer = fetch("GET", url, headers, environment=self.environment)
        if answer.status == OK and url.endswith("/buy-a-book/new"):
            self._count(answer.headers.get("identity", ""))
        code = f'response code for "{url}" is {answer.status}'
        refused = answer.status == 0 or answer.status >= FIRST_ERROR
        reason = answer.error or answer.body.decode(errors="replace").strip()
        why = f" ({reason})" if reason and refused else ""
        if answer.status not in expected:
            self.journal.say(f"ERROR: {code};  expected {expected[0]}{why}", "bad")
            return False
        if refused:
            self.journal.say(f"{code}, as expected{why}", "bad")
        return True

    def _count(self, identity: str) -> None:
        total, first, second = self.trade.counters
        for prefix, counter in (("bookstore-v1", first), ("bookstore-v2", second)):
            if identity.startswith(prefix):
                self.counters.add(total, counter)
                deed = f"{self.trade.deed} a book from {identity}"
                self.journal.say(f"{deed} (total {self.counters[total]})", "good")
                return
        self.journal.say(f'not counted: a book from "{identity}", which is no bookstore', "bad")

    def _reset(self, _: Request) -> Response:
        self.counters.reset()
        self.journal.say("counters set to 0")
        return json_response(self.counters.values())

    def _run(self) -> None:
        verdict = Verdict(self.settings.streak, self.settings.most_iterations)
        while not self._ended.is_set():
            begun = time.monotonic()
            for line in verdict.after(good=self.iterate()):
                self.journal.say(line)
            self._ended.wait(max(0.0, self.settings.pause_s - (time.monotonic() - begun)))
