"""Where the control plane's pods run unless the values say something else. It is OSM's default."""

from collections.abc import Mapping

from osm.core.install.names import APP_LABEL, CONTROLLER

_LINUX: Mapping[str, object] = {
    "key": "kubernetes.io/os",
    "operator": "In",
    "values": ["linux"],
}
_ARCHITECTURES: Mapping[str, object] = {
    "key": "kubernetes.io/arch",
    "operator": "In",
    "values": ["amd64", "arm64"],
}
_APART: Mapping[str, object] = {
    "weight": 100,
    "podAffinityTerm": {
        "labelSelector": {
            "matchExpressions": [
                {"key": APP_LABEL, "operator": "In", "values": [CONTROLLER]},
            ]
        },
        "topologyKey": "kubernetes.io/hostname",
    },
}
AFFINITY: Mapping[str, object] = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [_LINUX, _ARCHITECTURES]}]
        }
    },
    "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [_APART]},
}
"""Nodes for which there are images, and not two replicas on one if there are others."""
