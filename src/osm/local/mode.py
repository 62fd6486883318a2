"""Which way of keeping pods apart works on this machine: found out by really making a pod.

To ask for the kernel's settings would be to guess: AppArmor, seccomp, limits, a masked /proc and
missing modules all refuse at different steps. So a throw-away pod is made the whole way, with a
program in it.
"""

import os
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from osm.errors import PlatformError
from osm.local.container import Isolation
from osm.local.sandbox import Command, Sandbox, Setup


class Wish(StrEnum):
    """What a person asks for (`--isolation`)."""

    AUTO = "auto"
    ROOT = "root"
    USER = "user"
    NONE = "none"


class Mode(msgspec.Struct, frozen=True):
    """How pods are kept apart here, and why not better."""

    isolation: Isolation
    reason: str

    @property
    def transparent(self) -> bool:
        """Whether programs are redirected, and need not know the mesh."""
        return self.isolation is not Isolation.NONE


_TITLES = {
    Isolation.ROOT: "namespaces, as root",
    Isolation.USER: "user namespaces, without root",
    Isolation.NONE: "no isolation: loopback addresses and HTTP_PROXY",
}


async def detect_mode(wish: Wish = Wish.AUTO, *, simulate_failure: Sequence[str] = ()) -> Mode:
    """Choose root, user namespaces, or neither: the first that works, or the one that is asked for.

    What is named in `simulate_failure` is treated as refused. Raises `PlatformError` when what is
    asked for does not work.
    """
    if wish is not Wish.AUTO:
        isolation = Isolation(wish.value)
        problem = await _problem(isolation, simulate_failure)
        if problem:
            raise PlatformError(
                f"--isolation {wish} does not work here: {problem}",
                hint="`--isolation auto` takes what works, and says why.",
            )
        return Mode(isolation, f"{_TITLES[isolation]} (asked for)")
    refused: list[str] = []
    for isolation in (Isolation.ROOT, Isolation.USER):
        problem = await _problem(isolation, simulate_failure)
        if not problem:
            return Mode(isolation, _TITLES[isolation])
        refused.append(problem)
    return Mode(Isolation.NONE, f"{_TITLES[Isolation.NONE]} ({'; '.join(refused)})")


async def _problem(isolation: Isolation, simulate_failure: Sequence[str]) -> str:
    """Why this way does not work; empty when it does."""
    if isolation is Isolation.NONE:
        return ""
    title = "namespaces as root" if isolation is Isolation.ROOT else "user namespaces"
    if isolation in simulate_failure:
        return f"{title}: refused, since a test says so"
    if isolation is Isolation.ROOT and os.geteuid() != 0:
        return "not root"
    try:
        sandbox = await Sandbox.start(Setup(isolation, files={"/etc/hosts": "/etc/hosts"}))
    except PlatformError as error:
        return f"{title}: {error}"
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            trial = Command(("/bin/sh", "-c", "exit 42"), {"PATH": os.defpath}, "app")
            process = await sandbox.spawn(trial, stdin=nothing, stdout=nothing, stderr=nothing)
        finally:
            os.close(nothing)
        code = await process.exited
        return "" if code == 42 else f"{title}: a program in a container ended with {code}"
    except PlatformError as error:
        return f"{title}: {error}"
    finally:
        await sandbox.close()
