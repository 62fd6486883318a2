"""The simulation's paths are Envoy's, path by path, and no spelling of one passes for another."""

from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest
from tests.unit.envoy.live import Ask, live_envoy
from tests.unit.envoy.test_requests import PIECES, echo_host

from osm.core.explain.simulation.paths import has_hidden_slash, is_no_path, normalised

TRICKS = (*PIECES, "/..", "/.", ";", "/..;", "/.;", "%2e;", "a", "%61", "%4", "?", "?#")


async def test_paths_are_envoys(tmp_path: Path) -> None:
    random = Random(20260401)
    targets = [
        "/" + "".join(random.choice(TRICKS) for _ in range(random.randint(0, 7)))
        for _ in range(4000)
    ]
    async with live_envoy(tmp_path, echo_host()) as envoy:
        answers = await envoy.ask(Ask(target) for target in targets)
    seen = {200: 0, 307: 0, 400: 0}
    for target, answer in zip(targets, answers, strict=True):
        path = target.partition("?")[0]
        status = 400 if is_no_path(target) else 307 if has_hidden_slash(path) else 200
        assert answer.status == status, target
        if status == 200:
            assert answer.headers["x-path"] == normalised(path), target
        seen[status] += 1
    assert all(count > 200 for count in seen.values()), seen


@pytest.mark.parametrize(
    "path",
    [
        # Those that reach a backend unchanged where paths are not normalised.
        *("/public/../admin", "/public/%2e%2e/admin", "/public/.%2e/admin"),
        *("/public/..%2fadmin", r"/public/..\admin", "/public/..%5cadmin", "/public/..;/admin"),
        *("/ok/../admin", "//admin", "/%61dmin", "/x%2f..%2fadmin", r"/\admin"),
        *(
            "/public/..;x=1/admin",
            "/public/./../admin",
            "/public/%2E./admin",
            "/public/a/../..//admin",
        ),
    ],
)
def test_a_spelling_of_admin_is_admin(path: str) -> None:
    plain = unquote(path) if has_hidden_slash(path) else path
    assert normalised(plain) == "/admin"


@pytest.mark.parametrize("path", ["/public/%252e%252e/admin", "/public/..%3b/admin", "/Public/a"])
def test_what_is_no_trick_stays_as_it_is(path: str) -> None:
    """Double escapes are text, and the case of letters counts: whoever undoes them is on his own."""
    assert normalised(path) == path
