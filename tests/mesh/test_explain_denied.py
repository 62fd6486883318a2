"""What a refused caller and its refuser are told by real Envoys is explained, and mended by the remedy."""

from pathlib import Path

import pytest

from osm.core.explain.refusal import Refusal, read_refusal, refusal_of

from .harness import MeshUnderTest, local_mesh, puppet, service

PORTS = ((80, 8000, "http"), (9000, 9000, "tcp"))
CONNECT = """
    import socket
    connection = socket.create_connection(("shop.shop", 9000), timeout=5)
    try:
        connection.sendall(b"hello")
        result = connection.recv(100).decode()
    except OSError as error:
        result = type(error).__name__
    """


async def logged(mesh: MeshUnderTest) -> str:
    """What the shop's proxy has printed of refusals."""
    lines = mesh.api.logs("shop/shop-0", tail=1000, follow=False)
    return "\n".join([line.text async for line in lines if " denied source=" in line.text])


async def test_an_answer_a_log_line_and_the_list_lead_to_the_same_explanation(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop = puppet("shop", arguments=("--echo", "9000"))
    (tmp_path / "apps.yaml").write_text(
        "---".join((puppet("thief"), shop, service("shop", ports=PORTS)))
    )
    async with local_mesh(tmp_path, tmp_path_factory.mktemp("state")) as mesh:
        await mesh.wait_ready(2)
        status, _, body = await mesh.get("thief/thief-0", "http://shop.shop/a%20b/../loot?x=1")
        assert status == 403
        await mesh.run("thief/thief-0", CONNECT)
        await mesh.wait_for(
            lambda: {d.port for d in mesh.api.view().denials} == {8000, 9000}, "both are listed"
        )
        line = ""

        async def is_logged() -> bool:
            nonlocal line
            line = await logged(mesh)
            return bool(line)

        await mesh.wait_for(is_logged, "the proxy has printed it")
        listed = [refusal_of(denial) for denial in mesh.api.view().denials]
        refusals = [read_refusal(body), read_refusal(line), *listed]
        remedies = set()
        for refusal in refusals:
            assert isinstance(refusal, Refusal), refusal
            answer = mesh.api.explain_refusal(refusal)
            assert answer.verdict == "denied", answer
            assert answer.question.source == "thief/thief"
            assert answer.question.path == ("/loot" if refusal.method else "/")
            assert mesh.api.explain(answer.question).verdict == "denied"
            remedies.add(answer.remedy)
        # One for the request, however it was told, and one for the connection.
        assert len(remedies) == 2

        for number, remedy in enumerate(sorted(remedies)):
            mesh.write(f"remedy-{number}.yaml", remedy.replace("thief-to-shop", f"remedy-{number}"))
        await mesh.settle()
        for refusal in refusals:
            assert isinstance(refusal, Refusal)
            answer = mesh.api.explain_refusal(refusal)
            assert answer.verdict == "allowed"
            assert answer.summary.startswith("refused then, and it would be allowed now")
        assert (await mesh.get("thief/thief-0", "http://shop.shop/loot"))[0] == 200
        assert (await mesh.get("thief/thief-0", "http://shop.shop/other"))[0] == 403
        assert await mesh.run("thief/thief-0", CONNECT) == "hello"
