"""The labels of what an installation is made of."""

from collections.abc import Mapping

from osm.core.install.names import INSTANCE_LABEL, NAME, NAME_LABEL, VERSION_LABEL
from osm.core.install.template import MESH, VERSION, Given

LABELS: Mapping[str, str | Given] = {
    NAME_LABEL: NAME,
    INSTANCE_LABEL: MESH,
    VERSION_LABEL: VERSION,
}
"""Of every object. By the first two it is known again."""


def selecting(mesh: str) -> Mapping[str, str]:
    """The labels by which everything of an installation is found."""
    return {NAME_LABEL: NAME, INSTANCE_LABEL: mesh}
