"""What all pods of a mesh stand on, and what each finds in its private directory."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from osm.core.api.kubernetes import Pod
from osm.core.compile.local_annotations import REDIRECTION, local_redirection
from osm.local import proxy
from osm.local.container import Isolation
from osm.local.relay import Connection
from osm.local.runtime_directory import RuntimeDirectory
from osm.local.sandbox import Setup

_RESOLVE = """\
# Written by osm: the mesh's names are in /etc/hosts; others are told to who may leave the mesh.
nameserver 127.0.0.1
options timeout:5 attempts:2
"""

_NAME_CACHES = ("/run/nscd", "/var/run/nscd")
"""A name service cache on the machine would answer from its own hosts file."""

TakeLine = Callable[[str, str, str, str, bool], None]
"""Gets namespace, pod, container, text, and whether it came from standard error."""


class Beyond(Protocol):
    """What a pod that has a network of its own reaches by this machine's."""

    async def look_up(self, pod: Pod, name: str) -> Sequence[str]:
        """Give the addresses of a name beyond the mesh, if the pod shall know them."""

    async def around(self, pod: Pod, address: str, port: int) -> Connection:
        """Connect to where a call around the proxy goes. Raises OSError or PlatformError."""


class Nothing:
    """There is nothing beyond."""

    async def look_up(self, _pod: Pod, _name: str) -> Sequence[str]:
        """No name exists."""
        return ()

    async def around(self, _pod: Pod, address: str, port: int) -> Connection:
        """Refuse."""
        raise ConnectionRefusedError(f"{address}:{port}")


Prepare = Callable[[Pod, Path], Awaitable[Sequence[str]]]
"""Writes a proxy's files into the pod's directory, and gives Envoy's arguments."""


class Ground(msgspec.Struct, frozen=True):
    """What all pods of a mesh have in common."""

    isolation: Isolation
    runtime: RuntimeDirectory
    envoy: Path
    prepare: Prepare
    take_line: TakeLine
    environment: Mapping[str, str]
    """What programs inherit."""
    directory: Path
    """Where programs run that name no other place."""
    hidden: tuple[str, ...] = ()
    proxy_ready: Callable[[Path], Awaitable[bool]] = proxy.is_ready
    beyond: Beyond = Nothing()


def setup(common: Ground, pod: Pod, directory: Path) -> Setup:
    """Say how the pod's namespaces are made. Its hosts file is already in its directory."""
    (directory / "resolv.conf").write_text(_RESOLVE)
    files = {f"/etc/{name}": str(directory / name) for name in ("hosts", "resolv.conf")}
    hidden = (*common.hidden, str(common.runtime.base), *_NAME_CACHES)
    name = pod.spec.hostname or pod.metadata.name
    return Setup(
        common.isolation,
        hostname=name,
        files=files,
        hidden=hidden,
        address=pod.status.pod_ip,
        around=_around(pod),
    )


def _around(pod: Pod) -> dict[str, tuple[int | str, ...]]:
    """What goes around the pod's proxy; empty when nothing does."""
    redirection = local_redirection(pod.metadata.annotations)
    if not redirection.lets_out:
        return {}
    return {
        "ports": redirection.outbound_ports,
        "ranges": redirection.excluded_ranges,
        "included": redirection.included_ranges,
    }


def as_it_started(pod: Pod, changed: Pod) -> Pod:
    """A pod that goes on in a changed form; what goes around its proxy is as when it started."""
    annotations = {**changed.metadata.annotations}
    annotations.pop(REDIRECTION, None)
    if REDIRECTION in pod.metadata.annotations:
        annotations[REDIRECTION] = pod.metadata.annotations[REDIRECTION]
    metadata = msgspec.structs.replace(changed.metadata, annotations=annotations)
    return msgspec.structs.replace(changed, metadata=metadata)


def write_in_place(path: Path, text: str) -> None:
    """Change a file that is bind-mounted, and that programs may read at any moment.

    What is left of a longer old text is a comment until it is cut off.
    """
    data = text.encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, data + b"#", 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)
