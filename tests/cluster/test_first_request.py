"""From an empty cluster to the first request through the mesh, images present."""

import time

import pytest
from tests.kubernetes.node import Node

from .mesh import Mesh
from .pods import app, apply, ready, run_in_pod
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

WITHIN_S = 60.0
"""Of the issue of the mesh on Kubernetes; a quiet machine needs less than half of it."""


async def test_the_first_request_comes_within_a_minute(
    node: Node, mesh: Mesh, namespace: str
) -> None:
    started = time.monotonic()
    await mesh.join(namespace)
    await apply(
        node, app("web", "python", "-m", "osm.testing.puppet", "8000", port=8000), namespace
    )
    await apply(node, app("caller", "sleep", "3600"), namespace)
    for name in ("web", "caller"):
        (pod,) = await ready(node, namespace, f"app={name}")
        assert "envoy" in {each["name"] for each in pod["spec"]["initContainers"]}

    async def answered() -> bool:
        ask = ("curl", "-s", "http://web:8000/")
        said = await run_in_pod(node, namespace, "deployment/caller", *ask)
        return f"URI=spiffe://cluster.local/ns/{namespace}/sa/default" in said

    await eventually(answered, "a request goes through both proxies", within=WITHIN_S)
    took = mesh.installed_in_s + time.monotonic() - started
    assert took < WITHIN_S, f"{mesh.installed_in_s:.0f} s of {took:.0f} s for `osm install`"
