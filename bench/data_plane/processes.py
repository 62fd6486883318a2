"""Processes that a measurement starts, and that end with it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path


class Processes:
    """Starts processes whose output goes to files of one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: dict[int, asyncio.subprocess.Process] = {}

    async def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Start a program; its output is in `<name>.out`."""
        with (self._directory / f"{name}.out").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        self._started[process.pid] = process
        return process

    def said(self, prefix: str) -> str:
        """The last words of the processes whose names begin so."""
        files = sorted(self._directory.glob(f"{prefix}.*.out"))
        return " ".join(file.read_text(errors="replace")[-1000:] for file in files).strip()

    async def end(self, pid: int) -> None:
        """End one of them: SIGTERM, and SIGKILL after five seconds."""
        process = self._started.pop(pid)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def end_all(self) -> None:
        """End all of them, the last first."""
        for pid in reversed(tuple(self._started)):
            await self.end(pid)


@asynccontextmanager
async def processes(directory: Path) -> AsyncIterator[Processes]:
    """Start processes that end with the context."""
    started = Processes(directory)
    try:
        yield started
    finally:
        await started.end_all()


async def output_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end; gives what it prints. Raises `RuntimeError` when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]}: {err.decode(errors='replace')[-1000:]}")
    return out.decode()


async def wait_until(condition: Callable[[], bool], what: str, *, within: float) -> None:
    """Wait for something that can only be looked at. Raises `RuntimeError`."""
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RuntimeError(f"not within {within:.0f} s: {what}") from None
