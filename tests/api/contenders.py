"""Contenders for one Lease, each with its own way to the API server, and a look at who leads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.waiting import eventually

from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.lease import Leadership, LeaseName, LeaseTimes, since_boot_s

from .keeping import collect_handshakes

SHORT = LeaseTimes(lease_s=3, renew_s=2.0, retry_s=0.4)


class Contender:
    """A replica, and what it did. What leads looks at the others: there must be none that may write."""

    def __init__(self, name: str, server: ApiServer, proxy: FaultProxy) -> None:
        self.name = name
        self.server = server
        self.proxy = proxy
        self.others: list[Contender] = []
        self.began: list[float] = []
        self.ended: list[float] = []
        self.overlaps: list[str] = []
        self.late = 0
        """How often it still did something when it might not any more."""
        self.mistake: Exception | None = None
        """What is raised while it leads."""
        self.leadership: Leadership
        self.task: asyncio.Task[None]

    def prepare(
        self,
        namespace: str,
        times: LeaseTimes,
        now_s: Callable[[], float] = since_boot_s,
    ) -> None:
        self.leadership = Leadership(
            self.server,
            LeaseName(namespace, "writer"),
            self.name,
            rng=Random(self.name),
            times=times,
            now_s=now_s,
            observe=self._observe,
        )

    def start(self) -> None:
        self.task = asyncio.create_task(self.leadership.run(self._lead))

    @property
    def leads(self) -> bool:
        return self.leadership.leads

    def cut_off(self, fault: Fault) -> None:
        """Nothing of it arrives any more."""
        self.proxy.choose = lambda _: fault
        self.proxy.cut_all()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def _observe(self, leads: bool) -> None:  # noqa: FBT001
        (self.began if leads else self.ended).append(asyncio.get_running_loop().time())

    async def _lead(self) -> None:
        while True:
            if self.mistake is not None:
                raise self.mistake
            if self.leads:
                self.overlaps += [
                    f"{self.name} and {other.name}" for other in self.others if other.leads
                ]
            else:
                self.late += 1
            await asyncio.sleep(0.01)


@asynccontextmanager
async def contenders(
    cluster: ControlPlane, namespace: str, count: int, times: LeaseTimes = SHORT
) -> AsyncIterator[list[Contender]]:
    """Start them one after another, the first of which leads; at the end no two of them ever led."""
    async with AsyncExitStack() as stack:
        stack.callback(collect_handshakes)
        found: list[Contender] = []
        for number in range(count):
            proxy = await stack.enter_async_context(fault_proxy(cluster))
            server = ApiServer.open(proxy.kubeconfig)
            stack.push_async_callback(server.close)
            found.append(Contender(f"replica-{number}", server, proxy))
        for each in found:
            each.others = [other for other in found if other is not each]
            each.prepare(namespace, times)
        for each in found:
            each.start()
            stack.push_async_callback(each.stop)
            await eventually(lambda: bool(found[0].began), "the first leads", within=20)
        yield found
        assert [overlap for each in found for overlap in each.overlaps] == []
        # Its body is cancelled in the moment in which its time is over: at most one look later.
        assert all(each.late <= len(each.began) for each in found)
