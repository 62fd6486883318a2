"""Codes that people find in logs, and what they mean: ours, and the ranges of OSM v1's."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from osm.errors import UsageError

_CODE = re.compile(r"(OSM\d{3}|E\d{4})")
_FORMER: Mapping[str, str] = {
    "E1": "the command line or the start of a component",
    "E2": "a policy that could not become configuration",
    "E3": "an endpoint or object that was not found or not readable",
    "E40": "a certificate, its Secret or its issuer",
    "E41": "the MeshConfig, or messages inside of the control plane",
    "E5": "the configuration of a proxy, or its connection",
    "E6": "the webhooks: injection and validation",
    "E7": "a CRD or a webhook configuration that was restored",
}
"""What OSM v1's codes were about, by how they begin (`reference/osm.md` §5.5)."""


class ErrorCode(msgspec.Struct, frozen=True, order=True):
    """A code and one sentence about it."""

    code: str
    description: str


def explain_code(code: str, known: Iterable[ErrorCode]) -> ErrorCode:
    """What a code means. Raises `UsageError` for what is none."""
    code = code.upper()
    if not _CODE.fullmatch(code):
        raise UsageError(
            f"{code[:60]!r} is no error code.",
            hint="They are OSM and three digits, such as OSM301.",
        )
    found = next((each for each in known if each.code == code), None)
    if found is not None:
        return found
    about = next((text for start, text in _FORMER.items() if code.startswith(start)), "")
    if not about:
        raise UsageError(
            f"There is no error code {code}.", hint="`osm support error-info` lists all."
        )
    return ErrorCode(
        code,
        f"A code of OSM v1, about {about}. This mesh does not use it: `osm analyze` lists what is wrong.",
    )
