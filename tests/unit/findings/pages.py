"""A page about a finding: what stands where, and its examples as files. `docs/findings/README.md`."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "findings"
INDEX = ROOT / "docs" / "reference" / "findings.md"
CODE = re.compile(r"\bOSM\d{3}\b")

_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SEVERITIES = ("error", "warning", "info")


class Block(NamedTuple):
    """A fenced block: its language, the file that it is, and what stands in it."""

    language: str
    name: str
    text: str


class Page(NamedTuple):
    """A page, taken apart."""

    path: Path
    code: str
    title: str
    severities: tuple[str, ...]
    meaning: str
    bad: tuple[Block, ...]
    good: tuple[Block, ...]
    arguments: tuple[str, ...]
    """Of the command that the bad example is shown with; empty for a code of running meshes."""
    printed: str
    """What the page says that this command prints."""

    def with_printed(self, printed: str) -> str:
        """Write the page's whole text with something else for what is printed."""
        text = self.path.read_text(encoding="utf-8")
        block = next(block for block in _BLOCK.finditer(text) if block[1] == "text")
        command, _, _ = block[3].partition("\n")
        return f"{text[: block.start(3)]}{command}\n{printed}{text[block.end(3) :]}"


def read_page(path: Path) -> Page:
    """Take a page apart. What is not as it must be is an AssertionError that says what."""
    text = path.read_text(encoding="utf-8")
    top, *sections = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    title = re.match(r"# (OSM\d{3}): (.+)\n\nSeverity: (.+)\n\n(.+)", top, re.DOTALL)
    assert title, f"{path.name} does not begin with `# {path.stem}: …`, `Severity: …` and a text"
    assert sections[::2] == ["Bad", "Good"], (
        f"{path.name} needs the sections Bad and Good, in order"
    )
    severities = tuple(title[3].split(" or "))
    assert set(severities) <= set(_SEVERITIES), f"{path.name}: no severity: {title[3]}"
    bad, good = (_blocks(section) for section in sections[1::2])
    shown = [block for block in bad if block.language == "text"]
    arguments, printed = _command(path, shown[0].text) if shown else ((), "")
    assert len(shown) <= 1, f"{path.name} has several text blocks"
    assert not any(block.language == "text" for block in good), f"{path.name}: Good prints nothing"
    return Page(
        path, title[1], title[2], severities, title[4], bad, good, arguments, printed
    )  # fmt: skip


def put_files(blocks: tuple[Block, ...], directory: Path) -> None:
    """Make the files of an example, in the order of the page."""
    for block in blocks:
        if block.language == "yaml":
            path = directory / (block.name or "objects.yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            subprocess.run(["sh", "-euc", block.text], cwd=directory, check=True, timeout=30)


def _blocks(section: str) -> tuple[Block, ...]:
    found = tuple(Block(each[1], each[2] or "", each[3]) for each in _BLOCK.finditer(section))
    strange = {block.language for block in found} - {"yaml", "sh", "text"}
    assert not strange, f"a block of {strange} is neither yaml, sh nor text"
    return found


def _command(path: Path, shown: str) -> tuple[tuple[str, ...], str]:
    command, _, printed = shown.partition("\n")
    words = shlex.split(command)
    assert words[:2] == ["$", "osm"], f"{path.name}: a text block begins with `$ osm analyze .`"
    return tuple(words[2:]), printed
