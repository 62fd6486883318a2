"""MeshConfig says how much the control plane and the proxies print."""

import json
from pathlib import Path

import pytest
import structlog

from osm.testing.builders import mesh_config

from .harness import MeshUnderTest, local_mesh, puppet

log = structlog.get_logger()


def levels(control_plane: str, proxies: str) -> str:
    return json.dumps(
        mesh_config(observability={"osmLogLevel": control_plane}, sidecar={"logLevel": proxies})
    )


async def printed(mesh: MeshUnderTest, workload: str, container: str) -> list[str]:
    found = mesh.api.logs(workload, tail=10_000, follow=False)
    return [line.text async for line in found if line.container == container]


async def test_levels_count_at_once_and_for_proxies_that_start_from_then_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "config.yaml").write_text(levels("Warn", "info"))
    (tmp_path / "first.yaml").write_text(puppet("first"))
    async with local_mesh(tmp_path, tmp_path_factory.mktemp("state")) as mesh:
        await mesh.wait_ready(1)
        # What the control plane says of itself; it runs in this process.
        log.info("one")
        log.warning("two")
        mesh.write("config.yaml", levels("debug", "error"))
        mesh.write("second.yaml", puppet("second"))
        await mesh.wait_ready(2)
        log.debug("three")
        mesh.write("config.yaml", levels("disabled", "off"))
        await mesh.settle()
        log.error("four")
        ours = " ".join(await printed(mesh, "osm-system/osm-controller", "osm"))
        assert [word in ours for word in ("one", "two", "three", "four")] == [
            False, True, True, False,
        ]  # fmt: skip
        assert any(
            "starting main dispatch loop" in x
            for x in await printed(mesh, "first/first-0", "envoy")
        )
        assert await printed(mesh, "second/second-0", "envoy") == []
