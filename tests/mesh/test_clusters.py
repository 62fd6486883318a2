"""What happens to a client's clusters when the workloads behind a service change."""

import asyncio
from pathlib import Path

import pytest

from .harness import local_mesh, mesh_config, puppet, service


async def test_a_cluster_whose_identities_change_goes_on_serving_and_is_acknowledged(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    both = {"shop": "yes"}
    (tmp_path / "config.yaml").write_text(mesh_config(permissive=True))
    (tmp_path / "apps.yaml").write_text(
        "---".join(
            (
                puppet("buyer"),
                puppet("one", namespace="shop", labels=both),
                service("shop", selector=both),
            )
        )
    )
    (tmp_path / "two.yaml").write_text(puppet("two", namespace="shop", labels=both))
    async with local_mesh(tmp_path, tmp_path_factory.mktemp("state")) as mesh:
        await mesh.wait_ready(3)
        assert (await mesh.get("buyer/buyer-0", "http://shop.shop/"))[0] == 200
        for _ in range(3):
            mesh.remove("two.yaml")
            await mesh.wait_for(lambda: len(mesh.api.view().workloads) == 2, "the second is gone")
            await mesh.wait_for(
                lambda: all(p.in_sync for p in mesh.api.view().proxies),
                "every proxy has acknowledged",
                within=3,
            )
            codes = [(await mesh.get("buyer/buyer-0", "http://shop.shop/"))[0] for _ in range(5)]
            assert codes == [200] * 5
            mesh.write("two.yaml", puppet("two", namespace="shop", labels=both))
            await mesh.wait_ready(3)
            await asyncio.sleep(0.1)
            assert (await mesh.get("buyer/buyer-0", "http://shop.shop/"))[0] == 200
