"""The guides say what is: their links lead somewhere, and their commands print what they show."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.mesh.process import OSM, Bench, OsmProcess, bench

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if page.is_file()
)
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
SAME_WITHIN_S = 10.0
"""What only looks is asked again until it shows what the guide shows: the mesh takes its time."""
LOOKS = re.compile(r"osm (status|get|logs|explain|proxy|version)\b(?!.*\| osm apply)")


class Command(NamedTuple):
    """A line after `$` of a console block, and what the guide shows below it."""

    line: int
    text: str
    output: str


def commands(page: Path) -> Iterator[Command]:
    """The commands of a page's console blocks, in order."""
    text = page.read_text()
    for block in re.finditer(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text[: block.start(1)].count("\n") + 1
        for part in re.split(r"^\$ ", block[1], flags=re.MULTILINE):
            if part:
                command, _, output = part.partition("\n")
                yield Command(line, command, output)
            line += part.count("\n")


def pattern(shown: str) -> re.Pattern[str]:
    """What an output must look like: `…` alone is any lines, within a line any characters."""
    parts = []
    for line in shown.splitlines():
        if line == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(map(re.escape, line.split("…"))) + r"\s*?\n")
    return re.compile("".join(parts) + r"\s*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [
        target
        for target in targets
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_the_commands_of_a_guide_print_what_it_shows(guide: Path) -> None:
    reader = Reader()
    with bench() as place:
        try:
            for command in commands(guide):
                reader.follow(command, place, f"{guide.name}:{command.line}")
        finally:
            if reader.mesh is not None:
                reader.mesh.end()
    assert reader.followed > 0


class Reader:
    """Somebody who types a guide's commands, `osm demo` into a terminal of its own."""

    def __init__(self) -> None:
        self.mesh: OsmProcess | None = None
        self.followed = 0
        self._directory: Path | None = None

    def follow(self, command: Command, place: Bench, where: str) -> None:
        """Type a command, and compare what it prints with what the guide shows."""
        self.followed += 1
        shown = pattern(command.output)
        end = time.monotonic() + (SAME_WITHIN_S if LOOKS.match(command.text) else 0)
        if command.text.startswith("osm demo"):
            self.mesh = place.start(*command.text.split()[1:])
            self.mesh.wait_ready(workloads=5)
            printed = self.mesh.printed
        else:
            printed = self._type(command.text, place)
            while not shown.fullmatch(printed) and time.monotonic() < end:
                time.sleep(0.2)
                printed = self._type(command.text, place)
        assert shown.fullmatch(printed), (
            f"{where}: `{command.text}` printed:\n{printed}\nand the guide shows:\n{command.output}"
        )

    def _type(self, text: str, place: Bench) -> str:
        directory = self._directory or place.files
        path = f"{Path(OSM).parent}:{os.environ.get('PATH', os.defpath)}"
        ended = subprocess.run(
            ("bash", "-c", f'{text}\ncode=$?; pwd >"$HOME/where"; exit $code'),
            capture_output=True, text=True, timeout=60, check=False, cwd=directory,
            env={**place.environment, "PATH": path},
        )  # fmt: skip
        # 1 is the answer no (`osm explain`, `osm status`, `grep`): what is printed says more.
        assert ended.returncode in (0, 1), (text, ended)
        self._directory = Path((place.root / "where").read_text().strip())
        return ended.stdout + ended.stderr
