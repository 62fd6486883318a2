"""What all tests share: one option, and hypothesis held to the same rules as the rest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# The machine may be busy: a property is about what comes out, not about how long it took.
settings.register_profile("osm", deadline=None, print_blob=True)
settings.load_profile("osm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write golden files instead of comparing with them",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare text with a golden file: `golden(path, text)`. `make golden` writes the files."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: `make golden` writes it"
        assert text == path.read_text(encoding="utf-8")

    return compare
