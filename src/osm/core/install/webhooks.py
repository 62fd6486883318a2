"""The webhook configurations: what the API server asks the control plane, and about what it never does.

They have no certificate of their own: the replica that writes puts it in (`osm.kubernetes.guard`), and
until then the API server refuses what it would have to ask about.
"""

import base64
from collections.abc import Mapping, Sequence

from osm.core.api.crd import defined_kinds, is_served
from osm.core.api.mesh_keys import IGNORE, MONITORED_BY, SYSTEM_NAMESPACES, TAKEN_OVER_BY
from osm.core.api.registry import Document, Kind
from osm.core.install.labels import LABELS
from osm.core.install.names import (
    APP_LABEL,
    CONTROLLER,
    INJECTOR_PATH,
    INJECTOR_PORT,
    INJECTOR_SERVICE,
    RECONCILE_LABEL,
    VALIDATOR_PATH,
    VALIDATOR_PORT,
    VALIDATOR_SERVICE,
    Installation,
)
from osm.core.install.rbac import MUTATING_WEBHOOK, VALIDATING_WEBHOOK
from osm.core.install.template import (
    MESH,
    NAMESPACE,
    Expression,
    If,
    Node,
    Scope,
    Template,
    Value,
    fill,
)
from osm.core.model.groups import CONFIG

INJECT = "osm-inject.k8s.io"
INJECT_TAKEN_OVER = "osm-inject-taken-over.k8s.io"
VALIDATE = "osm-validator.k8s.io"
VALIDATE_TAKEN_OVER = "osm-validator-taken-over.k8s.io"
VALIDATE_OWN = "osm-control-plane-validator.k8s.io"
VALIDATION_TIMEOUT_S = 5
_NAME = "kubernetes.io/metadata.name"
"""A label that each namespace has."""
_USERS: Node = {"key": _NAME, "operator": "NotIn", "values": [*SYSTEM_NAMESPACES, NAMESPACE]}
"""Neither the system's namespaces nor the control plane's own."""
_OF_MESH: Sequence[Node] = (
    {"key": MONITORED_BY, "operator": "In", "values": [MESH]},
    {"key": IGNORE, "operator": "DoesNotExist"},
    _USERS,
)
_FORMER = Value("osm.formerMeshName")
_TAKEN_OVER: Sequence[Node] = (
    {"key": MONITORED_BY, "operator": "In", "values": [_FORMER]},
    {"key": TAKEN_OVER_BY, "operator": "In", "values": [MESH]},
    _USERS,
)
"""Namespaces of the mesh that this one takes over from; what they ignore is that mesh. A selector cannot
say *or*, so they have a webhook of their own."""
_OWN: Sequence[Node] = ({"key": _NAME, "operator": "In", "values": [NAMESPACE]},)


def _webhook(
    name: str,
    service: tuple[str, int, str],
    where: Sequence[Node],
    rules: Sequence[Node],
    timeout: int | Expression,
) -> dict[str, Node]:
    host, port, path = service
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "service": {"name": host, "namespace": NAMESPACE, "path": path, "port": port}
        },
        "failurePolicy": "Fail",
        # Whatever version a request is written in.
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchExpressions": list(where)},
        "rules": list(rules),
        "sideEffects": "None",
        "timeoutSeconds": timeout,
    }


def _rules(kinds: Sequence[Kind]) -> list[Node]:
    """For each group, its kinds that have the same versions."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kind in kinds:
        served = tuple(
            version
            for version, form in zip(kind.versions, kind.forms, strict=True)
            if is_served(form)
        )
        found.setdefault((kind.group, served), []).append(kind.plural)
    return [
        {
            "apiGroups": [group],
            "apiVersions": list(versions),
            # Never DELETE: what is there can go, whatever became of the control plane.
            "operations": ["CREATE", "UPDATE"],
            "resources": plurals,
            "scope": "Namespaced",
        }
        for (group, versions), plurals in found.items()
    ]


def _configuration(kind: str, name: Expression, webhooks: Sequence[Node]) -> dict[str, Node]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {**LABELS, APP_LABEL: CONTROLLER, RECONCILE_LABEL: "true"},
        },
        "webhooks": list(webhooks),
    }


_INJECTOR = (INJECTOR_SERVICE, INJECTOR_PORT, INJECTOR_PATH)
_VALIDATOR = (VALIDATOR_SERVICE, VALIDATOR_PORT, VALIDATOR_PATH)
_PODS: Node = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["pods"],
    "scope": "Namespaced",
}


def _injecting(name: str, where: Sequence[Node]) -> dict[str, Node]:
    """Again after others: for a pod that got what makes it one of the mesh from one of them, or OSM's
    proxy beside ours.
    """
    timeout = Value("osm.injector.webhookTimeoutSeconds")
    hook = _webhook(name, _INJECTOR, where, [_PODS], timeout)
    return hook | {"reinvocationPolicy": "IfNeeded"}


def _validating(name: str, where: Sequence[Node]) -> dict[str, Node]:
    return _webhook(name, _VALIDATOR, where, _rules(defined_kinds()), VALIDATION_TIMEOUT_S)


MUTATING = Template(
    "mutating-webhook",
    _configuration(
        "MutatingWebhookConfiguration",
        MUTATING_WEBHOOK,
        [
            _injecting(INJECT, _OF_MESH),
            If(_FORMER, _injecting(INJECT_TAKEN_OVER, _TAKEN_OVER)),
        ],
    ),
)
VALIDATING = Template(
    "validating-webhook",
    _configuration(
        "ValidatingWebhookConfiguration",
        VALIDATING_WEBHOOK,
        [
            _validating(VALIDATE, _OF_MESH),
            If(_FORMER, _validating(VALIDATE_TAKEN_OVER, _TAKEN_OVER)),
            _webhook(
                VALIDATE_OWN,
                _VALIDATOR,
                _OWN,
                _rules([kind for kind in defined_kinds() if kind.group == CONFIG]),
                VALIDATION_TIMEOUT_S,
            ),
        ],
    ),
)


def mutating_webhook(
    installation: Installation,
    ca_bundle: bytes,
    timeout_s: int = 5,
    *,
    version: str,
    former_mesh: str = "",
) -> Document:
    """The MutatingWebhookConfiguration as it shall be. `ca_bundle` is PEM: what its server is known by.
    `former_mesh`: whose namespaces may be taken over; empty for none.
    """
    values = {"injector": {"webhookTimeoutSeconds": timeout_s}, "formerMeshName": former_mesh}
    return _with_certificates(MUTATING, installation, ca_bundle, values, version)


def validating_webhook(
    installation: Installation, ca_bundle: bytes, *, version: str, former_mesh: str = ""
) -> Document:
    """The ValidatingWebhookConfiguration likewise."""
    values = {"formerMeshName": former_mesh}
    return _with_certificates(VALIDATING, installation, ca_bundle, values, version)


def _with_certificates(
    template: Template,
    installation: Installation,
    ca_bundle: bytes,
    values: Mapping[str, object],
    version: str,
) -> Document:
    given = {"mesh": installation.mesh, "namespace": installation.namespace, "version": version}
    document = fill(template, Scope({"osm": values}, given))
    assert document is not None
    webhooks = document["webhooks"]
    assert isinstance(webhooks, list)
    for webhook in webhooks:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(ca_bundle).decode()
    return document
