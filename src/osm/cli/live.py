"""The live view of a mesh on a terminal. Drawn with rich; `screen` is a function of the view."""

from collections.abc import Sequence
from datetime import datetime
from typing import IO

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from osm.cli.presenters import NextSteps, Quiet, denial_line, stopping_line
from osm.cli.progress import StartProgress
from osm.cli.render import duration, has_colour, milliseconds, number, one_line, percent
from osm.core.explain.view import EdgeView, MeshView, WorkloadView

_PHASES = {
    "ready": "green",
    "starting": "yellow",
    "unready": "yellow",
    "restarting": "red",
    "failed": "red",
}
_STATES = {"ready": ("✓", "green"), "failed": ("✗", "red")}
_EDGE_COLUMNS = (
    "FROM → TO", "PROTOCOL", "REQ/S", "SUCCESS", "P50", "P99", "TLS", "SPLIT", "DENIED/S",
)  # fmt: skip
_ONLY_WIDE = ("PROTOCOL", "P50")
_WIDE = 90
_NARROWEST_WHY = 12
_LONGEST_STATE = 30
_DENIALS = 4
_FINDINGS = 3


class LiveView(Quiet):
    """Draws the start, then the mesh once a second, on a screen of its own."""

    def __init__(self, output: IO[str], errors: IO[str], next_steps: NextSteps) -> None:
        super().__init__(errors)
        self._console = Console(file=output, no_color=not has_colour(output), highlight=False)
        self._next_steps = next_steps
        self._progress = StartProgress()
        self._spinner = Spinner("dots")
        self._starting = Live(console=self._console, refresh_per_second=10)
        self._running = Live(console=self._console, screen=True, auto_refresh=False)
        self._is_running = False
        self._closed = False

    def step(self, step: str, state: str, detail: str) -> None:
        """Draw the steps so far, until the mesh itself is drawn."""
        if self._is_running or self._closed:
            return
        self._progress.update(step, state, detail)
        if not self._starting.is_started:
            self._starting.start()
        self._starting.update(steps_table(self._progress, self._spinner))

    def started(self, view: MeshView) -> None:
        """Leave the steps on the terminal and open the screen."""
        self._is_running = True
        self._starting.stop()
        if not self._closed:
            self._running.start()
            self.tick(view)

    def tick(self, view: MeshView) -> None:
        """Draw the mesh."""
        if self._running.is_started:
            steps = self._next_steps(view)
            drawn = screen(view, steps, self._console.width, self._console.height)
            self._running.update(drawn, refresh=True)

    def stopping(self, reason: str, *, again: bool) -> None:
        """Give the terminal back before saying why."""
        self.close()
        self._console.print(Text(one_line(stopping_line(reason, again=again))))

    def close(self) -> None:
        """Give the terminal back."""
        self._closed = True
        self._starting.stop()
        self._running.stop()


def steps_table(progress: StartProgress, spinner: RenderableType) -> RenderableType:
    """Draw the steps of a start: a mark, the name, a few words, seconds."""
    grid = Table.grid(padding=(0, 1))
    for step in progress.steps:
        mark: RenderableType = spinner
        if step.state in _STATES:
            letter, colour = _STATES[step.state]
            mark = Text(letter, style=colour)
        words = step.detail or ("" if step.state in _STATES else step.state)
        took = f"{step.took_s:.1f}s" if step.state in _STATES else ""
        grid.add_row(mark, _text(step.name), _text(words, "dim"), Text(took, style="dim"))
    return grid


def screen(view: MeshView, next_steps: Sequence[str], columns: int, rows: int) -> RenderableType:
    """Draw a mesh at one moment, for a terminal of this size."""
    parts: list[RenderableType] = [*_header(view), Rule(style="dim"), _edges(view, columns)]
    parts += [Text(), _workloads(view)]
    if view.denials:
        parts += [Text(), Text("Last refusals", style="bold")]
        for denial in view.denials[:_DENIALS]:
            times = f"{denial.count}×".rjust(6)
            parts.append(_line((times, "dim"), ("  " + denial_line(denial), "red")))
    findings = [each for each in view.findings if each.severity != "info"]
    if findings:
        parts += [Text(), _line(("Findings", "bold"), ("  `osm status` has all of them", "dim"))]
        for finding in findings[:_FINDINGS]:
            colour = "red" if finding.severity == "error" else "yellow"
            parts.append(_line((f"  {str(finding).partition(chr(10))[0]}", colour)))
    if next_steps:
        used = len(parts) + len(view.edges) + len(view.workloads) + 2
        parts += [Text(), Rule(style="dim"), Text("Try next, in another terminal:", style="dim")]
        for step in next_steps[: max(2, rows - used - 4)]:
            command, comment_sign, comment = step.partition("  #")
            parts.append(_line(("  " + command, "cyan"), (comment_sign + comment, "dim")))
    return Group(*parts)


def _header(view: MeshView) -> list[RenderableType]:
    mode = (
        "permissive: everybody may call" if view.policy_mode == "permissive" else "access policies"
    )
    first = Text.assemble(
        ("osm ", "bold"), (one_line(view.mesh), "bold cyan"), "  ", one_line(mode),
        "  ", (f"up {duration(uptime_s(view))}", "dim"),
    )  # fmt: skip
    lines: list[RenderableType] = [first, _text(view.platform, "dim")]
    if view.page:
        lines.append(Text.assemble("page ", (one_line(view.page), "underline")))
    if view.directory:
        lines.append(Text.assemble("files ", one_line(view.directory), ("  edit them", "dim")))
    return lines


def uptime_s(view: MeshView) -> float:
    """Compute how long the mesh has been running at the moment of the view."""
    try:
        return (
            datetime.fromisoformat(view.now) - datetime.fromisoformat(view.started)
        ).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def _edges(view: MeshView, columns: int) -> RenderableType:
    if not view.edges:
        return Text("No traffic yet.", style="dim")
    wide = columns >= _WIDE
    shown = [each for each in _EDGE_COLUMNS if wide or each not in _ONLY_WIDE]
    rows = [_edge_cells(edge) for edge in view.edges]
    used = sum(max(len(name), *(row[name].cell_len for row in rows)) + 2 for name in shown)
    if columns - used >= _NARROWEST_WHY:  # what is left of a line, so that nothing else is cut
        shown.append("WHY")
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in shown:
        left = name in ("FROM → TO", "PROTOCOL", "TLS", "WHY")
        limit = columns - used if name == "WHY" else None
        grid.add_column(name, justify="left" if left else "right", no_wrap=True, max_width=limit)
    for row in rows:
        grid.add_row(*(row[name] for name in shown))
    return grid


def _edge_cells(edge: EdgeView) -> dict[str, Text]:
    denied = edge.denied_per_second > 0
    success = edge.success_percent
    good = success is None or success >= 99
    split = "" if edge.split_percent is None else percent(edge.split_percent)
    return {
        "FROM → TO": _text(f"{edge.source} → {edge.destination}", "red" if denied else ""),
        "PROTOCOL": _text(edge.protocol, "dim"),
        "REQ/S": Text(number(edge.requests_per_second)),
        "SUCCESS": Text(percent(success), style="" if good else "red"),
        "P50": Text(milliseconds(edge.p50_ms), style="dim"),
        "P99": Text(milliseconds(edge.p99_ms)),
        "TLS": Text("mutual", "green") if edge.mutual_tls else Text("none", "yellow"),
        "SPLIT": Text(split, style="cyan"),
        "DENIED/S": Text(number(edge.denied_per_second) if denied else "", style="bold red"),
        "WHY": _text(edge.deny_reason if denied else "", "red"),
    }


def _workloads(view: MeshView) -> RenderableType:
    counters = dict(view.counters)
    rows = []
    for each in view.workloads:
        values = counters.get(f"{each.namespace}/{each.name}", ())
        rows.append(
            {
                "WORKLOAD": _text(f"{each.namespace}/{each.name}"),
                "STATE": _phase(each),
                "RESTARTS": Text(str(each.restarts or ""), style="yellow"),
                "COUNTERS": _text("  ".join(f"{name} {value}" for name, value in values), "bold"),
            }
        )
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("WORKLOAD", "STATE", "RESTARTS", "COUNTERS"):
        widest = max([len(name), *(row[name].cell_len for row in rows)])
        least = 0 if name == "COUNTERS" else min(widest, _LONGEST_STATE)
        justify: JustifyMethod = "right" if name == "RESTARTS" else "left"
        grid.add_column(name, justify=justify, no_wrap=True, min_width=least)
    for row in rows:
        grid.add_row(*row.values())
    return grid


def _phase(workload: WorkloadView) -> Text:
    words = f"{workload.phase}: {workload.reason}" if workload.reason else workload.phase
    return _text(words, _PHASES.get(workload.phase, ""))


def _line(*parts: tuple[str, str]) -> Text:
    """Write pieces of text, each with its style, on one line that is cut where the screen ends."""
    return Text.assemble(
        *((one_line(text), style) for text, style in parts), no_wrap=True, overflow="ellipsis"
    )


def _text(text: str, style: str = "") -> Text:
    return Text(one_line(text), style=style)
