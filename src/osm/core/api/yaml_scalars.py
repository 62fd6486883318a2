"""What a scalar without quotes means: the core of YAML 1.1, as Kubernetes' tools read it.

Times and base-60 numbers (`12:30:45`) stay text, as there. Python's loader would read them.
"""

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    spelling: value
    for word, value in (
        ("yes", True),
        ("no", False),
        ("on", True),
        ("off", False),
        ("true", True),
        ("false", False),
    )
    for spelling in (word, word.capitalize(), word.upper())
}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_OTHER_BASE = re.compile(r"([-+]?)(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 40
_BEGINS_OTHERS = frozenset("+-.0123456789" + "".join(word[:1] for word in (*_NULL, *_BOOLEANS)))
"""First characters of everything that is no text."""

Scalar = str | int | float | bool | None


def resolve_plain(text: str) -> Scalar:
    """Read a scalar that was written without quotes."""
    if text and text[0] not in _BEGINS_OTHERS:
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > _LONGEST_NUMBER or text[0] not in "+-.0123456789":
        return text
    if _DECIMAL.fullmatch(text):
        return int(text.replace("_", ""))
    if other := _OTHER_BASE.fullmatch(text):
        return _other_base(other[1], other[2].replace("_", ""), text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _NOT_FINITE.fullmatch(text):
        return float("nan") if special[3] else float(special[1] + "inf")
    return text


def _other_base(sign: str, digits: str, text: str) -> Scalar:
    number = "0o" + digits[1:] if digits[1:2].isdecimal() else digits
    try:
        return int(sign + number, 0)
    except ValueError:  # nothing but underscores after the prefix
        return text
