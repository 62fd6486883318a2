"""The steps of a start, as lines."""

import time
from collections.abc import Callable

import msgspec

from osm.cli.render import one_line


class Step(msgspec.Struct):
    """One step: its state (`starting`, `ready`, `failed`), and how long it has taken."""

    name: str
    state: str
    detail: str
    since: float
    took_s: float = 0.0


class StartProgress:
    """What has been heard of a start so far, in the order in which the steps began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._steps: dict[str, Step] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._steps.values())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    def update(self, name: str, state: str, detail: str) -> Step:
        """Take a step's new state."""
        step = self._steps.get(name)
        if step is None:
            step = self._steps[name] = Step(name, state, detail, self._clock())
        step.state, step.detail = state, detail
        step.took_s = self._clock() - step.since
        return step


def step_line(step: Step, elapsed_s: float) -> str:
    """Write a step as a line of a log."""
    detail = f" ({one_line(step.detail)})" if step.detail else ""
    return f"{elapsed_s:5.1f}s  {one_line(step.name)}: {one_line(step.state)}{detail}"
