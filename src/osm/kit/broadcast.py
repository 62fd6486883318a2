"""One writer, many readers that never hold the writer up.

`Broadcast` gives each reader every value, up to a limit; `Conflation` gives each reader the newest
value of each key; `Latest` gives each reader the newest value. All belong to one event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Broadcast(Generic[T]):
    """Each reader sees every value since it subscribed; a slow one loses its oldest values."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._readers: dict[asyncio.Event, deque[T]] = {}
        self.dropped = 0
        """Values that slow readers lost, in all."""

    def publish(self, value: T) -> None:
        for arrived, waiting in self._readers.items():
            self.dropped += len(waiting) == self._capacity
            waiting.append(value)
            arrived.set()

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[T]]:
        """`with broadcast.subscribe() as values:` then `async for value in values:`."""
        arrived, waiting = asyncio.Event(), deque[T](maxlen=self._capacity)
        self._readers[arrived] = waiting
        try:
            yield _values(arrived, lambda: bool(waiting), waiting.popleft)
        finally:
            del self._readers[arrived]


class Conflation(Generic[K, T]):
    """Each reader sees the newest value of each key that was published since it last looked."""

    def __init__(self) -> None:
        self._readers: dict[asyncio.Event, dict[K, T]] = {}

    def publish(self, key: K, value: T) -> None:
        for arrived, waiting in self._readers.items():
            waiting[key] = value
            arrived.set()

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[tuple[K, T]]]:
        """Keys and values from now on, keys in the order in which they first changed."""
        arrived, waiting = asyncio.Event(), dict[K, T]()
        self._readers[arrived] = waiting

        def take() -> tuple[K, T]:
            key = next(iter(waiting))
            return key, waiting.pop(key)

        try:
            yield _values(arrived, lambda: bool(waiting), take)
        finally:
            del self._readers[arrived]


async def _values(
    arrived: asyncio.Event,
    more: Callable[[], bool],
    take: Callable[[], T],
) -> AsyncGenerator[T, None]:
    while True:
        await arrived.wait()
        arrived.clear()
        while more():
            yield take()
