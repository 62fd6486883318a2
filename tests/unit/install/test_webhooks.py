"""Whom the API server asks, and about what: nobody outside of a mesh depends on its control plane."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.install.installed import made, one

from osm.core.api.crd import defined_kinds, is_served
from osm.core.install.names import Installation
from osm.core.install.webhooks import mutating_webhook, validating_webhook

NAMESPACES: Mapping[str, tuple[Mapping[str, str], set[str]]] = {
    "shop": ({"openservicemesh.io/monitored-by": "osm"}, {"inject", "validate"}),
    "of-another-mesh": ({"openservicemesh.io/monitored-by": "blue"}, set()),
    "outside": ({}, set()),
    "ignored": (
        {"openservicemesh.io/monitored-by": "osm", "openservicemesh.io/ignore": "anything"},
        set(),
    ),
    "kube-system": ({"openservicemesh.io/monitored-by": "osm"}, set()),
    "kube-public": ({"openservicemesh.io/monitored-by": "osm"}, set()),
    "osm-system": ({"openservicemesh.io/monitored-by": "osm"}, {"validate-own"}),
    "osm-system-2": ({}, set()),
}
NAMES = {
    "osm-inject.k8s.io": "inject",
    "osm-inject-taken-over.k8s.io": "inject-taken",
    "osm-validator-taken-over.k8s.io": "validate-taken",
    "osm-validator.k8s.io": "validate",
    "osm-control-plane-validator.k8s.io": "validate-own",
}


TAKEN = {
    "openservicemesh.io/monitored-by": "old",
    "openservicemesh.io/taken-over-by": "osm",
    # For the webhooks of the former mesh.
    "openservicemesh.io/ignore": "true",
}
TAKE_OVER: Mapping[str, tuple[Mapping[str, str], set[str]]] = {
    "taken": (TAKEN, {"inject-taken", "validate-taken"}),
    "not-yet": ({"openservicemesh.io/monitored-by": "old"}, set()),
    "by-another": ({**TAKEN, "openservicemesh.io/taken-over-by": "blue"}, set()),
    "of-another": ({**TAKEN, "openservicemesh.io/monitored-by": "blue"}, set()),
    "ended": (
        {"openservicemesh.io/monitored-by": "osm", "openservicemesh.io/taken-over-by": "osm"},
        {"inject", "validate"},
    ),
    "kube-system": (TAKEN, set()),
    "osm-system": (TAKEN, {"validate-own"}),
}


@pytest.mark.parametrize("name", [*NAMESPACES, *TAKE_OVER])
def test_namespace_of_a_mesh_that_takes_over_is_asked_about_by(name: str) -> None:
    labels, expected = TAKE_OVER.get(name) or NAMESPACES[name]
    present = {**labels, "kubernetes.io/metadata.name": name}
    hooks = _hooks("osm.formerMeshName=old")
    assert {NAMES[hook["name"]] for hook in hooks if _selects(hook, present)} == expected


def test_without_a_former_mesh_nobody_asks_about_what_was_taken_over() -> None:
    present = {**TAKEN, "kubernetes.io/metadata.name": "taken"}
    assert not any(_selects(hook, present) for hook in _hooks())


@pytest.mark.parametrize("name", NAMESPACES)
def test_namespace_is_asked_about_by(name: str) -> None:
    labels, expected = NAMESPACES[name]
    present = {**labels, "kubernetes.io/metadata.name": name}
    asked = {NAMES[hook["name"]] for hook in _hooks() if _selects(hook, present)}
    assert asked == expected


def test_calls_are_bounded_and_leave_no_traces() -> None:
    for hook in _hooks():
        assert hook["failurePolicy"] == "Fail"
        assert hook["timeoutSeconds"] == 5
        assert hook["sideEffects"] == "None"
        assert hook["admissionReviewVersions"] == ["v1"]
    mutating = one("MutatingWebhookConfiguration", "osm.injector.webhookTimeoutSeconds=12")
    assert mutating["webhooks"][0]["timeoutSeconds"] == 12


def test_nothing_keeps_objects_from_being_deleted() -> None:
    operations = {
        each for hook in _hooks() for rule in hook["rules"] for each in rule["operations"]
    }
    assert operations == {"CREATE", "UPDATE"}


def test_pods_are_asked_about_when_they_are_created_only() -> None:
    (inject,) = one("MutatingWebhookConfiguration")["webhooks"]
    (rule,) = inject["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])


def test_every_served_version_of_every_kind_is_judged() -> None:
    hook = one("ValidatingWebhookConfiguration")["webhooks"][0]
    judged = {
        (group, version, resource)
        for rule in hook["rules"]
        for group in rule["apiGroups"]
        for version in rule["apiVersions"]
        for resource in rule["resources"]
    }
    assert judged == {
        (kind.group, version, kind.plural)
        for kind in defined_kinds()
        for version, form in zip(kind.versions, kind.forms, strict=True)
        if is_served(form)
    }


@pytest.mark.parametrize("former", ["", "old"])
def test_running_control_plane_writes_the_same_with_certificates(former: str) -> None:
    """Otherwise an upgrade and the control plane would undo each other's work."""
    installation = Installation("blue", "blue-system")
    pem = b"-----BEGIN CERTIFICATE-----"
    running = {
        each["kind"]: each
        for each in (
            mutating_webhook(installation, pem, 9, version="2.0.0", former_mesh=former),
            validating_webhook(installation, pem, version="2.0.0", former_mesh=former),
        )
    }
    text = f"osm.injector.webhookTimeoutSeconds=9,osm.formerMeshName={former}"
    for document in made(text, installation=installation):
        if document["kind"] in running:
            other: Any = running.pop(document["kind"])
            for hook in other["webhooks"]:
                bundle = hook["clientConfig"].pop("caBundle")
                assert base64.b64decode(bundle) == pem
            assert other == document
    assert not running


def _hooks(text: str = "") -> list[Mapping[str, Any]]:
    return [
        hook
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        for hook in one(kind, text)["webhooks"]
    ]


def _selects(hook: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """As Kubernetes reads a label selector."""
    for each in hook["namespaceSelector"]["matchExpressions"]:
        there, values = labels.get(each["key"]), each.get("values", [])
        match each["operator"]:
            case "In":
                holds = there in values
            case "NotIn":
                holds = there not in values
            case "DoesNotExist":
                holds = there is None
            case other:
                raise AssertionError(other)
        if not holds:
            return False
    return True
