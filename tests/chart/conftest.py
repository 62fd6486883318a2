from pathlib import Path

import pytest
from tests.chart.helm_command import Helm


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path)
