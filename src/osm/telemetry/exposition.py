"""Reads Prometheus' text format as Envoy writes it. Pure, and quick: a second has many proxies.

A sample is kept as it stands, `name{labels}`, for as long as possible: most have not changed since
the last time, and then nobody needs their labels. (prometheus-client's parser takes eighty times
as long, since it makes an object of every line.)
"""

import re
from collections.abc import Mapping
from math import inf

import msgspec

_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)",?')
_ESCAPE = re.compile(r"\\(.)")
_ENVOY = "envoy_"
_SCOPED = "osm_osm_"
"""Where Envoy's stats logger has a prefix of its own, `osm`, names begin with it twice."""


class Series(msgspec.Struct, frozen=True, gc=False):
    """A metric's name, without Envoy's prefix, and its labels."""

    name: str
    labels: Mapping[str, str]


def read_samples(text: str, prefix: str = "osm_", *, limit: int = 50_000) -> dict[str, float]:
    """Return the values of all series whose name begins with `prefix` or `envoy_` + `prefix`.

    Keys are series as they stand in the text; `parse_series` reads them. Lines that are no samples
    are passed over, and so is everything beyond `limit` samples.
    """
    wanted = (prefix, _ENVOY + prefix)
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith(wanted):
            series, _, value = line.rpartition(" ")
            try:
                number = float(value)
            except ValueError:
                continue
            if 0.0 <= number < inf:  # neither NaN: one would poison every sum
                samples[series] = number
                if len(samples) >= limit:
                    break
    return samples


def parse_series(series: str) -> Series:
    """Split `name{label="value",…}`. What is malformed yields the labels before it."""
    name, _, rest = series.partition("{")
    labels: dict[str, str] = {}
    at = 0
    while (match := _LABEL.match(rest, at)) is not None:
        value = match[2]
        labels[match[1]] = _ESCAPE.sub(_unescape, value) if "\\" in value else value
        at = match.end()
    name = name.removeprefix(_ENVOY)
    return Series(name.removeprefix("osm_") if name.startswith(_SCOPED) else name, labels)


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
