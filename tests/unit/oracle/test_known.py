"""Whatever the golden meshes have in them, the simulation has heard of, and has nothing made up."""

from pathlib import Path

import pytest
from tests.unit.envoy.asking import all_values

from osm.core.envoy.render import build
from osm.core.explain.simulation import unpack
from osm.core.explain.simulation.fields import check
from osm.core.xds import types
from osm.testing.builders import model

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("directory", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_every_feature_is_known(directory: Path) -> None:
    values = {value for _, _, value in all_values(model((directory / "in.yaml").read_text()))}
    assert values
    for value in values:
        check(build(value))


def test_types_are_called_what_they_are_called_on_the_wire() -> None:
    known = {unpack.LISTENER, unpack.ROUTES, unpack.VIRTUAL_HOST, unpack.CLUSTER}
    known |= {unpack.ENDPOINTS, unpack.SECRET, unpack.EXTENSION, unpack.RUNTIME}
    assert known == set(types.ORDER)
