"""What is wrong with one place of one object, before it is known which file that place is in."""

from collections.abc import Callable, Iterable

import msgspec

from osm.core.model.origin import Severity

Path = tuple[str | int, ...]
"""A place in an object: field names and list positions, from the top."""


class Problem(msgspec.Struct, frozen=True, gc=False):
    """One mistake, and the path of the value that it is about."""

    path: Path
    code: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR


class Complaint(msgspec.Struct, frozen=True, gc=False):
    """What a check has against a value. `within` leads from the value to the part that is wrong."""

    code: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    within: Path = ()

    def at(self, path: Path) -> Problem:
        """The problem that this complaint is, for a value at `path`."""
        return Problem(path + self.within, self.code, self.message, self.hint, self.severity)


Check = Callable[[object], Complaint | None]
"""Looks at one value whose type is right already."""


def format_path(path: Path) -> str:
    """Write a path as `spec.rules[0].matches[1]`; keys that are no plain words as `["a.b/c"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() or part.replace("-", "_").isidentifier():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def enumerate_choices(choices: Iterable[str], *, last: str = "or") -> str:
    """Write choices for people: `A, B or C`."""
    *head, tail = choices
    return f"{', '.join(head)} {last} {tail}" if head else tail
