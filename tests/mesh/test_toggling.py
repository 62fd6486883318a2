"""Permissive mode switched on and off each second: access rules are in force whenever it is off (C13)."""

import asyncio
import time
from pathlib import Path

import pytest

from .harness import local_mesh, mesh_config, puppet, service

CLIENT, SHOP = "client/client-0", "http://shop.shop/"
TIMES = 6


async def test_rules_are_in_force_whenever_permissive_mode_is_off(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "config.yaml").write_text(mesh_config(permissive=False))
    (tmp_path / "apps.yaml").write_text(
        "---".join((puppet("client"), puppet("shop"), service("shop")))
    )
    async with local_mesh(tmp_path, tmp_path_factory.mktemp("state")) as mesh:
        await mesh.wait_ready(2)
        load = asyncio.create_task(
            mesh.count(CLIENT, "shop.shop", seconds=2.0 * TIMES, rate=50, reconnect_every=7)
        )
        for _ in range(TIMES):
            mesh.write("config.yaml", mesh_config(permissive=True))
            await mesh.settle()
            assert (await mesh.get(CLIENT, SHOP))[0] == 200
            await asyncio.sleep(0.5)
            mesh.write("config.yaml", mesh_config(permissive=False))
            began = time.monotonic()
            await mesh.settle()
            assert time.monotonic() - began < 2, "it is closed within two seconds"
            burst = await mesh.count(CLIENT, "shop.shop", requests=20, reconnect_every=4)
            assert burst == {"status 403": 20}
        counts = await load
        assert set(counts) == {"shop-0", "status 403"}, "each answer is one of the two"
