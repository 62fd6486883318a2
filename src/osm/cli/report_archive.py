"""The archive of `osm support bug-report`: a new file that only its owner may read, masked throughout."""

import io
import os
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import yaml

from osm.cli.masking import mask, mask_text
from osm.cli.names import shortened
from osm.errors import ConfigError, OsmError, UsageError

_MODES = {".tar.gz": "w:gz", ".tgz": "w:gz", ".tar": "w"}
_ODD = re.compile(r"[^A-Za-z0-9._-]")


class Report:
    """Entries go in masked. What could not be had is an entry, too. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        mode = next((m for end, m in _MODES.items() if path.name.endswith(end)), None)
        if mode is None:
            raise UsageError(
                f"{shortened(str(path))} is no archive.", hint=f"End it in {', '.join(_MODES)}."
            )
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(path, flags, 0o600), "wb")
        except OSError as error:
            raise ConfigError(f"Cannot write {shortened(str(path))}: {error.strerror}.") from error
        self._archive = tarfile.open(fileobj=self._file, mode=mode)  # type: ignore[call-overload]  # noqa: SIM115
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.text("problems.txt", "\n".join(self.problems) or "Everything could be had.")
        self._archive.close()
        self._file.close()
        if kind is not None:
            self.path.unlink(missing_ok=True)

    def text(self, name: str, content: str) -> None:
        """Add text."""
        self._add(name, mask_text(content))

    def objects(self, name: str, value: Any) -> None:
        """Add objects, as YAML."""
        masked = mask(msgspec.to_builtins(value, str_keys=True))
        self._add(name, yaml.safe_dump(masked, sort_keys=False, width=100))

    def json(self, name: str, content: bytes) -> None:
        """Add what should be JSON; as text when it is none."""
        try:
            value = msgspec.json.decode(content)
        except msgspec.DecodeError:
            self.text(name, content.decode(errors="replace"))
            return
        self._add(name, msgspec.json.format(msgspec.json.encode(mask(value))).decode())

    def part(self, what: str, gather: Callable[[], None]) -> None:
        """Do a part of the gathering; when it cannot be done, say why and go on."""
        try:
            gather()
        except OsmError as error:
            self.problems.append(f"{what}: {error.message}")

    def _add(self, name: str, content: str) -> None:
        safe = "/".join(_ODD.sub("_", part).lstrip(".") or "_" for part in name.split("/"))
        if safe in self._names:
            raise AssertionError(f"two entries named {safe}")
        self._names.add(safe)
        encoded = content.encode(errors="replace") + b"\n"
        entry = tarfile.TarInfo(f"osm-bug-report/{safe}")
        entry.size, entry.mode, entry.mtime = len(encoded), 0o600, int(time.time())
        self._archive.addfile(entry, io.BytesIO(encoded))
