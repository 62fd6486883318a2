"""Which resources of a refused response are to blame, and how to find out."""

import re


def find_blamed(names: tuple[str, ...], error: str) -> tuple[str, ...]:
    """Return those of a refused response's resources that the proxy's words name, or all of them.

    Envoy writes `Error adding/updating cluster(s) NAME: reason, NAME: reason`, and for other types
    quotes the message, the name within.
    """
    if len(names) < 2:
        return names
    named = [name for name in names if _mentions(error, name, ":(?= )")]
    named = named or [name for name in names if _mentions(error, name, "")]
    return tuple(named) or names


def split_refused(names: tuple[str, ...], blamed: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The parts in which a refused response is sent again: each of the resources that the proxy named
    alone, for its words may deceive, and the others together; two halves when it named none or all.
    """
    if len(names) < 2:
        return []
    others = tuple(name for name in names if name not in blamed)
    if others:
        return [others, *((name,) for name in blamed)]
    middle = len(names) // 2
    return [names[:middle], names[middle:]]


def _mentions(text: str, name: str, after: str) -> bool:
    """Whether the name stands there for itself, not as a part of a longer one."""
    pattern = rf"(?<![\w./|@*-]){re.escape(name)}{after}(?![\w/|@*-])"
    return re.search(pattern, text) is not None
