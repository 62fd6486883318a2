"""One whole cluster for all tests of this tier, a namespace for each test.

    pytestmark = pytest.mark.asyncio(loop_scope="session")

    async def test_a_service_answers(node: Node, namespace: str) -> None:
        await apply(node, app("web", "python", "-m", "http.server", "80", port=80), namespace)
        await ready(node, namespace, "app=web")
        await run_in_pod(node, namespace, "deployment/web", "curl", "-sf", "http://web/")

- `node` (`tests.kubernetes.node.Node`) is a `ControlPlane`: `kubectl`, `kubeconfig`, `url`, `stop` and
  `start` of `kube-apiserver` and others. Beyond that: `begin` and `end` of `kubelet`, `kube-proxy`;
  `run_inside` (a command in the node's namespaces: `ctr`, `nft`), `run_in_network` (a command of here that
  reaches pods and Services by address), `call_in_network` (a function likewise: `lambda: httpx2.get(url)`),
  `import_image`. Nothing in it reaches the world.
- Between pods and the API server stands `fault_proxy(node, await node.listen())`, at `proxy.address`; between
  a client of here and the API server `fault_proxy(node)`.
- `mesh` (`tests.cluster.mesh.Mesh`): what `osm install` made, and `osm` itself; `meshed`: a namespace of it.
- `scene` (`tests.cluster.cast.Cast`): puppets in the mesh and beyond it, which the tests of one file share.
- `namespace`: its name; it is deleted after the test. Objects of no namespace are the test's to delete.
- `tests.cluster.pods`: `apply`, `ready`, `until_pods`, `pods`, `run_in_pod`, `logs`, `reachable` (a Service
  takes connections, which comes a moment after its pods are ready), and `app`, which writes a Deployment
  and a Service.
- `tests.cluster.load`: `load`, requests at a steady rate from a pod, with what failed.
- Images: `images.catalogue.name("osm-controller")`, `osm-demo`, `osm-envoy`, `osm-init`, as they are built
  from this checkout at the session's start; `tests.kubernetes.images.APPS` has what the demo's has, and
  `curl`, `nft`, `bash`. No image is pulled: there is no registry.
- `Node.make_namespace` for a second one. `tests.cluster.waiting`: `eventually`.
- When a test fails, the pods of its namespace and of the mesh's are shown, with their last lines.
"""

import uuid
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.kubernetes.node import Node, running_node

from .cast import OPEN, Cast, gathered
from .mesh import Mesh, installed_mesh
from .state import state_of

HERE = Path(__file__).parent
LIMIT_S = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test pays for the cluster, and pods take seconds to come and go."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    async with running_node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mesh(node: Node) -> AsyncIterator[Mesh]:
    """One mesh for all tests that want one. Whoever changes its MeshConfig changes it back."""
    async with installed_mesh(node) as installed:
        yield installed


@pytest_asyncio.fixture(loop_scope="session")
async def meshed(mesh: Mesh, namespace: str) -> str:
    """The name of a namespace of the mesh, deleted after the test."""
    await mesh.join(namespace)
    return namespace


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(node: Node) -> AsyncIterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    await node.make_namespace(name)
    yield name
    await node.kubectl("delete", "namespace", name, "--wait=false")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cast(node: Node, mesh: Mesh) -> AsyncIterator[Cast]:
    inner, outer = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("scene", "outer"))
    try:
        for name in (inner, outer):
            await node.make_namespace(name)
        await mesh.join(inner)
        yield await gathered(mesh, inner, outer)
    finally:
        await node.kubectl(
            "delete", "namespace", "--ignore-not-found", "--wait=false", inner, outer
        )


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cast: Cast) -> AsyncIterator[Cast]:
    """The cast; after the test its policies are gone, and the mesh is as it was installed."""
    yield cast
    await cast.drop()
    await cast.mesh.configure(**OPEN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    values: dict[str, Any] = getattr(item, "funcargs", {})
    if report.failed and "node" in values:
        cast: Cast | None = values.get("cast")
        own = values.get("namespace", cast.namespace if cast else "default")
        shown = state_of(values["node"], own)
        report.sections.append(("the cluster", shown))
    return report
