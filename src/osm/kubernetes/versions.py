"""The versions of what runs pods: the API server and each node's kubelet."""

from collections.abc import AsyncIterator

import msgspec

from osm.kubernetes.api_server import ApiServer

PAGE = 500


class _NodeInfo(msgspec.Struct, frozen=True, rename="camel"):
    kubelet_version: str = ""


class _NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    node_info: _NodeInfo = _NodeInfo()


class _Node(msgspec.Struct, frozen=True):
    status: _NodeStatus = _NodeStatus()


class _ListMetadata(msgspec.Struct, frozen=True, rename={"continue_": "continue"}):
    continue_: str = ""


class _Nodes(msgspec.Struct, frozen=True):
    items: tuple[_Node, ...] = ()
    metadata: _ListMetadata = _ListMetadata()


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str = ""


async def component_versions(server: ApiServer) -> frozenset[str]:
    """As they write them themselves. Raises `Status` and `Unreachable`."""
    own = msgspec.json.decode(await server.get("/version"), type=_Version)
    return frozenset({own.git_version, *[version async for version in _kubelets(server)]})


async def _kubelets(server: ApiServer) -> AsyncIterator[str]:
    token = ""
    while True:
        parameters = {"limit": str(PAGE), **({"continue": token} if token else {})}
        body = await server.get("/api/v1/nodes", **parameters)
        page = msgspec.json.decode(body, type=_Nodes)
        for node in page.items:
            yield node.status.node_info.kubelet_version
        token = page.metadata.continue_
        if not token:
            return
