"""When the replica that leads looks again at what it has to write."""

from pathlib import Path

import pytest

from osm.core.api.manifest import Key
from osm.core.install.names import Installation
from osm.runtime.control_core import ControlCore
from osm.runtime.leading import writer_inputs
from osm.runtime.writer import WriterInputs
from osm.testing.builders import Part, manifests, pod, service, target
from osm.testing.clock import FakeClock

ONE, TWO, THREE = (f"shop-{number}" for number in (1, 2, 3))


def shop(name: str, *, ready: bool = True) -> Part:
    """A pod behind the service `shop`."""
    return pod(name, app="shop", account="shop", ip=f"10.0.0.{name[-1]}", ready=ready)


class Leading:
    """A control plane's pipeline, and what the writer hears of it."""

    def __init__(self, core: ControlCore) -> None:
        self._pipeline = core.pipeline
        self._inputs: WriterInputs = writer_inputs(
            Installation(), "cluster.local", 5, core, lambda: ()
        )

    async def hears_of(self, *parts: Part, deleted: tuple[Key, ...] = ()) -> bool:
        self._inputs.news.clear()
        self._pipeline.change(manifests(*parts), deleted, trigger="test")
        await self._pipeline.settle()
        return self._inputs.news.is_set()


@pytest.fixture
async def leading(tmp_path: Path) -> Leading:
    core = await ControlCore.open("test", tmp_path, f"unix:{tmp_path}/ads.sock", clock=FakeClock())
    made = Leading(core)
    first = (service("shop", 80), shop(ONE), shop(TWO))
    assert await made.hears_of(*first), "the first model is news"
    return made


async def test_pods_that_come_go_and_get_ready_are_no_news(leading: Leading) -> None:
    assert not await leading.hears_of(shop(ONE, ready=False))
    assert not await leading.hears_of(shop(ONE), shop(THREE))
    assert not await leading.hears_of(deleted=(Key("", "Pod", "default", THREE),))


async def test_pods_that_leave_something_wrong_or_mend_it_are_news(leading: Leading) -> None:
    assert await leading.hears_of(shop(ONE, ready=False), shop(TWO, ready=False))
    assert await leading.hears_of(shop(TWO))


async def test_what_is_no_pod_is_news_also_in_the_company_of_pods(leading: Leading) -> None:
    assert await leading.hears_of(service("shop", 8080))
    assert await leading.hears_of(target("shop", "shop", ["shop"]), shop(ONE, ready=False))
