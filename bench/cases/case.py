"""What a case is."""

from collections.abc import Callable

import msgspec

from bench.figures import Result
from bench.rig import Rig, Setting


class Size(msgspec.Struct, frozen=True):
    """How much to measure. `quick` proves that a case works; its figures count for nothing."""

    quick: bool

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full


class Case(msgspec.Struct, frozen=True):
    """A case that starts what it needs."""

    name: str
    run: Callable[[Size], Result]


class RigCase(msgspec.Struct, frozen=True):
    """A case that works with a connected rig. Neighbours with the same setting share one."""

    name: str
    setting: Callable[[Size], Setting]
    run: Callable[[Rig, Size], Result]


def describe(setting: Setting) -> str:
    """A setting in words."""
    workloads = setting.services * setting.replicas
    text = f"{setting.services:,} services, {workloads:,} workloads, {setting.proxies:,} proxies"
    return f"{text}, {setting.mute:,} that never read" if setting.mute else text
