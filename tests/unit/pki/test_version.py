"""A certificate's version says enough to know it again."""

from datetime import UTC, datetime

import pytest

from osm.core.pki.version import CertificateVersion

FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def version(chain: bytes = b"chain", bundle: bytes = b"roots") -> CertificateVersion:
    return CertificateVersion.of(chain, bundle, FROM, TO)


def test_a_version_is_read_as_it_was_written() -> None:
    found = CertificateVersion.parse(version().text)
    assert found == version() == CertificateVersion(version().roots, FROM, TO, version().digest)


def test_another_chain_is_another_version_and_other_roots_are_noticed() -> None:
    assert version().text != version(chain=b"other").text
    assert version().is_under(b"roots") and not version().is_under(b"other roots")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none-1",
        "a.b.c.d",
        "a.1.2",
        "a.1.2.3.4",
        "a.-1.2.d",
        "a.1.999999999999.d",
        "a.\u0661.2.d",
    ],
)
def test_other_texts_are_no_version(text: str) -> None:
    assert CertificateVersion.parse(text) is None
