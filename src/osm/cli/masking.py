"""Takes keys, tokens and passwords out of what is given away. Better too much than too little.

Objects are masked by the names of their fields, text by what secrets look like; every text in an object
counts as both.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

MASKED = "[removed]"
_WORD = (
    r"[\w.-]*(?:pass(?:w(?:or)?d|phrase)?(?![a-z])|token|secret|credential|authorization|"
    r"(?:api|access|private|signing|encryption)[-_]?key)[\w.-]*"
)
_NAME = re.compile(rf"{_WORD}|.*key.*", re.IGNORECASE)
"""Names of variables and headers."""
_FIELD = re.compile(
    r"(?:.*[-_.])?(?:password|passwd|token|secret|authorization|cookie|api[-_]?key|hmac_secret|"
    r"private[-_]?key(?:_password)?|client[-_]?secret|privateKey|apiKey|clientSecret|accessToken)",
    re.IGNORECASE,
)
"""Names of fields whose whole value is a secret."""
_LEFT_OUT = ("kubectl.kubernetes.io/last-applied-configuration", "managedFields")
"""A copy of everything, and what only API servers read."""
_FLAG = re.compile(rf"--?{_WORD}", re.IGNORECASE)

_TEXTS = (
    # PEM, also where its line breaks are escaped, and a block that was cut off.
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*KEY-----|\Z)", re.DOTALL),
        MASKED,
    ),
    # JSON Web Tokens (RFC 7519), which ServiceAccounts have, with or without their signature.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), MASKED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}"), rf"\1 {MASKED}"),
    (re.compile(r"(?i)\b((?:set-)?cookie\"?\s*[:=]\s*).+"), rf"\1{MASKED}"),
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), f"://{MASKED}@"),
    (
        re.compile(rf"(?i)(\b{_WORD}\"?'?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}}\]]+)"),
        rf"\1{MASKED}",
    ),
)  # fmt: skip
_BASE64 = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]+")
"""How base64 of any PEM begins."""


def mask_text(text: str) -> str:
    """Text without what looks like a secret."""
    text = _BASE64.sub(_mask_base64, text)
    for pattern, instead in _TEXTS:
        text = pattern.sub(instead, text)
    return text


def mask(value: Any) -> Any:
    """A value of JSON without what is a secret by its name or its look."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, list):
        return _mask_list(value)
    if isinstance(value, Mapping):
        return {key: _mask_field(key, value) for key in value if key not in _LEFT_OUT}
    return value


def secret_outline(secret: Mapping[str, Any]) -> dict[str, Any]:
    """What may be told of a Secret: that it is there, its type, and the names of its keys."""
    metadata = secret.get("metadata") or {}
    return {
        "namespace": metadata.get("namespace", ""),
        "name": metadata.get("name", ""),
        "type": secret.get("type", ""),
        "keys": sorted(secret.get("data") or ()),
    }


def _mask_field(key: Any, parent: Mapping[str, Any]) -> Any:
    value = parent[key]
    name = str(key)
    if _FIELD.fullmatch(name) and not (name == "secret" and isinstance(value, Mapping)):
        return MASKED if value else value
    if key == "value" and _NAME.fullmatch(str(parent.get("name") or parent.get("key") or "")):
        return MASKED if value else value  # a variable, or a header
    return mask(value)


def _mask_list(values: list[Any]) -> list[Any]:
    """Arguments, too: what follows a flag such as `--vault-token`."""
    masked = []
    follows = False
    for value in values:
        is_text = isinstance(value, str)
        masked.append(MASKED if follows and is_text else mask(value))
        follows = is_text and _FLAG.fullmatch(value) is not None
    return masked


def _mask_base64(match: re.Match[str]) -> str:
    text = match.group()
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return MASKED
    return MASKED if b"PRIVATE KEY" in content else text
