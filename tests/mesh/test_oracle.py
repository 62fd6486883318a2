"""What `osm explain` says, what the generated configuration means, and what real proxies do, is one.

The meshes and the questions are those of `tests/unit/oracle`, with pods that really run.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from posixpath import normpath
from random import Random
from urllib.parse import unquote

import msgspec
import pytest
import pytest_asyncio
from tests.unit.oracle.agreement import disagreement
from tests.unit.oracle.application import Done, ask, calls_of, simulate
from tests.unit.oracle.meshes import random_services
from tests.unit.oracle.policies import random_policies
from tests.unit.oracle.questions import random_question
from tests.unit.oracle.sent_by import sent_by
from tests.unit.oracle.written import Mesh, Pod, Port, Service

from osm.core.api.manifest import Manifest
from osm.core.explain.explanation import Question
from osm.core.explain.simulation.answer import Answer, Ending
from osm.core.explain.simulation.sent import Sent
from osm.core.model.mesh import Model
from osm.core.model.service import PortName, ServiceName

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service

MESHES, QUESTIONS = 20, 50
WEB, ECHO, OTHER = 8000, 9000, 9001
PODS = (
    Pod("red", "a-0", "a", "a", "", (("web", WEB),), subdomain="a-set"),
    Pod("red", "a-1", "a", "a", "", (("web", WEB),), subdomain="a-set"),
    Pod("red", "b-0", "b", "shared", "", (("web", WEB),)),
    Pod("blue", "a-0", "a", "shared", "", (("web", WEB),)),
    Pod("blue", "c-0", "c", "c", "", (("web", WEB),)),
)


def _puppets(namespace: str, app: str) -> str:
    """The pods of an app, with a named port, and of the accounts that `PODS` says."""
    pods = [p for p in PODS if (p.namespace, p.app) == (namespace, app)]
    text = puppet(
        app,
        namespace=namespace,
        account=pods[0].account,
        arguments=(f"--echo={ECHO}", f"--echo={OTHER}"),
        replicas=len(pods),
    ).replace(
        "readinessProbe:",
        f"ports: [{{name: web, containerPort: {WEB}}}]\n          readinessProbe:",
    )
    if pods[0].subdomain:
        text = text.replace("kind: Deployment", "kind: StatefulSet").replace(
            "spec:\n  replicas", f"spec:\n  serviceName: {pods[0].subdomain}\n  replicas", 1
        )
    return text


APPS = "---".join(
    _puppets(namespace, app) for namespace, app in sorted({(p.namespace, p.app) for p in PODS})
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(APPS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(len(PODS))
        yield running


# --- meshes of which the pods stay


def _random_mesh(random: Random) -> Mesh:
    services = tuple(
        msgspec.structs.replace(each, ports=tuple(_served(random, port) for port in each.ports))
        for each in random_services(random, PODS, (WEB, "web", WEB, ECHO))
    )
    policies = random_policies(random, services, tcp_ports=(ECHO, OTHER, WEB))
    return Mesh(PODS, services, policies)


def _served(random: Random, port: Port) -> Port:
    """A port with something behind it that speaks its protocol."""
    if not port.is_http:
        return msgspec.structs.replace(port, spoken="tcp", target=random.choice((ECHO, OTHER)))
    return msgspec.structs.replace(port, spoken="http", target=random.choice((WEB, "web")))


async def _run(running: MeshUnderTest, planned: Mesh) -> Mesh:
    """Let a mesh take the place of the one before. Gives it with the addresses that it really has."""
    written = [manifest for manifest in planned.objects if manifest.key.kind != "Pod"]
    running.write("mesh.yaml", "---\n".join(map(_as_yaml, written)))
    await running.settle()
    model = running.control_plane.model
    pods = tuple(
        msgspec.structs.replace(p, ip=model.workloads[p.namespace, p.name].ip) for p in PODS
    )
    services = tuple(_with_address(model, each) for each in planned.services)
    return msgspec.structs.replace(planned, pods=pods, services=services)


def _as_yaml(manifest: Manifest) -> str:
    return msgspec.yaml.encode(manifest.raw).decode()


def _with_address(model: Model, each: Service) -> Service:
    if each.ip == "None":
        return each
    name = PortName(ServiceName(each.namespace, each.name), each.ports[0].number)
    return msgspec.structs.replace(each, ip=next(iter(model.services[name].addresses), ""))


def _questions(
    random: Random, mesh: Mesh, model: Model, sent: Sent
) -> list[tuple[Question, list[Done]]]:
    """Questions that an application of ours can put into practice."""
    found: list[tuple[Question, list[Done]]] = []
    while len(found) < QUESTIONS:
        question = random_question(random, mesh)
        done = calls_of(mesh, model, question)
        if done and done[0].source and not any(_is_beyond_us(sent, each) for each in done):
            found.append((question, done))
    return found


def _is_beyond_us(sent: Sent, done: Done) -> bool:
    """No call leaves this machine, and no program can write every path."""
    return not done.call.target.isascii() or "beyond" in simulate(sent, done).outcomes


# --- what really happens


async def _really(
    running: MeshUnderTest, mesh: Mesh, all_done: Sequence[Done]
) -> list[tuple[str, str]]:
    """For each call what came of it, and who says so. One source's calls go one after the other."""
    by_source: dict[str, list[int]] = {}
    for index, done in enumerate(all_done):
        by_source.setdefault(done.source, []).append(index)
    found: dict[int, tuple[str, str]] = {}

    async def send(source: str, indexes: list[int]) -> None:
        orders = [_order(mesh, all_done[index]) for index in indexes]
        program = f"""
            result = []
            for host, port, method, target, headers in {orders!r}:
                if method:
                    status, _, body = ask(host, port, method, target, headers)
                    result.append([str(status), body])
                else:
                    result.append(talk(host, port, "who", timeout=1.5))
            """
        answers = await running.run(source, program, timeout=60)
        found.update({i: (what, text) for i, (what, text) in zip(indexes, answers, strict=True)})

    await asyncio.gather(*(send(source, indexes) for source, indexes in by_source.items()))
    return [found[index] for index in range(len(all_done))]


def _order(mesh: Mesh, done: Done) -> tuple[str, int, str, str, list[tuple[str, str]]]:
    """What to do, by name where a name has one address."""
    call = done.call
    name = call.authority.partition(":")[0].lower().removesuffix(".")
    is_named = call.address in {service.ip for service in mesh.services}
    headers = [("host", call.authority), *call.headers]
    return name if is_named else call.address, call.port, call.method, call.target, headers


def _problem(answer: Answer, done: Done, outcome: str, text: str) -> str:
    """In what reality differs from the simulation; empty when it does not."""
    expected = {seen for _, ending in answer.shares for seen in _looks(ending, done)}
    if outcome == "200":
        text = json.loads(text)["name"]
    elif text.startswith("HTTP/1.1 400"):
        outcome, text = "400", ""
    elif outcome != "answered":
        outcome, text = outcome if done.call.method else "0", ""
    if (outcome, text) in expected:
        return ""
    return f"simulated {answer.shares}, really {outcome}, {text[:200]}"


def _looks(ending: Ending, done: Done) -> set[tuple[str, str]]:
    """How the end of a call may look to the application: a status or `answered`, and by which pod."""
    proxy, _, port = ending.place.rpartition(":")
    pod = proxy.partition("/")[2]
    if ending.outcome == "wrong protocol":
        # It depends on what the other side says to what it does not understand, and when.
        return {(status, "") for status in (("502", "503") if done.call.method else ("400", "0"))}
    if ending.outcome != "forwarded":
        return {(str(ending.status), "")}
    if not done.call.method:
        return {("answered", pod)}
    # What echoes a request gives no answer to it.
    return {("0", "")} if int(port) in (ECHO, OTHER) else {("200", pod)}


async def _problems(
    running: MeshUnderTest, mesh: Mesh, sent: Sent, all_done: Sequence[Done]
) -> list[str]:
    """In what real calls differ from simulated ones, each.

    What a proxy has acknowledged, its workers may not use yet: what differs is tried again.
    """
    results = await _really(running, mesh, all_done)
    answers = [simulate(sent, done) for done in all_done]
    problems = [_problem(a, d, *r) for a, d, r in zip(answers, all_done, results, strict=True)]
    again = [index for index, problem in enumerate(problems) if problem]
    if again:
        await asyncio.sleep(1)
        results = await _really(running, mesh, [all_done[index] for index in again])
        for index, result in zip(again, results, strict=True):
            problems[index] = _problem(answers[index], all_done[index], *result)
    return problems


async def test_explanations_simulations_and_proxies_agree(mesh: MeshUnderTest) -> None:
    random = Random("a thousand")
    wrong: list[str] = []
    verdicts: Counter[str] = Counter()
    for number in range(MESHES):
        planned = await _run(mesh, _random_mesh(random))
        model = mesh.control_plane.model
        sent = sent_by(model)
        questions = _questions(random, planned, model, sent)
        chosen = [random.choice(done) for _, done in questions]
        problems = await _problems(mesh, planned, sent, chosen)
        for (question, _), done, problem in zip(questions, chosen, problems, strict=True):
            explanation = mesh.api.explain(question)
            verdicts[explanation.verdict] += 1
            answer = ask(planned, model, sent, question)
            assert answer is not None
            found = disagreement(model, explanation, answer) or problem
            if found:
                wrong.append(f"{number}: {question} {done}\n  {explanation.summary}\n  {found}")
    assert not wrong, f"{len(wrong)} disagree:\n" + "\n".join(wrong[:10])
    assert verdicts.total() == MESHES * QUESTIONS
    assert verdicts["allowed"] > 50 and verdicts["denied"] > 50, verdicts
    assert all(verdicts[v] for v in ("no route", "no backend", "redirected", "refused")), verdicts


TRAVERSALS = (
    *("/public/../admin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/..%2fadmin"),
    *(r"/public/..\admin", "/public/..%5cadmin", "/public/..;/admin"),
    *("/ok/../admin", "//admin", "/%61dmin", "/x%2f..%2fadmin", r"/\admin", "/public/..;x=1/admin"),
    *(
        "/public/./../admin",
        "/public//../admin",
        "/public/%2e%2e%2fadmin",
        "/public/..%3b/admin/..",
    ),
    *(
        "/public/x/../../admin",
        "/public/%2E%2E/admin",
        "/public/..;%00/admin",
        "/public%2f../admin",
    ),
)


async def test_no_spelling_of_a_path_passes_an_access_rule_for_another(mesh: MeshUnderTest) -> None:
    mesh.write(
        "mesh.yaml",
        "---".join(
            (
                service("b", namespace="red", ports=((80, WEB, "http"),)),
                http_access("open", "red/shared", ("blue/c",), path="/public/.*"),
            )
        ),
    )
    await mesh.settle()
    for path in TRAVERSALS:
        status, headers, body = await mesh.ask("blue/c-0", "b.red", target=path)
        if status == 307:
            status, _, body = await mesh.ask("blue/c-0", "b.red", target=headers["location"])
        if status == 200:
            # Whatever else the application makes of what it got, it is public.
            got = json.loads(body)["path"]
            assert got.startswith("/public/") and normpath(unquote(got)).startswith("/public/"), (
                path
            )
        else:
            assert status == 403, (path, status, body)
    status, _, body = await mesh.ask("blue/c-0", "b.red", target="/x/../public//./a?/../admin")
    assert (status, json.loads(body)["path"]) == (200, "/public/a?/../admin")
