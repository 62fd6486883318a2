"""One pod that runs: its namespaces, its proxy first, then its programs, while it is wanted."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

import structlog

from osm.core.api.kubernetes import Container, Pod
from osm.core.api.manifest import Manifest
from osm.errors import OsmError, PlatformError
from osm.local import ground, hosts, output, pod_services, probe
from osm.local.container import Isolation
from osm.local.ground import Ground
from osm.local.pod_status import PROXY, PodState, ProgramState, show
from osm.local.restart import Restarts, leaves
from osm.local.sandbox import Command, Process, Sandbox, SandboxError
from osm.local.upkeep import Upkeep

log = structlog.get_logger()

LONGEST_GRACE_S = 5.0
"""A person at a terminal waits; Kubernetes' 30 s are too long."""

_PROXY_GRACE_S = 1.0

_UNTIL_CALLERS_KNOW_S = 0.2
"""They hear of a pod's end after some ten milliseconds, and connect to it until then."""


def ingress_socket(port: int | str) -> str:
    """The socket in a pod's directory that takes what comes from outside of the mesh to a port."""
    return f"ingress.{port}.sock"


class RunningPod:
    """Call `run` in a task; `stop` ends it in order. `publish` hears of each change."""

    def __init__(
        self, pod: Pod, hosts_text: str, common: Ground, publish: Callable[[Manifest], None]
    ) -> None:
        self.pod = pod
        self.directory = common.runtime.pod(pod.metadata.namespace, pod.metadata.name)
        self._ground = common
        self._publish = publish
        self._state = PodState(pod)
        self._hosts_text = ""
        self._sandbox: Sandbox | None = None
        self._processes: dict[str, Process] = {}
        self._proxy_is_ready = asyncio.Event()
        self._upkeep = Upkeep(
            stopping=lambda: self._state.stopping, show=self._show, tell=self._tell
        )
        self.update(pod, hosts_text)

    @property
    def sandbox(self) -> Sandbox:
        """The namespaces; raises `SandboxError` while there are none."""
        if self._sandbox is None:
            raise SandboxError(f"pod {self.pod.metadata.name} is not running")
        return self._sandbox

    def update(self, pod: Pod, hosts_text: str) -> None:
        """Take what may change while the pod runs: labels, annotations, and the hosts file."""
        self.pod = pod = ground.as_it_started(self.pod, pod)
        names = dict.fromkeys((pod.metadata.name, pod.spec.hostname or pod.metadata.name))
        text = hosts.with_own_name(hosts_text, pod.status.pod_ip, names)
        if text != self._hosts_text:
            ground.write_in_place(self.directory / "hosts", text)
            self._hosts_text = text
        self._show()

    async def run(self) -> None:
        """Keep the pod running until cancelled or stopped."""
        restarts = Restarts()
        loop = asyncio.get_running_loop()
        while not self._state.stopping:
            began = loop.time()
            try:
                await self._live()
            except* (OsmError, OSError) as group:
                problem = "; ".join(str(error) for error in leaves(group))
            except* Exception as group:
                log.exception("pod_failed", pod=self.pod.metadata.name)
                problem = "; ".join(repr(error) for error in leaves(group))
            else:
                return
            delay = restarts.delay_s(loop.time() - began)
            self._state.problem = f"{problem}; next try in {delay:.1f} s"
            self._show()
            await asyncio.sleep(delay)

    async def stop(self) -> None:
        """End the programs, once nobody calls them any more, then the proxy.

        By SIGTERM, or by SIGKILL when that takes too long.
        """
        was_called = self._state.ready
        self._state.stopping = True
        self._show()
        if self._sandbox is None or self._sandbox.closed.done():
            return
        if was_called:
            await asyncio.sleep(_UNTIL_CALLERS_KNOW_S)
        programs = [each for name, each in self._processes.items() if name != PROXY]
        await asyncio.gather(*(self._end(each, self._grace()) for each in programs))
        if PROXY in self._processes:
            await self._end(self._processes[PROXY], _PROXY_GRACE_S)

    def _grace(self) -> float:
        return min(float(self.pod.spec.termination_grace_period_seconds), LONGEST_GRACE_S)

    async def _end(self, process: Process, grace: float) -> None:
        with suppress(PlatformError):  # the sandbox is gone: so is the program
            await self.sandbox.signal(process, signal.SIGTERM)
            await asyncio.wait([process.exited], timeout=grace)
            await self.sandbox.signal(process, signal.SIGKILL)
            await asyncio.wait([process.exited], timeout=grace)

    def _show(self) -> None:
        inbound = f"unix:{self.directory}/in.{{port}}.sock"
        ingress = f"unix:{self.directory}/{ingress_socket('{port}')}"
        self._publish(show(self.pod, self._state, inbound, ingress))

    async def _live(self) -> None:
        sandbox = self._sandbox = await Sandbox.start(
            ground.setup(self._ground, self.pod, self.directory)
        )
        self._ground.runtime.add_agent(sandbox.pid)
        self._state.problem = ""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fail_when_gone(sandbox))
                group.create_task(pod_services.serve(sandbox, self._ground, lambda: self.pod))
                group.create_task(self._keep_proxy(group))
                group.create_task(self._run_containers(group))
        finally:
            self._sandbox = None
            self._processes.clear()
            self._proxy_is_ready.clear()
            self._ground.runtime.remove_agent(sandbox.pid)
            for state in (self._state.proxy, *self._state.containers):
                state.ready = False
            await sandbox.close()

    async def _fail_when_gone(self, sandbox: Sandbox) -> None:
        await asyncio.wait([sandbox.closed])
        if not self._state.stopping:
            raise SandboxError("the pod's namespaces ended unexpectedly")

    async def _keep_proxy(self, group: asyncio.TaskGroup) -> None:
        async def start() -> Process:
            for socket in self.directory.glob("*.sock"):
                socket.unlink(missing_ok=True)
            arguments = await self._ground.prepare(self.pod, self.directory)
            command = Command(
                (str(self._ground.envoy), *arguments), {"PATH": os.defpath}, "proxy", "/"
            )
            return await self._spawn(group, PROXY, command)

        async def become_ready(_: Process) -> None:
            pause = 0.02
            self._state.proxy.problem = "waiting for its configuration"
            self._show()
            while not await self._ground.proxy_ready(self.directory):
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, 0.2)
            self._state.proxy.ready = True
            self._proxy_is_ready.set()
            self._show()

        await self._upkeep.keep(
            self._state.proxy,
            start,
            become_ready,
            lambda _: True,
            when_ended=self._proxy_is_ready.clear,
        )

    async def _run_containers(self, group: asyncio.TaskGroup) -> None:
        await self._proxy_is_ready.wait()
        for container in self.pod.spec.init_containers:
            if container.restart_policy == "Always":
                group.create_task(
                    self._keep_container(group, container, ProgramState(container.name))
                )
            else:
                await self._run_to_completion(group, container)
        for container, state in zip(self.pod.spec.containers, self._state.containers, strict=True):
            group.create_task(self._keep_container(group, container, state))

    async def _run_to_completion(self, group: asyncio.TaskGroup, container: Container) -> None:
        policy = {"Always": "OnFailure"}.get(
            self.pod.spec.restart_policy, self.pod.spec.restart_policy
        )
        state = ProgramState(container.name)

        async def nothing(_: Process) -> None: ...

        await self._upkeep.keep(
            state,
            lambda: self._spawn(group, container.name, self._command(container)),
            nothing,
            lambda code: policy == "OnFailure" and code != 0,
        )

    async def _keep_container(
        self, group: asyncio.TaskGroup, container: Container, state: ProgramState
    ) -> None:
        policy = self.pod.spec.restart_policy

        async def start() -> Process:
            # A program that starts anew while its proxy is down could not reach anything.
            await self._proxy_is_ready.wait()
            return await self._spawn(group, container.name, self._command(container))

        await self._upkeep.keep(
            state,
            start,
            lambda process: self._probe(container, state, process),
            lambda code: policy == "Always" or (policy == "OnFailure" and code != 0),
        )

    async def _probe(self, container: Container, state: ProgramState, process: Process) -> None:
        bare = self._ground.isolation is Isolation.NONE
        target = probe.Target(
            self.sandbox,
            container,
            process,
            address=self.pod.status.pod_ip if bare else "127.0.0.1",
            environment=self._environment(container),
            directory=self._directory(container),
        )
        state.problem = "not ready yet"
        if container.startup_probe is not None and not await probe.wait_started(
            container.startup_probe, target.check
        ):
            await self._restart_unhealthy(container, process, "its startup probe failed")
            return
        if container.readiness_probe is None:
            self._report(state, "")

        def report(problem: str) -> None:
            self._report(state, problem and f"readiness probe: {problem}")

        failed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            if container.readiness_probe is not None:
                group.create_task(probe.repeat(container.readiness_probe, target.check, report))
            if container.liveness_probe is not None:
                group.create_task(
                    probe.repeat(
                        container.liveness_probe,
                        target.check,
                        lambda problem: failed.set() if problem else None,
                        hasty=False,
                    )
                )
                await failed.wait()
                await self._restart_unhealthy(container, process, "its liveness probe failed")

    async def _restart_unhealthy(self, container: Container, process: Process, why: str) -> None:
        self._tell(container.name, f"ending it: {why}")
        await self._end(process, self._grace())

    def _report(self, state: ProgramState, problem: str) -> None:
        state.ready, state.problem = not problem, problem
        self._show()

    async def _spawn(self, group: asyncio.TaskGroup, name: str, command: Command) -> Process:
        stdin = os.open(os.devnull, os.O_RDONLY)
        reading_out, writing_out = os.pipe()
        reading_error, writing_error = os.pipe()
        for descriptor, is_error in ((reading_out, False), (reading_error, True)):
            group.create_task(self._pump(descriptor, name, error=is_error))
        try:
            process = self._processes[name] = await self.sandbox.spawn(
                command, stdin=stdin, stdout=writing_out, stderr=writing_error
            )
            return process
        finally:
            for descriptor in (stdin, writing_out, writing_error):
                os.close(descriptor)

    async def _pump(self, descriptor: int, name: str, *, error: bool) -> None:
        await output.pump(descriptor, lambda line: self._take_line(name, line, error=error))

    def _take_line(self, container: str, text: str, *, error: bool) -> None:
        metadata = self.pod.metadata
        self._ground.take_line(metadata.namespace, metadata.name, container, text, error)

    def _tell(self, container: str, text: str) -> None:
        self._take_line(container, f"[osm] {text}", error=True)

    def _command(self, container: Container) -> Command:
        argv = (*container.command, *container.args)
        return Command(argv, self._environment(container), "app", self._directory(container))

    def _directory(self, container: Container) -> str:
        return str(self._ground.directory / container.working_dir)

    def _environment(self, container: Container) -> dict[str, str]:
        return {**self._ground.environment, **{each.name: each.value for each in container.env}}
