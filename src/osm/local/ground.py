"""What all pods of a mesh stand on, and what each finds in its private directory."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from osm.core.api.kubernetes import Pod
from osm.local import proxy
from osm.local.container import Isolation
from osm.local.runtime_directory import RuntimeDirectory
from osm.local.sandbox import Setup

_RESOLVE = """\
# Written by osm: names are in /etc/hosts.
nameserver 127.0.0.1
options timeout:1 attempts:1
"""

_NAME_CACHES = ("/run/nscd", "/var/run/nscd")
"""A name service cache on the machine would answer from its own hosts file."""

TakeLine = Callable[[str, str, str, str, bool], None]
"""Gets namespace, pod, container, text, and whether it came from standard error."""

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


def setup(common: Ground, pod: Pod, directory: Path) -> Setup:
    """Say how the pod's namespaces are made. Its hosts file is already in its directory."""
    (directory / "resolv.conf").write_text(_RESOLVE)
    files = {f"/etc/{name}": str(directory / name) for name in ("hosts", "resolv.conf")}
    hidden = (*common.hidden, str(common.runtime.base), *_NAME_CACHES)
    name = pod.spec.hostname or pod.metadata.name
    return Setup(common.isolation, hostname=name, files=files, hidden=hidden)


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
