"""Durations as Go writes them (`time.ParseDuration`): `300ms`, `2h45m`. Exact, in nanoseconds."""

import re

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, micro sign
    "μs": 10**3,  # U+03BC, Greek mu; Go takes both
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_GREATEST = 2**63 - 1
_LONGEST = 64


def parse_duration(text: str) -> int:
    """Read a duration as nanoseconds, rounded towards 0. Raises ValueError when it is none."""
    if len(text) > _LONGEST:
        raise ValueError(f"{text[:_LONGEST]!r}… is not a duration")
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            break
        number, unit = part.groups()
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * _UNITS[unit]
        total += int(fraction or 0) * _UNITS[unit] // 10 ** len(fraction)
        position = part.end()
    if not rest or position < len(rest):
        raise ValueError(f"{text!r} is not a duration such as 90s or 1h30m")
    if total > _GREATEST:
        raise ValueError(f"{text!r} is longer than 292 years")
    return sign * total
