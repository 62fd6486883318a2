"""The objects that findings name."""

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key
from osm.core.compile.kubernetes import owner_of
from osm.core.model.groups import APPS, BATCH
from osm.core.model.identity import Identity
from osm.core.model.origin import Origin
from osm.core.model.service import ServiceName

_GROUPS = {
    "Deployment": APPS,
    "StatefulSet": APPS,
    "DaemonSet": APPS,
    "ReplicaSet": APPS,
    "Job": BATCH,
}


def origin_of(key: Key, field: str = "") -> Origin:
    """A field of an object; without `field` the whole."""
    return Origin(key.kind, key.namespace, key.name, field, key.group)


def origin_of_pod(pod: Pod, field: str) -> Origin:
    """A field of a pod, in what made the pod: so replicas have one finding. Without `field`: the whole."""
    kind, name = owner_of(pod)
    if kind != "Pod" and field:
        field = f"spec.template.{field}"
    return Origin(kind, pod.metadata.namespace, name, field, _GROUPS.get(kind, ""))


def service_key(service: ServiceName) -> Key:
    """The object behind a service."""
    return Key("", "Service", service.namespace, service.name)


def account_key(identity: Identity) -> Key:
    """The object behind an identity."""
    return Key("", "ServiceAccount", identity.namespace, identity.service_account)
