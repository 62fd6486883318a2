"""Pods of a cluster's mesh: which ones a person means, and what their proxies and containers say."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2

from osm.cli.cluster_session import ClusterSession, open_session
from osm.cli.command import Invocation
from osm.core.envoy.names import ADMIN_PORT
from osm.core.inject.sidecar import CONTAINER as PROXY_CONTAINER
from osm.core.model.reserved import UUID_LABEL
from osm.errors import OsmError, PlatformError, UsageError
from osm.kubernetes.api_server import Status
from osm.kubernetes.apply import Objects
from osm.kubernetes.port_forward import Forward, PodPort, forwarded
from osm.kubernetes.resources import Ref
from osm.ports import LogLine

Document = dict[str, Any]
_TIMEOUT_S = 30.0
_QUEUED = 1000
"""Lines that wait for whoever reads them, before the cluster must."""


def is_meshed(pod: Document) -> bool:
    """Whether a pod has a proxy."""
    return UUID_LABEL in (pod["metadata"].get("labels") or {})


def app_of(pod: Document) -> str:
    """The Deployment or StatefulSet that a pod belongs to, by its owner; else its own name."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        name = str(owner.get("name", ""))
        return name.rpartition("-")[0] if owner.get("kind") == "ReplicaSet" else name
    return str(pod["metadata"]["name"])


def full_name(pod: Document) -> str:
    """Write `namespace/name`."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


async def find_pods(objects: Objects, name: str, namespace: str | None) -> list[Document]:
    """The pod with a name, or those of a Deployment or StatefulSet, sorted.

    The name may be `NAMESPACE/NAME`; without a namespace it is the context's.
    """
    given, _, bare = name.rpartition("/")
    if given and namespace and given != namespace:
        raise UsageError(f"{name} is not in the namespace {namespace}.")
    place = given or namespace or objects.server.namespace
    pod = await objects.get(Ref("v1", "Pod", bare, place))
    if pod is not None:
        return [pod]
    pods = await objects.list("v1", "Pod", place)
    found = sorted((each for each in pods if app_of(each) == bare), key=full_name)
    if not found:
        raise UsageError(
            f"There is no pod {bare} in the namespace {place}.",
            hint="Say which: NAMESPACE/NAME, or -n NAMESPACE. `osm proxy list` has those with proxies.",
        )
    return found


def check_proxy(pod: Document) -> None:
    """Raise `UsageError` when a pod has no proxy that could be asked."""
    name = full_name(pod)
    if not is_meshed(pod):
        raise UsageError(
            f"The pod {name} is not part of a mesh: it has no label {UUID_LABEL}.",
            hint="`osm namespace add` makes a namespace part of one, for pods that start from then on.",
        )
    phase = (pod.get("status") or {}).get("phase", "Pending")
    if phase != "Running":
        raise PlatformError(f"The pod {name} is not running: it is {phase}.")


class ProxyAdmin:
    """The admin interfaces of proxies, each by a forwarded port."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session
        self._forwards: dict[tuple[str, str], Forward] = {}

    def ask(
        self,
        namespace: str,
        pod: str,
        query: str,
        *,
        method: str = "GET",
        local_port: int | None = None,
    ) -> bytes:
        """Return what the proxy of a pod answers; `local_port`: by way of this port of loopback.

        Raises `OsmError`.
        """
        forward = self._forwards.get((namespace, pod))
        if forward is None:
            target = PodPort(namespace, pod, ADMIN_PORT)
            forward = self._session.enter(forwarded(self._session.server, target, port=local_port))
            self._forwards[namespace, pod] = forward
        transport = None if forward.port else httpx2.HTTPTransport(uds=str(forward.socket))
        address = f"http://127.0.0.1:{forward.port or ADMIN_PORT}/{query}"
        with httpx2.Client(transport=transport, timeout=_TIMEOUT_S, trust_env=False) as client:
            try:
                answer = client.request(method, address)
            except httpx2.TransportError as error:
                problem = forward.problem or error
                forbidden = isinstance(problem, Status) and problem.code == 403
                raise PlatformError(
                    f"The proxy of {namespace}/{pod} does not answer: {problem}",
                    hint="A forwarded port needs the right to create pods/portforward."
                    if forbidden
                    else "Has the pod a proxy? `osm check` says which pods have none.",
                ) from error
        if answer.status_code >= 400:
            text = answer.text.strip()[:500]
            raise OsmError(f"The proxy answered {answer.status_code}: {text or 'nothing more'}")
        return answer.content


def ask_proxy(
    told: Invocation,
    name: str,
    namespace: str | None,
    query: str,
    *,
    method: str,
    local_port: int | None,
) -> bytes:
    """Ask the proxy of a pod on a cluster; its control plane need not run."""
    session = open_session(told)
    try:
        pod = session.ask(find_pods(Objects(session.server), name, namespace))[0]
        check_proxy(pod)
        return ProxyAdmin(session).ask(
            pod["metadata"]["namespace"],
            pod["metadata"]["name"],
            query,
            method=method,
            local_port=local_port,
        )
    finally:
        session.close()


def container_names(pod: Document) -> tuple[str, ...]:
    """The containers of a pod that go on printing: its own, and its proxy."""
    spec = pod["spec"]
    proxies = [each["name"] for each in spec.get("initContainers") or ()]
    own = [each["name"] for each in spec.get("containers") or ()]
    return tuple(dict.fromkeys((*own, *(name for name in proxies if name == PROXY_CONTAINER))))


async def container_log(
    objects: Objects, pod: Document, container: str, **parameters: str
) -> AsyncIterator[LogLine]:
    """What a container printed, with `tailLines`, `follow` or `previous` as the API has them."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    async with objects.server.lines(
        path, container=container, timestamps="true", **parameters
    ) as lines:
        async for line in lines:
            time, _, text = line.decode(errors="replace").partition(" ")
            yield LogLine(time, metadata["namespace"], metadata["name"], container, text)


async def pod_log(objects: Objects, pod: Document, tail: int) -> Sequence[LogLine]:
    """The last lines of all containers of a pod, by time."""
    found: list[LogLine] = []
    for container in container_names(pod):
        lines = container_log(objects, pod, container, tailLines=str(tail))
        found += [line async for line in lines]
    return sorted(found, key=lambda line: line.time)[-tail:] if tail else ()


async def followed_log(
    objects: Objects, pods: Sequence[Document], tail: int
) -> AsyncIterator[LogLine]:
    """The last lines of all containers of pods, and each new one until they have ended."""
    lines: asyncio.Queue[LogLine] = asyncio.Queue(maxsize=_QUEUED)

    async def follow(pod: Document, container: str) -> None:
        async for line in container_log(
            objects, pod, container, follow="true", tailLines=str(tail)
        ):
            await lines.put(line)

    tasks = [
        asyncio.ensure_future(follow(pod, container))
        for pod in pods
        for container in container_names(pod)
    ]
    ended = asyncio.gather(*tasks)
    try:
        while True:
            line = asyncio.ensure_future(lines.get())
            await asyncio.wait((line, ended), return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                ended.result()
                return
            yield line.result()
    finally:
        ended.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
