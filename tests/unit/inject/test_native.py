"""Which clusters have native sidecars."""

import pytest

from osm.core.inject.native import has_native_sidecars


@pytest.mark.parametrize(
    ("versions", "native"),
    [
        (["v1.29.0"], [True]),
        (["v1.35.4", "v1.33.1-gke.1386000", "v1.30.2+k3s1", "1.31"], [True]),
        (["v2.0.0"], [True]),
        (["v1.28.15"], [False]),
        (["v1.35.4", "v1.35.4", "v1.28.9-eks-1"], [False]),
        (["v1.9.0"], [False]),
        ([], [False]),
        (["v1.35.4", ""], [False]),
        (["v1.35.4", "unknown"], [False]),
        (["v1.299999999999"], [False]),
    ],
)
def test_all_nodes_must_be_new_enough(versions: list[str], native: list[bool]) -> None:
    assert [has_native_sidecars(versions)] == native
