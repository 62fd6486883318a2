"""How a pod is known that OSM v1 gave a proxy."""

from osm.core.inject.pod import Pod

FORMER_CONTAINER = "envoy"
FORMER_VOLUME = "envoy-bootstrap-config-volume"
"""With the bootstrap of its proxy; nobody else calls a volume so (`reference/osm.md` §6)."""


def has_former_proxy(pod: Pod) -> bool:
    """Whether OSM's injector has seen the pod."""
    names = {container.name for container in pod.spec.containers}
    volumes = {volume.name for volume in pod.spec.volumes}
    return FORMER_CONTAINER in names and FORMER_VOLUME in volumes
