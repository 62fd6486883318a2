"""Where the API server keeps objects of a kind: a table for its own, and for others it is asked."""

from typing import Any

import msgspec

from osm.errors import PlatformError
from osm.kubernetes.api_server import ApiServer, Status

_NAMESPACED = {
    "v1": {
        "ConfigMap": "configmaps",
        "Event": "events",
        "Pod": "pods",
        "Secret": "secrets",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps/v1": {
        "DaemonSet": "daemonsets",
        "Deployment": "deployments",
        "ReplicaSet": "replicasets",
        "StatefulSet": "statefulsets",
    },
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "batch/v1": {"Job": "jobs"},
    "coordination.k8s.io/v1": {"Lease": "leases"},
    "discovery.k8s.io/v1": {"EndpointSlice": "endpointslices"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "rbac.authorization.k8s.io/v1": {"Role": "roles", "RoleBinding": "rolebindings"},
}
_CLUSTER_WIDE = {
    "v1": {"Namespace": "namespaces", "Node": "nodes"},
    "admissionregistration.k8s.io/v1": {
        "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
        "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    },
    "apiextensions.k8s.io/v1": {"CustomResourceDefinition": "customresourcedefinitions"},
    "rbac.authorization.k8s.io/v1": {
        "ClusterRole": "clusterroles",
        "ClusterRoleBinding": "clusterrolebindings",
    },
}


class Ref(msgspec.Struct, frozen=True, order=True, gc=False):
    """One object of a cluster. `namespace` is empty for what belongs to none."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


class Resource(msgspec.Struct, frozen=True, gc=False):
    """What paths need to know of a kind."""

    plural: str
    namespaced: bool


class _Known(msgspec.Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool


class _Group(msgspec.Struct, frozen=True):
    resources: list[_Known] = []


class Resources:
    """The kinds of one cluster. What it was asked for is kept."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._found: dict[tuple[str, str], Resource] = {}

    async def path(self, ref: Ref) -> str:
        """The path of an object. Raises `PlatformError` when the cluster does not know its kind."""
        collection = await self.collection(ref.api_version, ref.kind, ref.namespace)
        return f"{collection}/{ref.name}"

    async def collection(self, api_version: str, kind: str, namespace: str = "") -> str:
        """The path of all objects of a kind, in a namespace or (empty) in all."""
        resource = built_in(api_version, kind) or await self._discover(api_version, kind)
        place = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
        return f"{root_of(api_version)}{place}/{resource.plural}"

    async def is_served(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows a kind."""
        try:
            await self.collection(api_version, kind)
        except PlatformError:
            return False
        return True

    async def _discover(self, api_version: str, kind: str) -> Resource:
        if (api_version, kind) not in self._found:
            # Only what was found is kept: a CustomResourceDefinition may come a moment later.
            try:
                answer = await self._server.get(root_of(api_version))
            except Status as error:
                if error.code != 404:
                    raise
                answer = b"{}"
            for known in msgspec.json.decode(answer, type=_Group).resources:
                if "/" not in known.name:
                    resource = Resource(known.name, known.namespaced)
                    self._found[api_version, known.kind] = resource
        found = self._found.get((api_version, kind))
        if found is None:
            raise PlatformError(
                f"The cluster does not know {kind} ({api_version}).",
                hint="Its CustomResourceDefinition is missing, or serves other versions.",
            )
        return found


def built_in(api_version: str, kind: str) -> Resource | None:
    """A kind that every API server has."""
    for table, namespaced in ((_NAMESPACED, True), (_CLUSTER_WIDE, False)):
        plural = table.get(api_version, {}).get(kind)
        if plural:
            return Resource(plural, namespaced)
    return None


def root_of(api_version: str) -> str:
    """The path of a group's version."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def ref_of(document: dict[str, Any]) -> Ref:
    """Which object a document is."""
    metadata = document["metadata"]
    return Ref(
        document["apiVersion"], document["kind"], metadata["name"], metadata.get("namespace", "")
    )
