"""The guides of clusters: their commands, typed on this one, print what they show."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest
from tests.docs.test_guides import Command, commands, pattern
from tests.kubernetes.node import Node

from .mesh import OSM, Mesh
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "cluster" / "getting-started.md"
LOOKS = re.compile(r"(osm (status|explain|proxy|check|analyze|mesh)|kubectl (logs|wait))\b")
SAME_WITHIN_S = 45.0
"""What only looks is asked again until it shows what the guide shows."""


async def typed(mesh: Mesh, text: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", text),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            "PATH": f"{mesh.node.programs}:{Path(OSM).parent}:{os.environ['PATH']}",
            "HOME": str(mesh.node.directory),
            "KUBECONFIG": str(mesh.node.kubeconfig),
            "XDG_RUNTIME_DIR": str(mesh.node.directory),
            "COLUMNS": "200",
        },
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    return out.decode()


async def follow(mesh: Mesh, command: Command) -> None:
    shown = pattern(command.output)
    loop = asyncio.get_running_loop()
    end = loop.time() + (SAME_WITHIN_S if LOOKS.match(command.text) else 0)
    if command.text == "osm install":
        printed = mesh.said  # once for all tests
    else:
        printed = await typed(mesh, command.text)
    while not shown.fullmatch(printed) and loop.time() < end:
        await asyncio.sleep(0.5)
        printed = await typed(mesh, command.text)
    assert shown.fullmatch(printed), (
        f"{GUIDE.name}:{command.line}: `{command.text}` printed:\n{printed}\n"
        f"and the guide shows:\n{command.output}"
    )


async def test_getting_started(node: Node, mesh: Mesh) -> None:
    async def alone() -> bool:
        return not json.loads(await mesh.osm("namespace", "list", "-o", "json"))["items"]

    await eventually(alone, "the namespaces of other tests are gone", within=90)
    followed = 0
    try:
        for command in commands(GUIDE):
            await follow(mesh, command)
            followed += 1
    finally:
        demo = ("bookbuyer", "bookthief", "bookstore", "bookwarehouse")
        await node.kubectl("delete", "namespace", "--ignore-not-found", *demo)
        await mesh.configure(enablePermissiveTrafficPolicyMode=True, enableEgress=True)
    assert followed > 10
