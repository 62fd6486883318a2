"""Background tasks that live as long as a context."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


class BackgroundTasks(asyncio.TaskGroup):
    """A task group that does not wait for its tasks: they are cancelled when its context ends."""

    def __init__(self) -> None:
        super().__init__()
        self._background: list[asyncio.Task[object]] = []

    def spawn(self, work: Coroutine[object, object, object]) -> None:
        self._background.append(self.create_task(work))

    def cancel(self) -> None:
        for task in self._background:
            task.cancel()


@asynccontextmanager
async def background_tasks() -> AsyncIterator[BackgroundTasks]:
    """Use as a context; if one of the tasks fails, so does the context."""
    async with BackgroundTasks() as group:
        try:
            yield group
        finally:
            group.cancel()
