"""How a certificate is known again by its resource's version, also by who did not issue it."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Self

import msgspec


class CertificateVersion(msgspec.Struct, frozen=True, gc=False):
    """What a version says: the roots of its time, from when to when it is valid, and which it is.

    A proxy that comes back shows the version of the certificate that it holds. It says nothing that
    must be believed: who lies keeps a certificate that is of no use, and harms nobody else.
    """

    roots: str
    not_before: datetime
    not_after: datetime
    digest: str

    @classmethod
    def of(cls, chain: bytes, bundle: bytes, not_before: datetime, not_after: datetime) -> Self:
        """The version of a certificate chain (PEM) that was issued under a bundle of roots (PEM)."""
        return cls(_digest(bundle), not_before, not_after, _digest(chain))

    @property
    def text(self) -> str:
        """`<roots>.<from>.<to>.<which>`, times in seconds since 1970."""
        from_s, to_s = (int(each.timestamp()) for each in (self.not_before, self.not_after))
        return f"{self.roots}.{from_s}.{to_s}.{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a version; None for any other text."""
        match text.split("."):
            case [roots, from_s, to_s, digest] if _is_time(from_s) and _is_time(to_s):
                return cls(roots, _time(from_s), _time(to_s), digest)
        return None

    def is_under(self, bundle: bytes) -> bool:
        """Whether the certificate was issued under these roots."""
        return self.roots == _digest(bundle)


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 11


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)
