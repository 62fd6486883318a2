"""Restocking: the bookstore orders each book that it sells again, in the background."""

import contextlib
import queue
import threading
from collections.abc import Mapping

from osm.demo.client import fetch
from osm.demo.journal import Journal, one_line
from osm.demo.settings import Environment, text

WORKERS = 2
LONGEST_QUEUE = 100


class Restocker:
    """Order books one by one. Orders are dropped when too many of them wait."""

    def __init__(self, environment: Environment, journal: Journal) -> None:
        namespace = text(environment, "BOOKWAREHOUSE_NAMESPACE", "bookwarehouse")
        self.host = f"bookwarehouse.{namespace}"
        warehouse = text(
            environment, "BOOKWAREHOUSE_URL", f"http://{self.host}.svc.cluster.local:14001"
        ).rstrip("/")
        self.url = f"{warehouse}/restock-books"
        self._environment = environment
        self._journal = journal
        self._orders: queue.Queue[Mapping[str, str] | None] = queue.Queue(LONGEST_QUEUE)

    def start(self) -> None:
        for index in range(WORKERS):
            threading.Thread(target=self._run, name=f"restock-{index}", daemon=True).start()

    def stop(self) -> None:
        """Forget what waits, and let the workers end."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._orders.get_nowait()
        for _ in range(WORKERS):
            self._orders.put_nowait(None)

    def order(self, tracing: Mapping[str, str]) -> None:
        """Order one book, with the tracing headers of the sale that it replaces."""
        try:
            self._orders.put_nowait(tracing)
        except queue.Full:
            self._journal.say("too many orders wait for the warehouse: one dropped", "bad")

    def _run(self) -> None:
        while (tracing := self._orders.get()) is not None:
            self._send(tracing)

    def _send(self, tracing: Mapping[str, str]) -> None:
        # OSM's bookstore sends the short name as Host: routes must know a service by all its names.
        headers = {**tracing, "host": self.host, "content-type": "text/plain"}
        answer = fetch("POST", self.url, headers, b"1", environment=self._environment)
        if answer.status == 200:
            self._journal.say("restocked 1 book")
        else:
            reason = one_line(answer.error or answer.body.decode(errors="replace").strip())
            self._journal.say(f"cannot restock: {answer.status} from {self.url}: {reason}", "bad")
