"""Random small meshes: pods, and services that more or less lead to them."""

from collections.abc import Sequence
from random import Random

from tests.unit.oracle.policies import random_policies
from tests.unit.oracle.written import APPS, SPACES, Mesh, Pod, Port, Service

PORTS = (80, 80, 80, 81, 8080, 5432, 9000)
SPOKEN = ("http", "http", "http", "grpc", "http2", "tcp", "tcp", "tls", "tcp-server-first")


def random_mesh(random: Random) -> Mesh:
    pods = _pods(random)
    ignored = frozenset({"blue"}) if random.random() < 0.05 else frozenset[str]()
    services = random_services(
        random,
        pods,
        targets=(
            8080,
            "web",
            8080,
            8080,
            "web",
            9000,
            *(["gone"] if random.random() < 0.2 else []),
        ),
    )
    return Mesh(pods, services, random_policies(random, services, ignored), ignored)


def _pods(random: Random) -> tuple[Pod, ...]:
    found = []
    # What a name of a port means is the first pod's to say: those of an app agree about it.
    web = {(s, app): random.choice((8080, 8080, 9000)) for s in SPACES for app in APPS}
    for index in range(random.randint(4, 8)):
        app = random.choice(APPS)
        space = SPACES[index % 2]
        name = f"{app}-{index}"
        redirected = random.random() < 0.75
        found.append(
            Pod(
                space,
                name,
                app,
                random.choice((app, app, "shared")),
                f"10.0.0.{index + 1}",
                (("web", web[space, app]),),
                ready=random.random() < 0.85,
                subdomain=random.choice(("", "", f"{app}-set")),
                home=f"/run/{space}.{name}" if random.random() < 0.5 else "",
                explicit="" if redirected else f"127.0.1.{index + 1}",
                eager=random.random() < 0.15,
            )
        )
    return tuple(found)


def random_services(
    random: Random, pods: Sequence[Pod], targets: Sequence[int | str]
) -> tuple[Service, ...]:
    """Services of each app, some with several names, some with none behind them."""
    found: list[Service] = []
    for space in SPACES:
        for app in (*APPS, *(["nobody"] if random.random() < 0.3 else [])):
            behind = [p for p in pods if (p.namespace, p.app) == (space, app)]
            spoken: dict[int, str] = {}
            for name in (app, f"{app}-set", f"{app}-two"):
                likely = 0.8 if name == app else 0.3
                if random.random() < (likely if behind else 0.2):
                    ip = f"10.1.0.{len(found) + 1}"
                    if name.endswith("-set"):
                        ip = "None"
                    elif random.random() < 0.05:
                        ip = ""
                    ports = _ports(random, targets, behind, spoken)
                    found.append(Service(space, name, app, ip, ports))
    return tuple(found)


def _ports(
    random: Random,
    targets: Sequence[int | str],
    behind: Sequence[Pod],
    spoken: dict[int, str],
) -> tuple[Port, ...]:
    """`spoken`: what the pods' ports speak. Services seldom contradict each other about it."""
    found = []
    for number in sorted({random.choice(PORTS) for _ in range(random.choice((1, 1, 2, 3)))}):
        target = random.choice((number, *targets))
        numbers = {n for p in behind for name, n in p.ports if name == target}
        numbers |= {target} if isinstance(target, int) else set()
        known = [spoken[each] for each in numbers if each in spoken]
        word = known[0] if known else _spoken(random, number)
        if len(set(known)) > 1:
            continue
        if isinstance(target, int) and random.random() < 0.03:
            word = random.choice(SPOKEN)
        spoken.update(dict.fromkeys(numbers, word))
        found.append(Port(number, word, target))
    return tuple(found) or (Port(7070, "http", 7070),)


def _spoken(random: Random, number: int) -> str:
    if random.random() < 0.6:
        return "http" if number < 5000 or number == 8080 else "tcp"
    return random.choice(SPOKEN)
