"""The Services: three names, as OSM's, for the pods of one Deployment."""

from collections.abc import Mapping

from osm.core.install.labels import LABELS
from osm.core.install.names import (
    ADS_PORT,
    APP_LABEL,
    CONTROLLER,
    DEBUG_PORT,
    HTTP_PORT,
    INJECTOR_PORT,
    INJECTOR_SERVICE,
    INSTANCE_LABEL,
    VALIDATOR_PORT,
    VALIDATOR_SERVICE,
)
from osm.core.install.template import MESH, NAMESPACE, Node, Template

SELECTOR: Mapping[str, Node] = {APP_LABEL: CONTROLLER, INSTANCE_LABEL: MESH}
"""The pods of the control plane. A Deployment's selector can never change."""


def _service(name: str, ports: Mapping[str, int]) -> Template:
    return Template(
        f"{name}-service",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {**LABELS, APP_LABEL: CONTROLLER},
            },
            "spec": {
                "selector": SELECTOR,
                "ports": [
                    {"name": key, "port": port, "targetPort": port, "protocol": "TCP"}
                    for key, port in ports.items()
                ],
            },
        },
    )


SERVICES: tuple[Template, ...] = (
    _service(CONTROLLER, {"ads-port": ADS_PORT, "debug-port": DEBUG_PORT, "metrics": HTTP_PORT}),
    _service(INJECTOR_SERVICE, {"injector": INJECTOR_PORT}),
    _service(VALIDATOR_SERVICE, {"validator": VALIDATOR_PORT}),
)
