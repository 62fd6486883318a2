"""Names and ports of a control plane in a cluster. They are OSM's (`reference/osm.md` §4, §5)."""

import msgspec

CONTROLLER = "osm-controller"
"""The Deployment, its container, its label `app`, and the Service that proxies and people call."""
INJECTOR_SERVICE = "osm-injector"
VALIDATOR_SERVICE = "osm-validator"

ADS_PORT = 15128
"""Where proxies connect, with TLS and a token."""
HTTP_PORT = 9091
"""`/health/ready`, `/health/alive`, `/metrics`, `/version`, `/smi/version`: plain HTTP, for everybody."""
INJECTOR_PORT = 9090
VALIDATOR_PORT = 9093
DEBUG_PORT = 9092
"""On loopback, and only while MeshConfig's `enableDebugServer` is true."""
API_PORT = 9094
"""The API that `osm` speaks: on loopback of the pod, so whoever may forward ports to it may use it."""
PAGE_PORT = 9095
"""The web page, likewise."""

INJECTOR_PATH = "/mutate-pod-creation"
VALIDATOR_PATH = "/validate"

MESH_CONFIG = "osm-mesh-config"
CA_SECRET = "osm-ca-bundle"  # noqa: S105 a name
"""With the keys `ca.crt` and `private.key`, PEM."""
FORMER_MESH_FLAG = "former-mesh-name"
"""The controller's argument: the mesh that it takes over from."""
PROXY_FILES = "osm-proxy-files"
"""A ConfigMap in each namespace of the mesh: what its proxies read beside their tokens."""

APP_LABEL = "app"
NAME_LABEL = "app.kubernetes.io/name"
NAME = "openservicemesh.io"
INSTANCE_LABEL = "app.kubernetes.io/instance"
"""The mesh's name."""
VERSION_LABEL = "app.kubernetes.io/version"
MESH_LABEL = "meshName"
SINGLE_MESH_LABEL = "enforceSingleMesh"
RECONCILE_LABEL = "openservicemesh.io/reconcile"


def shipped_image(name: str, version: str) -> str:
    """What `make images` calls an image."""
    return f"openservicemesh/{name}:{version}"


class Installation(msgspec.Struct, frozen=True, order=True, gc=False):
    """One control plane: its mesh's name, and its own namespace."""

    mesh: str = "osm"
    namespace: str = "osm-system"

    @property
    def controller_host(self) -> str:
        """Where proxies find the control plane; without the cluster's domain, which search lists add."""
        return f"{CONTROLLER}.{self.namespace}.svc"

    @property
    def mutating_webhook(self) -> str:
        return f"osm-webhook-{self.mesh}"

    @property
    def validating_webhook(self) -> str:
        return f"osm-validator-mesh-{self.mesh}"

    @property
    def lease(self) -> str:
        """Held by the replica that writes."""
        return f"{CONTROLLER}-{self.mesh}"

    @property
    def refusals(self) -> str:
        """A ConfigMap: what each replica's proxies refuse."""
        return f"{CONTROLLER}-{self.mesh}-refusals"

    def service_host(self, service: str) -> str:
        """The name in the certificate of a webhook's server."""
        return f"{service}.{self.namespace}.svc"
