"""Refusals are seen: who, whom, what and why, in the view that the page and `osm status` show."""

from pathlib import Path

import pytest

from osm.core.explain.view import DenialView

from .harness import local_mesh, puppet, service


async def test_refused_requests_and_connections_are_shown_with_their_reason(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ports = ((80, 8000, "http"), (9000, 9000, "tcp"))
    (tmp_path / "apps.yaml").write_text(
        "---".join(
            (
                puppet("thief"),
                puppet("shop", arguments=("--echo", "9000")),
                service("shop", ports=ports),
            )
        )
    )
    connect = """
        import socket
        connection = socket.create_connection(("shop.shop", 9000), timeout=5)
        try:
            connection.sendall(b"hello")
            result = connection.recv(100).decode()
        except OSError as error:
            result = type(error).__name__
        """
    async with local_mesh(tmp_path, tmp_path_factory.mktemp("state")) as mesh:
        await mesh.wait_ready(2)
        assert (await mesh.get("thief/thief-0", "http://shop.shop/loot"))[0] == 403
        assert await mesh.run("thief/thief-0", connect) in ("", "ConnectionResetError")

        def shown() -> dict[int, DenialView]:
            return {denial.port: denial for denial in mesh.api.view().denials}

        await mesh.wait_for(lambda: set(shown()) == {8000, 9000}, "both are shown", within=5)
        http, tcp = shown()[8000], shown()[9000]
        assert (http.source, http.destination) == ("thief/thief", "shop/shop-0")
        assert (http.method, http.path) == ("GET", "/loot")
        assert (tcp.source, tcp.destination, tcp.method) == ("thief/thief", "shop/shop-0", "")
        for denial in (http, tcp):
            assert denial.reason == "no access rule for shop/shop names thief/thief as a source"

        async def edge_explains() -> bool:
            await mesh.get("thief/thief-0", "http://shop.shop/loot")
            edges = [e for e in mesh.api.view().edges if e.protocol == "http"]
            return any(
                "name: thief" in e.remedy and e.denied_total and e.deny_reason for e in edges
            )

        await mesh.wait_for(edge_explains, "the edge says what is missing", within=8)
