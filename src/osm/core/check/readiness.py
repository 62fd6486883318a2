"""Whether objects of a cluster are ready, read from their documents as the API server gives them.

Each function gives why not, in a few words, or nothing when all is well.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

_LONGEST = 300


def unready(document: Document) -> str:
    """Why an object is not ready yet. What has no state is ready once it exists."""
    match document["kind"]:
        case "Deployment":
            return unready_deployment(document)
        case "CustomResourceDefinition":
            return unready_definition(document)
        case "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration":
            return unready_webhooks(document)
        case _:
            return ""


def unready_deployment(document: Document) -> str:
    """As `kubectl rollout status` sees it: all replicas new, none old, all available."""
    status = document.get("status") or {}
    wanted = int((document.get("spec") or {}).get("replicas", 1))
    if document["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return "its newest form has not been seen yet"
    updated = status.get("updatedReplicas", 0)
    available = min(status.get("availableReplicas", 0), updated)
    if updated < wanted:
        return f"{updated} of {wanted} pods are new{_blocked(status)}"
    old = status.get("replicas", 0) - updated
    if old > 0:
        return f"{old} old pods are still there"
    if available < wanted:
        return f"{available} of {wanted} pods are available{_blocked(status)}"
    return ""


def unready_definition(document: Document) -> str:
    """A CustomResourceDefinition serves its kind when it is established."""
    found = condition(document, "Established")
    if found.get("status") == "True":
        return ""
    names = condition(document, "NamesAccepted")
    if names.get("status") == "False":
        return str(names.get("message", "its names are taken"))[:_LONGEST]
    return "it is not established yet"


def unready_webhooks(document: Document) -> str:
    """Until the control plane wrote its certificate, the API server refuses whatever it asks about."""
    hooks = document.get("webhooks") or ()
    trusted = all((hook.get("clientConfig") or {}).get("caBundle") for hook in hooks)
    return "" if trusted else "the control plane has not put its certificate in yet"


def unready_pod(document: Document) -> str:
    """Why a pod does not serve: what its first bad container waits for, or what the pod says."""
    status = document.get("status") or {}
    if document["metadata"].get("deletionTimestamp"):
        return "it is being deleted"
    if condition(document, "Ready").get("status") == "True":
        return ""
    for each in (*_statuses(status, "initContainerStatuses"), *_statuses(status)):
        why = _unready_container(each)
        if why:
            return why
    scheduled = condition(document, "PodScheduled")
    if scheduled.get("status") == "False":
        return _because(scheduled, "not scheduled")
    if status.get("reason"):
        return _because(status, str(status["reason"]))
    return str(status.get("phase", "Pending"))


def pod_restarts(document: Document) -> int:
    """How often the containers of a pod were started again."""
    status = document.get("status") or {}
    kinds = ("initContainerStatuses", "containerStatuses")
    return sum(
        int(each.get("restartCount", 0)) for kind in kinds for each in _statuses(status, kind)
    )


def condition(document: Document, type_: str) -> Document:
    """One condition of an object's status; empty when it has none of this type."""
    for each in (document.get("status") or {}).get("conditions") or ():
        if each.get("type") == type_:
            found: Document = each
            return found
    return {}


def _statuses(status: Document, kind: str = "containerStatuses") -> Sequence[Document]:
    found: Sequence[Document] = status.get(kind) or ()
    return found


def _unready_container(status: Document) -> str:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    name = status.get("name", "")
    if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
        text = f"container {name}: {_because(waiting, waiting['reason'])}"
        code = last.get("exitCode")
        return f"{text} (it ended with {code} before)" if code is not None else text
    if ended.get("exitCode"):
        return f"container {name} ended with {ended['exitCode']}: {_because(ended, 'Error')}"
    if waiting:
        return f"container {name}: {waiting['reason']}"
    return "" if ended or status.get("ready") else f"container {name} is not ready"


def _because(said: Document, otherwise: str) -> str:
    reason = str(said.get("reason") or otherwise)
    message = str(said.get("message") or "")[:_LONGEST]
    return f"{reason}: {message}" if message else reason


def _blocked(status: Document) -> str:
    """What keeps a Deployment from making pods, or from being done."""
    for each in status.get("conditions") or ():
        failed = each.get("type") == "ReplicaFailure" and each.get("status") == "True"
        late = each.get("type") == "Progressing" and each.get("status") == "False"
        if failed or late:
            return f" ({_because(each, str(each.get('type')))})"
    return ""
