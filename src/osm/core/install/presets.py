"""Sets of values for common cases, by name."""

from collections.abc import Mapping

from osm.core.install.values_reading import Tree

PRESETS: Mapping[str, Tree] = {
    "small": {
        "osm": {
            "osmController": {
                "replicaCount": 1,
                "resource": {"requests": {"cpu": "50m", "memory": "128Mi"}},
            }
        }
    },
    "default": {},
    "ha": {
        "osm": {
            "osmController": {
                "replicaCount": 3,
                "enablePodDisruptionBudget": True,
                # When there is an autoscaler, as many stay.
                "autoScale": {"minReplicas": 3, "maxReplicas": 10},
            }
        }
    },
}
"""`small`: a laptop or a test. `ha`: the loss of a node is not noticed, nor is its maintenance."""
