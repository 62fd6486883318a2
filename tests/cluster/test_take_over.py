"""Taking over from a real Open Service Mesh v1.2.4, by the commands that `osm migrate check` prints.

OSM is built from its module as it was released (`tests.kubernetes.former_osm`), and installed by its chart;
its proxies run our Envoy with the configuration that OSM sends. Meanwhile pods send steadily, by HTTP and
on new TCP connections.

What is *not* asked, since nobody can do again what a server had begun:

- that callers with OSM's proxies lose nothing while servers start anew. They do with OSM alone, too: its
  proxy ends at once, and its callers learn of it seconds later, and do not try again (28 of 253 requests
  when two servers started anew at 10 a second).
- that what a server with OSM's proxy is answering when it ends is answered, by HTTP or TCP (8 HTTP requests
  when 12 such servers ended at 60 a second, each cut by its server at the first try; none when 12 with
  ours did).
"""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from tests.cluster.former.scene import CALLERS, CLIENT, SERVER, WEB_HOST, WIRE_HOST, WIRE_PORT
from tests.cluster.former.stage import ALL, RATE, Stage, Step, next_mesh, stage_on_own_node
from tests.cluster.state import state_of
from tests.cluster.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]
WITHIN_S = 30.0
"""OSM tells its proxies of a change seconds later: it waits for more to come."""
CUT_S = 1.0
"""How much of what a pod sends may be under way to servers that end, on a busy machine."""
REQUESTS = 60
MAY = {
    "caller": (False, True, True),
    # By HTTP rules alone, OSM let TCP pass, too.
    "visitor": (True, False, None),
    "stranger": (False, False, False),
}
"""GET /public, GET / and TCP, by account. None: new proxies refuse what OSM's let pass."""
_CALLS = f"""
result = [ask({WEB_HOST!r}, 80, 'GET', path)[0] == 200 for path in ('/public', '/')]
result.append(talk({WIRE_HOST!r}, {WIRE_PORT}, 'GET / HTTP/1.0\\r\\n\\r\\n')[0] == 'answered')
"""
_ANSWERS = f"""
from collections import Counter
result = Counter()
for number in range({REQUESTS}):
    status, headers, _ = ask({WEB_HOST!r}, 80, 'GET', '/')
    result[f"{{status}} {{'new' if 'x-osm-denied' in headers else ''}}".strip()] += 1
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage_on_own_node(tmp_path_factory.mktemp("former")) as prepared:
        yield prepared


async def test_namespaces_are_taken_over_while_requests_go_on(stage: Stage) -> None:
    try:
        await _take_over(stage)
    except Exception as error:
        error.add_note(await stage.failures())
        error.add_note(state_of(stage.node, CLIENT, SERVER))
        raise


async def _take_over(stage: Stage) -> None:
    plan = {step.title: step for step in await stage.plan()}
    await _calls(stage, "old-caller", "old-visitor", "old-stranger")
    await stage.send("old")
    await stage.mark()
    await _installed_beside(stage, plan)
    await _callers_taken_over(stage, plan[f"Take over {CLIENT}"])
    await _servers_mixed(stage, plan[f"Take over {SERVER}"])
    assert await stage.lost() == {}, "nobody loses a request while old and new are mixed"

    forward, back = plan[f"Take over {SERVER}"], plan[f"The way back for {SERVER}"]
    await _servers_restarted(stage, forward, "new", within=slice(1, None))
    await _servers_restarted(stage, back, "old")
    await _servers_restarted(stage, forward, "new")
    await _former_removed(stage, plan)


async def _installed_beside(stage: Stage, plan: dict[str, Step]) -> None:
    for title in (
        "Save settings and root",
        "Share the root",
        "Install the new mesh beside the old one",
    ):
        await stage.follow(plan[title])
    assert set((await stage.proxies(SERVER, "app=server")).values()) == {"old"}
    await _calls(stage, "old-caller", "old-visitor", "old-stranger")


async def _callers_taken_over(stage: Stage, step: Step) -> None:
    """Their Deployments get new proxies, and call servers that have old ones. Pods of nobody stay."""
    await stage.follow(step)
    for name in CALLERS:
        assert set((await stage.proxies(CLIENT, f"app={name}")).values()) == {"new"}
        assert await stage.proxies(CLIENT, f"pod=old-{name}") == {f"old-{name}": "old"}
    await _calls(stage, *CALLERS)
    assert await stage.lost() == {}, "when callers get new proxies"
    await stage.send("new")
    await stage.mark()


async def _servers_mixed(stage: Stage, step: Step) -> None:
    """Two servers with old proxies, and two with new ones beside them: everybody calls all."""
    await stage.follow(step, within=slice(1))
    await stage.shell(f"kubectl -n {SERVER} scale deployment/server --replicas=4")
    await stage.rolled_out(SERVER)
    proxies = await stage.proxies(SERVER, "app=server")
    assert sorted(proxies.values()) == ["new", "new", "old", "old"]
    for caller in ("old-caller", "caller"):
        await _reaches(stage, caller, frozenset(proxies))
    await _calls(stage, *CALLERS, "old-caller", "old-visitor", "old-stranger")
    for visitor in ("old-visitor", "visitor"):
        seen = await stage.run(visitor, _ANSWERS)
        assert not seen.get("200"), f"{visitor} was let in: {seen}"
        assert seen.get("403 new"), f"no server with a new proxy refused {visitor}: {seen}"
        assert seen.keys() - {"403 new"}, f"no server with an old proxy refused {visitor}: {seen}"


async def _servers_restarted(stage: Stage, step: Step, age: str, *, within: slice = ALL) -> None:
    """As the plan does it; `age` is of the proxies that come."""
    await stage.mark()
    await stage.follow(step, within=within)
    proxies = await stage.proxies(SERVER, "app=server")
    assert set(proxies.values()) == {age}
    for caller in ("old-caller", "caller"):
        await _reaches(stage, caller, frozenset(proxies))
    await _calls(stage, *CALLERS, "old-caller", "old-visitor", "old-stranger")
    await _little_is_lost(stage, f"while servers got {age} proxies", ours_ended=age == "old")


async def _former_removed(stage: Stage, plan: dict[str, Step]) -> None:
    """When nobody has an old proxy any more. All goes on, and new pods come up as before."""
    await stage.stop("old-http", "old-wire", *(f"old-{name}" for name in CALLERS))
    await stage.mark()
    left = await stage.follow(plan["Remove OSM"])
    assert "old-" not in left, left
    await stage.follow(plan["End the take-over"])
    await stage.shell(f"kubectl -n {SERVER} rollout restart deployment/server")
    await stage.rolled_out(SERVER)
    assert set((await stage.proxies(SERVER, "app=server")).values()) == {"new"}
    await _calls(stage, *CALLERS)
    await _little_is_lost(stage, "when OSM is removed", ours_ended=True)
    listed = await next_mesh(stage).osm("namespace", "list", "--mesh-name", "osm-next")
    assert {line.split()[0] for line in listed.splitlines()[1:]} == {CLIENT, SERVER}


async def _little_is_lost(stage: Stage, when: str, *, ours_ended: bool) -> None:
    """By callers with new proxies: nothing while servers with ours ended, little while some with OSM's."""
    lost = await stage.lost()
    most = 0 if ours_ended else RATE * CUT_S
    for name in ("new-http", "new-wire"):
        assert lost.get(name, 0) <= most, f"{when}: {lost}"


async def _reaches(stage: Stage, caller: str, servers: frozenset[str]) -> None:
    """A caller is answered by all of the servers, and by nobody else, soon."""
    seen: set[str] = set()
    program = (
        f"result = count_answers({WEB_HOST!r}, 80, '/', requests={REQUESTS}, reconnect_every=1)"
    )

    async def does() -> bool:
        nonlocal seen
        seen = set(await stage.run(caller, program))
        return seen == servers

    try:
        await eventually(does, "", within=WITHIN_S)
    except AssertionError:
        raise AssertionError(f"{caller} reaches {seen}, not {servers}") from None


async def _calls(stage: Stage, *callers: str) -> None:
    """Each may do what it may, and no more, whoever answers."""
    for caller in callers:
        await _calls_alone(stage, caller, MAY[caller.removeprefix("old-")])


async def _calls_alone(stage: Stage, caller: str, may: Sequence[bool | None]) -> None:
    seen: Sequence[bool] = ()

    async def holds() -> bool:
        nonlocal seen
        seen = await stage.run(caller, _CALLS)
        return all(want in (None, got) for want, got in zip(may, seen, strict=True))

    try:
        await eventually(holds, "", within=WITHIN_S)
    except AssertionError:
        raise AssertionError(f"{caller}: {seen} and not {may} of {_CALLS}") from None
