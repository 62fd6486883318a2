"""The YAML that a verb is given with `-f`: several files as one text that knows its places."""

import os
import re
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from osm.cli.names import shortened
from osm.core.model.origin import Finding
from osm.errors import ConfigError, UsageError

DEMO = "demo:"
_SUFFIXES = (".yaml", ".yml", ".json")
_LIMIT = 16 * 1024 * 1024
_STDIN_PLACE = re.compile(r"(?:stdin|-|<stdin>):(\d+)")


class Part(msgspec.Struct, frozen=True):
    """One file's text, and the name to show for it."""

    name: str
    text: str


class ManifestText(msgspec.Struct, frozen=True):
    """Parts joined with `---`. The server counts lines of the whole; people count a file's."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole."""
        return "---\n".join(_ended(part.text) for part in self.parts)

    def place(self, where: str) -> str:
        """Turn `stdin:LINE` of the whole into `FILE:LINE`; leave other places alone."""
        match = _STDIN_PLACE.fullmatch(where)
        if match is None:
            return where
        line = int(match[1])
        for part in self.parts:
            lines = _ended(part.text).count("\n")
            if line <= lines or part is self.parts[-1]:
                return f"{part.name}:{line}"
            line -= lines + 1  # its lines, and the `---` after them
        return where

    def placed(self, findings: Iterable[object]) -> tuple[object, ...]:
        """Give findings the places that people know."""
        return tuple(
            msgspec.structs.replace(each, where=self.place(each.where))
            if isinstance(each, Finding)
            else each
            for each in findings
        )


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def read_manifests(names: Iterable[str], *, recursive: bool = False) -> ManifestText:
    """Read files, directories, `-` (stdin) and `demo:NAME`. Raises `ConfigError` if it cannot."""
    parts: list[Part] = []
    for name in names:
        if name == "-":
            parts.append(Part("stdin", _decoded(sys.stdin.buffer.read(_LIMIT + 1), "stdin")))
        elif name.startswith(DEMO):
            parts.append(Part(name, _demo_text(name.removeprefix(DEMO))))
        else:
            parts += [_read(path) for path in _files(name, recursive=recursive)]
    if not any(part.text.strip() for part in parts):
        raise ConfigError("There are no objects in what was given.")
    return ManifestText(tuple(parts))


def _demo_text(name: str) -> str:
    from osm.demo.scenario import demo_manifest  # noqa: PLC0415 - seldom wanted

    return demo_manifest(name)


def existing_path(name: str) -> Path:
    """Return a path that exists, or raise an error that says what is wrong with it."""
    if not name or "\0" in name:
        raise UsageError(f"{shortened(name)} is not the name of a file.")
    path = Path(name)
    try:
        path.stat()
    except OSError as error:
        raise ConfigError(f"Cannot read {shortened(name)}: {error.strerror}.") from error
    return path


def _files(name: str, *, recursive: bool) -> list[Path]:
    path = existing_path(name)
    if not path.is_dir():
        return [path]
    found = path.rglob("*") if recursive else path.iterdir()
    files = sorted(
        each
        for each in found
        if each.suffix in _SUFFIXES and each.is_file() and not each.name.startswith(".")
    )
    if not files:
        kinds = ", ".join(_SUFFIXES)
        raise ConfigError(
            f"Directory {shortened(name)} has no files that end in {kinds}.",
            hint="" if recursive else "-R looks into the directories below it, too.",
        )
    return files


def _read(path: Path) -> Part:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):  # <(…) of a shell is a FIFO
                raise ConfigError(f"{path} is neither a file nor a pipe.")
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"Cannot read {shortened(str(path))}: {error.strerror}.") from error
    return Part(str(path), _decoded(content, str(path)))


def _decoded(content: bytes, name: str) -> str:
    if len(content) > _LIMIT:
        raise ConfigError(f"{name} is larger than {_LIMIT >> 20} MiB.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{line}: this is not UTF-8 text.") from error
