"""Reviews of which something was changed at random: an answer or a refusal, and never a mistake of ours."""

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.unit.admission.reviews import UID, injector, of_mesh, review, validator
from tests.unit.inject.pods import container, pod

from osm.kubernetes.webhook_connection import Unreadable

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
PROBE = {"httpGet": {"port": "web", "path": "/live", "httpHeaders": [{"name": "a", "value": "b"}]}}
POD = review(
    pod(
        container(
            livenessProbe=PROBE,
            readinessProbe={"tcpSocket": {"port": 80}},
            ports=[{"name": "web", "containerPort": 80}],
            securityContext={"runAsUser": 1000},
        ),
        initContainers=[container("init", restartPolicy="Always")],
        volumes=[{"name": "data", "emptyDir": {}}],
        annotations={"openservicemesh.io/inbound-port-exclusion-list": "9090"},
        nodeSelector={"kubernetes.io/os": "linux"},
        os={"name": "linux"},
    )
)
INGRESS = {
    "apiVersion": "policy.openservicemesh.io/v1alpha1",
    "kind": "IngressBackend",
    "metadata": {"name": "a", "namespace": "shop", "labels": {"a": "b"}},
    "spec": {
        "backends": [{"name": "shop", "port": {"number": 80, "protocol": "http"}}],
        "sources": [{"kind": "IPRange", "name": "10.0.0.0/8"}],
        "matches": [
            {"apiGroup": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup", "name": "a"}
        ],
    },
}
POLICY = of_mesh(INGRESS, operation="UPDATE", oldObject=INGRESS)
WEBHOOKS = {"injector": (injector(), POD), "validator": (validator(INGRESS), POLICY)}


def places(document: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all parts of a document."""
    found = [path] if path else []
    if isinstance(document, dict):
        items: list[tuple[Any, object]] = list(document.items())
    else:
        items = list(enumerate(document)) if isinstance(document, list) else []
    return found + [each for key, value in items for each in places(value, (*path, key))]


def changed(document: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    result = copy.deepcopy(document)
    part: Any = result
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return result


@given(st.data(), st.sampled_from(sorted(WEBHOOKS)), st.integers(1, 3))
async def test_something_else_stands_there(data: st.DataObject, name: str, times: int) -> None:
    answer, posted = WEBHOOKS[name]
    for _ in range(times):
        path = data.draw(st.sampled_from(places(posted)))
        posted = changed(posted, path, data.draw(JSON))
    with capture_logs() as logs:
        try:
            found = msgspec.json.decode(await answer(json.dumps(posted).encode()))["response"]
        except Unreadable:
            return
    assert not [each for each in logs if "exc_info" in each], posted
    assert found["uid"] == posted["request"]["uid"]
    assert found["allowed"] or 400 <= found["status"]["code"] < 500
    assert found["allowed"] or found["status"]["message"]


@given(st.binary(max_size=200))
async def test_any_bytes_are_refused(body: bytes) -> None:
    for answer, _ in WEBHOOKS.values():
        with pytest.raises(Unreadable) as refused:
            await answer(body)
        text = str(refused.value)
        assert len(text) < 400 and text.isprintable()


def test_there_are_many_places() -> None:
    assert len(places(POD)) > 50 and len(places(POLICY)) > 50
    assert UID in json.dumps(POD)
