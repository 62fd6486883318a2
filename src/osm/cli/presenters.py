"""The plain ways to show a mesh that runs in this process: lines for people, nothing for programs.

The live view of a terminal is in `live`, since it imports rich.
"""

from collections.abc import Callable, Sequence
from typing import IO

import click

from osm.cli.log_lines import LogLines
from osm.cli.progress import StartProgress, step_line
from osm.cli.render import duration, milliseconds, number, one_line, paint, percent
from osm.cli.summary import denial_row
from osm.core.explain.view import DenialView, EdgeView, MeshView
from osm.core.model.origin import Finding, Severity
from osm.ports import LogLine

NextSteps = Callable[[MeshView], Sequence[str]]
"""Commands to try next, each with a few words after `#` or none."""

_REPORT_EVERY_S = 10


class Quiet:
    """Shows nothing but, on stderr, why it stops: for `-o json` and `--quiet`."""

    wants_logs = False
    wants_views = True

    def __init__(self, errors: IO[str]) -> None:
        self._errors = errors

    def step(self, step: str, state: str, detail: str) -> None:
        if state == "failed":
            self._say(f"{step}: {detail or state}")

    def started(self, view: MeshView) -> None:
        pass

    def tick(self, view: MeshView) -> None:
        pass

    def found(self, findings: Sequence[Finding]) -> None:
        pass

    def log(self, line: LogLine) -> None:
        pass

    def stopping(self, reason: str, *, again: bool) -> None:
        self._say(stopping_line(reason, again=again))

    def close(self) -> None:
        pass

    def _say(self, text: str) -> None:
        click.echo(one_line(text), file=self._errors)


class Lines(Quiet):
    """Prints lines: the steps of the start, then logs or, every ten seconds, the traffic."""

    def __init__(
        self,
        output: IO[str],
        errors: IO[str],
        *,
        logs: bool,
        next_steps: NextSteps,
        views: bool = True,
    ) -> None:
        super().__init__(errors)
        self.wants_logs = logs
        self.wants_views = views
        self._output = output
        self._next_steps = next_steps
        self._progress = StartProgress()
        self._lines = LogLines(output)
        self._running = False
        self._reported_s = 0.0
        self._phases: dict[str, str] = {}
        self._denied: set[tuple[str, ...]] = set()
        self._findings: set[str] = set()

    def step(self, step: str, state: str, detail: str) -> None:
        """Print a step of the start. Later, `tick` tells what becomes of workloads."""
        if self._running:
            return
        done = self._progress.update(step, state, detail)
        self._print(step_line(done, self._progress.elapsed_s))

    def started(self, view: MeshView) -> None:
        """Print where the page is, and what to try."""
        self._running = True
        self._print(
            f"Mesh {view.mesh} is running: {view.platform}; policy mode {view.policy_mode}."
        )
        if view.directory:
            self._print(f"Its objects are the files in {view.directory}: edit them.")
        if view.page:
            self._print(f"Its page: {view.page}")
        for line in self._next_steps(view):
            self._print(f"  {line}")
        self._phases = {f"{each.namespace}/{each.name}": each.phase for each in view.workloads}
        self._reported_s = self._progress.elapsed_s
        self._report_changes(view)

    def tick(self, view: MeshView) -> None:
        """Print what changed, and now and then the traffic."""
        self._report_changes(view)
        if not self.wants_logs and self._progress.elapsed_s - self._reported_s >= _REPORT_EVERY_S:
            self._reported_s = self._progress.elapsed_s
            for edge in view.edges:
                self._print(f"{duration(self._reported_s):>6}  {edge_line(edge)}")

    def log(self, line: LogLine) -> None:
        """Print a line of a workload."""
        click.echo(self._lines.format(line), file=self._output)

    def stopping(self, reason: str, *, again: bool) -> None:
        """Print why it stops."""
        self._print(stopping_line(reason, again=again))

    def _report_changes(self, view: MeshView) -> None:
        for each in view.workloads:
            name = f"{each.namespace}/{each.name}"
            if self._phases.get(name) != each.phase:
                self._phases[name] = each.phase
                why = f": {each.reason}" if each.reason else ""
                self._print(f"workload {name} is {each.phase}{why}")
        self.found(view.findings)
        for denial in reversed(view.denials):
            key = (*denial_row(denial)[:3], denial.reason)
            if key not in self._denied:
                self._denied.add(key)
                text = f"denied: {denial_line(denial)}"
                click.echo(paint(one_line(text), "red", self._output), file=self._output)

    def found(self, findings: Sequence[Finding]) -> None:
        """Print what is newly wrong."""
        now = {str(each) for each in findings if each.severity != Severity.INFO}
        for finding in sorted(now - self._findings):
            click.echo("\n".join(one_line(part) for part in finding.split("\n")), file=self._output)
        self._findings = now

    def _print(self, text: str) -> None:
        click.echo(one_line(text), file=self._output)


def stopping_line(reason: str, *, again: bool) -> str:
    """Say that the mesh stops, and how to make it hurry."""
    if again:
        return f"{reason} again: stopping at once."
    return f"{reason}: stopping the mesh. Once more to stop at once."


def edge_line(edge: EdgeView) -> str:
    """Write an edge's present traffic as one line."""
    words = [
        f"{edge.source} -> {edge.destination}",
        edge.protocol,
        f"{number(edge.requests_per_second)}/s",
        f"success {percent(edge.success_percent)}",
        f"p50 {milliseconds(edge.p50_ms)} p99 {milliseconds(edge.p99_ms)}",
        "mutual TLS" if edge.mutual_tls else "plaintext",
    ]
    if edge.split_percent is not None:
        words.append(f"split {percent(edge.split_percent)}")
    if edge.denied_per_second or edge.denied_total:
        words.append(f"denied {number(edge.denied_per_second)}/s: {edge.deny_reason}")
    return "  ".join(words)


def denial_line(denial: DenialView) -> str:
    """Write a denial as one line."""
    source, destination, request, _, reason = denial_row(denial)
    return f"{source} -> {destination} {request}: {reason}"
