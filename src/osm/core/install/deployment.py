"""The Deployment of the control plane, and how many pods of it there are at least and at most."""

from collections.abc import Sequence

from osm.core.install.labels import LABELS
from osm.core.install.names import (
    ADS_PORT,
    APP_LABEL,
    CONTROLLER,
    FORMER_MESH_FLAG,
    HTTP_PORT,
    INJECTOR_PORT,
    MESH_LABEL,
    SINGLE_MESH_LABEL,
    VALIDATOR_PORT,
)
from osm.core.install.services import SELECTOR
from osm.core.install.template import (
    MESH,
    NAMESPACE,
    OTHERS,
    VERSION,
    Default,
    Given,
    If,
    Joined,
    Node,
    Not,
    Others,
    Template,
    Text,
    Value,
)

USER = 65532
"""The user of the images; it owns nothing."""
SETTLE_S = 5
"""A pod that ends is still called for so long: not all nodes know yet."""
GRACE_S = 30
_HERE = {"name": CONTROLLER, "namespace": NAMESPACE, "labels": {**LABELS, APP_LABEL: CONTROLLER}}
_TAG = Default(Value("osm.image.tag"), VERSION)


def _controller(path: str) -> Value:
    return Value(f"osm.osmController.{path}")


def _image(name: str) -> Text:
    return Text((Value("osm.image.registry"), "/", Value(f"osm.image.name.{name}"), ":", _TAG))


def _flag(name: str, value: Value | Given) -> Text:
    return Text((f"--{name}=", value))


_FORMER = Value("osm.formerMeshName")
COMMAND = ("osm",)
ARGUMENTS: Sequence[Node] = (
    "controller",
    "--kubernetes",
    _flag("mesh-name", MESH),
    _flag("osm-namespace", NAMESPACE),
    _flag("trust-domain", Value("osm.trustDomain")),
    _flag("ca-bundle-secret-name", Value("osm.caBundleSecretName")),
    _flag("verbosity", Value("osm.controllerLogLevel")),
    _flag("validate-traffic-target", Value("smi.validateTrafficTarget")),
    _flag("webhook-timeout", Value("osm.injector.webhookTimeoutSeconds")),
    If(_FORMER, _flag(FORMER_MESH_FLAG, _FORMER)),
)
"""Every setting is here or in the environment, so that one that changes starts the pods anew."""


def _probe(path: str, period_s: int, failures: int) -> dict[str, Node]:
    return {
        "httpGet": {"path": path, "port": HTTP_PORT, "scheme": "HTTP"},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


_CONTAINER: dict[str, Node] = {
    "name": CONTROLLER,
    "image": _image("osmController"),
    "imagePullPolicy": Value("osm.image.pullPolicy"),
    "command": list(COMMAND),
    "args": list(ARGUMENTS),
    "env": [
        {
            "name": "CONTROLLER_POD_NAME",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        },
        {
            "name": "OSM_DEFAULT_ENVOY_IMAGE",
            "value": Default(Value("osm.sidecarImage"), _image("osmSidecar")),
        },
        {"name": "OSM_DEFAULT_INIT_CONTAINER_IMAGE", "value": _image("osmSidecarInit")},
    ],
    "ports": [
        {"name": name, "containerPort": port, "protocol": "TCP"}
        for name, port in (
            ("ads-port", ADS_PORT),
            ("metrics", HTTP_PORT),
            ("injector", INJECTOR_PORT),
            ("validator", VALIDATOR_PORT),
        )
    ],
    "resources": {
        "limits": If(_controller("resource.limits"), _controller("resource.limits")),
        "requests": If(_controller("resource.requests"), _controller("resource.requests")),
    },
    # A large cluster takes a while to be read; a pod that still reads is alive, and not ready.
    "startupProbe": _probe("/health/alive", 2, 60),
    "livenessProbe": _probe("/health/alive", 10, 6),
    "readinessProbe": _probe("/health/ready", 5, 3),
    "lifecycle": {
        "preStop": {"exec": {"command": ["python3", "-c", f"import time; time.sleep({SETTLE_S})"]}}
    },
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    },
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 the pod's own
}

_POD: dict[str, Node] = {
    "metadata": {
        "labels": {
            **LABELS,
            APP_LABEL: CONTROLLER,
            OTHERS: Others(_controller("podLabels")),
        }
    },
    "spec": {
        "serviceAccountName": MESH,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_CONTAINER],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "affinity": If(_controller("affinity"), _controller("affinity")),
        "nodeSelector": If(_controller("nodeSelector"), _controller("nodeSelector")),
        "tolerations": If(
            _TOLERATIONS := Joined(
                (Value("osm.controlPlaneTolerations"), _controller("tolerations"))
            ),
            _TOLERATIONS,
        ),
        "imagePullSecrets": If(Value("osm.imagePullSecrets"), Value("osm.imagePullSecrets")),
    },
}

DEPLOYMENT = Template(
    "deployment",
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": CONTROLLER,
            "namespace": NAMESPACE,
            "labels": {
                **LABELS,
                APP_LABEL: CONTROLLER,
                MESH_LABEL: MESH,
                SINGLE_MESH_LABEL: Text((Value("osm.enforceSingleMesh"),)),
            },
        },
        "spec": {
            "replicas": If(Not(_controller("autoScale.enable")), _controller("replicaCount")),
            "selector": {"matchLabels": SELECTOR},
            # A replica goes when its successor serves.
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": _POD,
        },
    },
)


def _goal(resource: str) -> dict[str, Node]:
    return {
        "type": "Resource",
        "resource": {
            "name": resource,
            "target": {
                "type": "Utilization",
                "averageUtilization": _controller(f"autoScale.{resource}.targetAverageUtilization"),
            },
        },
    }


SCALING: tuple[Template, ...] = (
    Template(
        "pod-disruption-budget",
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": _HERE,
            # Not `minAvailable`: with one replica, no node could ever be drained.
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": SELECTOR}},
        },
        _controller("enablePodDisruptionBudget"),
    ),
    Template(
        "horizontal-pod-autoscaler",
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": _HERE,
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": CONTROLLER,
                },
                "minReplicas": _controller("autoScale.minReplicas"),
                "maxReplicas": _controller("autoScale.maxReplicas"),
                "metrics": [_goal("cpu"), _goal("memory")],
            },
        },
        _controller("autoScale.enable"),
    ),
)
