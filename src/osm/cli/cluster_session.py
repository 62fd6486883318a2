"""A cluster's API for code that does not await: an event loop in a thread, until it is closed.

Only verbs that keep something open need it (a forwarded port, a log that goes on); the others use
`cluster_options.on_cluster`.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from osm.cli.cluster_options import open_api_server
from osm.cli.command import Invocation
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.kubernetes.failure import explain

Answer = TypeVar("Answer")
_END_LIMIT_S = 5.0


class ClusterSession:
    """Connects when it is made. Raises the errors that people see. `close` it."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        self._opened: queue.SimpleQueue[ApiServer | BaseException] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete,
            args=(self._run(kubeconfig, context),),
            name="cluster",
            daemon=True,
        )
        self._thread.start()
        opened = self._opened.get()
        if isinstance(opened, BaseException):
            self.close()
            raise opened
        self.server = opened

    async def _run(self, kubeconfig: Path | None, context: str | None) -> None:
        try:
            async with open_api_server(kubeconfig, context) as server, self._stack:
                self._opened.put(server)
                await self._end.wait()
        except Exception as error:  # noqa: BLE001 - whoever waits for the answer raises it
            self._opened.put(error)

    def ask(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run something in the loop, and wait for its result."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except (Status, Unreachable) as error:
            raise explain(error) from error
        finally:
            future.cancel()

    def enter(self, manager: AbstractAsyncContextManager[Answer]) -> Answer:
        """Enter something that stays until the session ends."""
        return self.ask(self._stack.enter_async_context(manager))

    def each(self, source: Callable[[], AsyncIterator[Answer]]) -> Iterator[Answer]:
        """The items of an asynchronous iterator, as they come."""
        items: queue.SimpleQueue[tuple[Answer] | BaseException | None] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async for item in source():
                    items.put((item,))
                items.put(None)
            except Exception as error:  # noqa: BLE001 - whoever reads the items raises it
                items.put(error)

        future = asyncio.run_coroutine_threadsafe(pump(), self._loop)
        try:
            while (item := items.get()) is not None:
                if isinstance(item, Status | Unreachable):
                    raise explain(item) from item
                if isinstance(item, BaseException):
                    raise item
                yield item[0]
        finally:
            future.cancel()

    def close(self) -> None:
        """End what was entered, the connection, and the thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_END_LIMIT_S)
        if not self._thread.is_alive():
            self._loop.close()


def open_session(told: Invocation) -> ClusterSession:
    """Connect to the cluster that a command is about. Raises the errors that people see."""
    return ClusterSession(told.kubeconfig, told.context)
