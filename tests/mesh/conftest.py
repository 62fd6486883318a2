"""Mesh tests of one file share a running mesh and tell a story: they keep their order."""

from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    mine = [item for item in items if here in item.path.parents]
    ordered = iter(sorted(mine, key=lambda item: (str(item.path), item.reportinfo()[1] or 0)))
    items[:] = [next(ordered) if here in item.path.parents else item for item in items]
