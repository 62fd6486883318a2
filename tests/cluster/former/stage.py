"""A mesh of OSM v1.2.4 under load, and how the commands of a plan are followed beside it."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from tests.chart.programs import helm_program
from tests.cluster.cast import run_puppet, written
from tests.cluster.load import Load
from tests.cluster.mesh import OSM, Mesh
from tests.cluster.pods import apply, ready
from tests.cluster.waiting import eventually
from tests.kubernetes.former_osm.installation import install_former
from tests.kubernetes.node import Node, running_node

from .scene import CALLERS, CLIENT, SERVER, URLS, clients, load_pod, namespace, servers

RATE = 5.0
"""Requests a second of each pod that sends."""
STEP_LIMIT_S = 150.0
DEPLOYMENTS = {CLIENT: CALLERS, SERVER: ("server",)}
ALL = slice(None)


class Step(msgspec.Struct, frozen=True):
    """Of a plan, as `osm migrate check -o json` has it."""

    title: str
    commands: Sequence[str]


class Stage:
    """The node, with a former mesh and its namespaces; later also with the mesh that takes over."""

    def __init__(self, node: Node, directory: Path) -> None:
        self.node = node
        self._directory = directory
        self._loads: dict[str, Load] = {}
        self._lost: Mapping[str, int] = {}
        self._sent: Mapping[str, int] = {}

    async def prepare(self) -> None:
        """Install OSM, and make the namespaces' pods, which get its proxies."""
        programs = self._directory / "bin"
        programs.mkdir()
        (programs / "helm").symlink_to(helm_program())
        await install_former(self.node, self._directory)
        for name, objects in ((SERVER, servers()), (CLIENT, clients())):
            await apply(self.node, written(namespace(name)))
            await self.node.until_pods_can_be_made(name)
            await apply(self.node, written(*objects), name)
        await ready(self.node, SERVER, "app=server", count=2)
        for name in CALLERS:
            await ready(self.node, CLIENT, f"app={name}")
            await ready(self.node, CLIENT, f"pod=old-{name}")

    # --- commands

    async def plan(self) -> Sequence[Step]:
        """The first plan of `osm migrate check`: side by side."""
        # It ends with 1 when there are things that the new mesh does not have, as here of OSM's chart.
        report = json.loads(await self.shell("osm migrate check -o json || [ $? = 1 ]"))
        return msgspec.convert(report["plans"][0]["steps"], list[Step])

    async def follow(self, step: Step, *, within: slice = ALL) -> str:
        """Run the commands of a step as they are printed, or some of them; what they say. A person looks at
        a roll-out before going on, as this does.
        """
        said = []
        for command in step.commands[within]:
            said.append(await self.shell(command))
            if "rollout restart" in command:
                await self.rolled_out(SERVER if f"-n {SERVER} " in command else CLIENT)
        return "\n".join(said)

    async def shell(self, commands: str) -> str:
        """Run commands as a person does, in one directory; `AssertionError` when one fails."""
        print(time.strftime("%H:%M:%S"), commands, flush=True)  # shown when the test fails
        path = (self._directory / "bin", self.node.programs, Path(OSM).parent, os.environ["PATH"])
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", commands),
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": ":".join(map(str, path)),
                "HOME": str(self._directory),
                "KUBECONFIG": str(self.node.kubeconfig),
                "XDG_RUNTIME_DIR": str(self._directory),
                "COLUMNS": "200",
            },
        )
        async with asyncio.timeout(STEP_LIMIT_S):
            out, errors = await process.communicate()
        assert not process.returncode, f"{commands}\n{out.decode()}\n{errors.decode()}"
        return out.decode()

    async def rolled_out(self, name: str) -> None:
        """Wait until a namespace's Deployments have the pods that they shall have, and no others."""
        for deployment in DEPLOYMENTS[name]:
            at = ("--namespace", name)
            status = ("rollout", "status", f"deployment/{deployment}", "--timeout=90s")
            await self.node.kubectl(*at, *status)
            get = ("get", f"deployment/{deployment}", "-o", "jsonpath={.spec.replicas}")
            count = int(await self.node.kubectl(*at, *get))
            await ready(self.node, name, f"app={deployment}", count=count)

    # --- who has which proxy

    async def proxies(self, name: str, selector: str) -> Mapping[str, str]:
        """`old` or `new` by pod."""
        text = await self.node.kubectl("-n", name, "get", "pods", "-l", selector, "-o", "json")
        return {
            pod["metadata"]["name"]: _age(pod)
            for pod in json.loads(text)["items"]
            if "deletionTimestamp" not in pod["metadata"]
        }

    async def run(self, caller: str, program: str) -> Any:
        """Run Python in a caller's pod; one that is `old-…` is no Deployment's."""
        pod = f"pod/{caller}" if caller.startswith("old-") else f"deployment/{caller}"
        return await run_puppet(self.node, CLIENT, pod, program)

    # --- load

    async def send(self, age: str) -> None:
        """Have pods send from now on, which get the proxies that their namespace gives now; returns when
        their requests are answered: the first ones of OSM's proxies are not.
        """
        for kind in URLS:
            name = f"{age}-{kind}"
            await apply(self.node, written(load_pod(age, kind, RATE)), CLIENT)
            await ready(self.node, CLIENT, f"pod={name}")
            self._loads[name] = load = Load(self.node, CLIENT, name)
            await eventually(partial(_is_steady, load), f"{name} is answered")

    async def stop(self, *names: str) -> None:
        """Delete pods of the callers' namespace."""
        for name in names:
            self._loads.pop(name, None)
        await self.node.kubectl("-n", CLIENT, "delete", "pod", *names, "--wait=true")

    async def mark(self) -> None:
        """From here on it counts what is lost."""
        counts = {name: await load.counts() for name, load in self._loads.items()}
        self._lost = {name: sum(each.failed.values()) for name, each in counts.items()}
        self._sent = {name: each.sent for name, each in counts.items()}

    async def lost(self) -> Mapping[str, int]:
        """How many requests of which pods failed since `mark`; every pod must have sent some."""
        await asyncio.sleep(2)  # counts are up to a second old
        counts = {name: await load.counts() for name, load in self._loads.items()}
        silent = [name for name, each in counts.items() if each.sent <= self._sent[name]]
        assert not silent, f"{silent} sent nothing"
        lost = {name: sum(each.failed.values()) - self._lost[name] for name, each in counts.items()}
        return {name: number for name, number in lost.items() if number}

    async def failures(self) -> str:
        """When what failed, for people."""
        said = [
            f"{name}:\n{await load.failures()}\n{await load.refused()}"
            for name, load in self._loads.items()
        ]
        return "\n".join(said)


async def _is_steady(load: Load) -> bool:
    """Whether all requests of three seconds are answered."""
    before = await load.counts()
    await asyncio.sleep(3)
    after = await load.counts()
    return after.ok > before.ok and after.failed == before.failed


def _age(pod: Mapping[str, Any]) -> str:
    volumes = {each["name"] for each in pod["spec"].get("volumes", ())}
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    has_proxy = any(each["name"] == "envoy" for each in containers)
    assert has_proxy, f"{pod['metadata']['name']} has no proxy"
    return "old" if "envoy-bootstrap-config-volume" in volumes else "new"


@asynccontextmanager
async def stage_on_own_node(directory: Path) -> AsyncIterator[Stage]:
    """A node of its own: meshes of other tests have the names that OSM's has here."""
    home, cluster = directory / "home", directory / "node"
    home.mkdir()
    cluster.mkdir()
    async with running_node(cluster) as node:
        stage = Stage(node, home)
        await stage.prepare()
        yield stage


def next_mesh(stage: Stage) -> Mesh:
    """The mesh that the plan installs."""
    return Mesh(stage.node, "osm-system-next")
