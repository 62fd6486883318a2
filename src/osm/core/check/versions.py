"""Versions as Kubernetes and this project write them, compared by their first two numbers."""

import re

_VERSION = re.compile(r"v?(\d+)\.(\d+)")

OLDEST_OWN = (2, 0)
"""From here on control planes are this project's; older ones are OSM's."""


def minor(text: str) -> tuple[int, int] | None:
    """`v1.35.4-gke.1` is (1, 35); None when it is no version."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2])) if match else None


def is_older(text: str, than: tuple[int, int]) -> bool:
    """Whether a version is older; what cannot be read is not."""
    found = minor(text)
    return found is not None and found < than
