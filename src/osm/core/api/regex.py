"""Regular expressions of users: RE2, and small. Python's `re` never sees them."""

import re2

from osm.core.api import codes
from osm.core.api.problem import Complaint

GREATEST_PROGRAM = 1000
"""Instructions of the compiled form. Envoy would take more; each costs time for every request."""
LONGEST = 4096


def check_regex(value: object) -> Complaint | None:
    """Complain about what RE2 refuses, and about what is too large to run for every request."""
    pattern = str(value)
    if len(pattern) > LONGEST:
        return _too_large(f"{len(pattern)} characters long; at most {LONGEST} are allowed")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except UnicodeEncodeError:
        return Complaint(
            codes.REGEX, f"{pattern!r} holds half a character", "Write all of it, or leave it out."
        )
    except re2.error as error:
        reason = error.args[0] if error.args else "?"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        return Complaint(
            codes.REGEX, f"{pattern!r} is no regular expression: {text}", _advice(pattern)
        )
    size = int(compiled.programsize)
    if size > GREATEST_PROGRAM:
        return _too_large(f"too costly: RE2 needs {size} instructions, at most {GREATEST_PROGRAM}")
    return None


def _advice(pattern: str) -> str:
    if pattern.startswith(("*", "+", "?")):
        return (
            f"`*` repeats what stands before it; to match anything write `.*`: {'.' + pattern!r}."
        )
    if "(?=" in pattern or "(?!" in pattern or "(?<" in pattern:
        return "RE2 has no look-ahead and no look-behind; write several matches instead."
    return (
        "Expressions are RE2's (github.com/google/re2/wiki/Syntax), and must fit the whole value."
    )


def _too_large(why: str) -> Complaint:
    return Complaint(
        codes.REGEX_SIZE,
        f"the regular expression is {why}",
        "Use smaller repetition counts, or several shorter matches.",
    )
