"""One real control plane of Kubernetes for all tests of this tier, a namespace for each test."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane, control_plane
from tests.kubernetes.fault_proxy import FaultProxy, fault_proxy

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A request that is cancelled amid its TLS handshake leaves its socket to the garbage collector: the
    HTTP library does, and whichever test runs then would be blamed.
    """
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    async with control_plane(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lone_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """Another one, for tests that install and remove what a whole cluster shares."""
    async with control_plane(tmp_path_factory.mktemp("lone")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(cluster: ControlPlane) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(cluster) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(cluster: ControlPlane) -> AsyncIterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    await cluster.make_namespace(name)
    yield name
    await cluster.kubectl("delete", "namespace", name, "--wait=false")
