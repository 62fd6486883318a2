"""Objects as API servers give them, and why they are not ready."""

from typing import Any

import pytest

from osm.core.check.readiness import pod_restarts, unready, unready_pod


def deployment(wanted: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"generation": 3},
        "spec": {"replicas": wanted},
        "status": {"observedGeneration": 3, **status},
    }


def counts(updated: int, total: int, available: int) -> dict[str, int]:
    return {"updatedReplicas": updated, "replicas": total, "availableReplicas": available}


NO_QUOTA = {
    "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
    "message": "exceeded quota",
}  # fmt: skip


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (deployment(**counts(2, 2, 2)), ""),
        (deployment(0), ""),
        (deployment(), "0 of 2 pods are new"),
        (
            deployment(observedGeneration=2, **counts(2, 2, 2)),
            "its newest form has not been seen yet",
        ),
        (deployment(**counts(1, 3, 2)), "1 of 2 pods are new"),
        (deployment(**counts(2, 3, 3)), "1 old pods are still there"),
        (deployment(**counts(2, 2, 1)), "1 of 2 pods are available"),
        (
            deployment(**counts(0, 0, 0), conditions=[NO_QUOTA]),
            "0 of 2 pods are new (FailedCreate: exceeded quota)",
        ),
    ],
)
def test_a_deployment_is_ready_when_all_its_pods_are_new_and_available(
    document: dict[str, Any], why: str
) -> None:
    assert unready(document) == why


def definition(*conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {},
        "status": {"conditions": conditions},
    }


def test_a_definition_is_ready_when_it_is_established() -> None:
    assert unready(definition({"type": "Established", "status": "True"})) == ""
    assert unready(definition()) == "it is not established yet"
    taken = {"type": "NamesAccepted", "status": "False", "message": '"egresses" is already in use'}
    assert unready(definition(taken)) == '"egresses" is already in use'


def test_webhooks_are_ready_when_each_has_a_certificate() -> None:
    hooks: list[dict[str, Any]] = [{"clientConfig": {"caBundle": "QQ=="}}, {"clientConfig": {}}]
    configuration = {"kind": "MutatingWebhookConfiguration", "metadata": {}, "webhooks": hooks}
    assert unready(configuration) == "the control plane has not put its certificate in yet"
    hooks.pop()
    assert unready(configuration) == ""


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **status: Any) -> Any:
    return {
        "kind": "Pod",
        "metadata": {},
        "status": {"containerStatuses": containers, "initContainerStatuses": init, **status},
    }


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": "app", "state": {"waiting": {"reason": reason, "message": message}}, **more}


READY = [{"type": "Ready", "status": "True"}]
CRASHED = waiting(
    "CrashLoopBackOff", "back-off 10s", restartCount=4,
    lastState={"terminated": {"exitCode": 137}},
)  # fmt: skip
DONE = {"name": "init", "state": {"terminated": {"exitCode": 0}}, "ready": True}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (pod(conditions=READY), ""),
        (pod(phase="Pending"), "Pending"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                             "message": "0/3 nodes"}]),
            "Unschedulable: 0/3 nodes",
        ),
        (pod(waiting("ImagePullBackOff", "no such image")),
         "container app: ImagePullBackOff: no such image"),
        (pod(CRASHED), "container app: CrashLoopBackOff: back-off 10s (it ended with 137 before)"),
        (pod(waiting("ContainerCreating")), "container app: ContainerCreating"),
        (pod({"name": "app", "state": {"running": {}}, "ready": False}), "container app is not ready"),
        (pod(waiting("PodInitializing"), init=(DONE,)), "container app: PodInitializing"),
        (
            pod(waiting("PodInitializing"),
                init=({"name": "osm-init", "state": {"terminated": {"exitCode": 1}}},)),
            "container osm-init ended with 1: Error",
        ),
        (pod(phase="Failed", reason="Evicted", message="out of disk"), "Evicted: out of disk"),
        ({"metadata": {"deletionTimestamp": "now"}, "kind": "Pod", "status": {"conditions": READY}},
         "it is being deleted"),
    ],
)  # fmt: skip
def test_a_pod_tells_what_it_waits_for(document: dict[str, Any], why: str) -> None:
    assert unready_pod(document) == why


def test_restarts_of_all_containers_count() -> None:
    assert pod_restarts(pod(CRASHED, init=({"name": "i", "restartCount": 2},))) == 6
