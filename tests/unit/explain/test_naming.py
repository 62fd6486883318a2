"""How names are understood: what a program gets for them, and what somebody may have meant."""

import msgspec
import pytest

from osm.core.compile.local_annotations import INBOUND_ADDRESS
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.model.workload import Explicit
from osm.testing.builders import PERMISSIVE, Part, mesh_config, model, pod, service

MESH: tuple[Part, ...] = (
    pod("buyer-1", namespace="buyers", app="buyer", owner=("ReplicaSet", "buyer-5f")),
    pod("shop-1", namespace="shop", app="shop", ip="10.0.0.3"),
    pod("shop-2", namespace="shop", app="shop", ip="10.0.0.4"),
    service("shop", 80, 8080, namespace="shop"),
    service("pods", 9000, namespace="shop", app="shop", ip="None"),
    service("none", 9001, namespace="shop", app="nobody", ip="None"),
    service("front", 80, namespace="buyers", app="shop", ip="10.1.0.7"),
    PERMISSIVE,
)


def ask(destination: str, source: str = "buyer", **headers: str) -> Explanation:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return explain(model(*MESH), Question(source, destination, "GET", "/", pairs))


def step(answer: Explanation, title: str) -> Step:
    (found,) = [step for step in answer.steps if step.title == title]
    return found


@pytest.mark.parametrize(
    ("destination", "meaning"),
    [
        ("shop.shop", "; the cluster's DNS gives the virtual address 10.1.0.1"),
        (
            "pods.shop:9000",
            ", which is headless: the cluster's DNS gives its pods 10.0.0.3, 10.0.0.4",
        ),
        ("none.shop:9001", ", which is headless: without pods, without address"),
    ],
)
def test_a_name_stands_for_an_address(destination: str, meaning: str) -> None:
    host = destination.partition(":")[0]
    assert step(ask(destination), "name").text == f"{host} is {host}.svc.cluster.local{meaning}"


def test_an_address_stands_for_a_service() -> None:
    text = step(ask("10.1.0.7"), "name").text
    assert text == "10.1.0.7 is an address of front.buyers.svc.cluster.local"


def test_a_local_pod_has_a_hosts_file_and_is_told_so() -> None:
    local = pod("near", ip="10.0.0.9", annotations={INBOUND_ADDRESS: "unix:/run/osm/{port}"})
    found = model(*MESH, local)
    answer = explain(found, Question("near", "shop.shop", "GET", "/"))
    assert "the hosts file of the pod gives" in step(answer, "name").text


def test_where_nothing_is_redirected_a_program_is_told_of_its_proxy() -> None:
    told = Explicit("127.1.0.9", 15001, (("10.1.0.4:5432", 16000),))
    found = model(
        *MESH,
        pod("near", ip="10.0.0.9"),
        service(
            "my-db", {"port": 5432, "name": "tcp"}, namespace="shop", app="shop", ip="10.1.0.4"
        ),
        service("new", {"port": 5432, "name": "tcp"}, namespace="shop", app="shop", ip="10.1.0.5"),
    )
    near = msgspec.structs.replace(found.workloads["default", "near"], capture=told)
    found = msgspec.structs.replace(found, workloads={**found.workloads, ("default", "near"): near})

    def name(destination: str, method: str = "") -> str:
        return step(explain(found, Question("near", destination, method)), "name").text

    assert name("shop.shop", "GET") == (
        "the proxy at 127.1.0.9:15001, which HTTP_PROXY names, finds shop.shop.svc.cluster.local"
    )
    assert name("my-db.shop:5432") == (
        "MY_DB_SERVICE_HOST and MY_DB_SERVICE_PORT lead to 127.1.0.9:16000, where the proxy listens "
        "for shop/my-db:5432"
    )
    assert name("new.shop:5432").startswith("nothing listens for new.shop")
    host = Question("near", "shop.shop", "GET", "/", (("host", "front.buyers"),))
    assert explain(found, host).backends == (("shop/shop:80", 100.0),)
    (advice,) = explain(found, Question("near", "9.9.9.9:53")).advice
    assert "only HTTP can leave" in advice


def test_a_short_name_of_another_namespace_must_be_written_whole() -> None:
    answer = explain(model(*MESH, service("only", 80, namespace="shop", app="shop", ip="10.1.0.8")),
                     Question("buyer", "only", "GET", "/"))  # fmt: skip
    assert answer.allowed
    assert answer.advice == (
        "Write only.shop:80: in namespace buyers the name only alone means nothing.",
    )
    assert "only.shop is only.shop.svc.cluster.local" in step(answer, "name").text


def test_a_port_that_was_not_written_is_said() -> None:
    assert step(ask("pods.shop"), "port").text == (
        "none was given: taken as 9000, the only one of shop/pods (a program that writes none calls "
        "port 80)"
    )


@pytest.mark.parametrize(
    ("destination", "advice"),
    [
        ("shpo.shop", "Did you mean shop.shop:80?"),
        ("shop.shop:81", "Did you mean shop.shop:80 or shop.shop:8080?"),
        ("fornt.buyers:80", "Did you mean front.buyers:80?"),
        ("shop.shop.svc.cluster.local:9", "Did you mean shop.shop:80 or shop.shop:8080?"),
        ("frnt", "Did you mean front.buyers:80?"),
    ],
)
def test_a_mistyped_destination_gets_a_suggestion(destination: str, advice: str) -> None:
    answer = ask(destination)
    assert answer.verdict == "no route"
    assert answer.advice[0] == advice


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("shop-3", ("Did you mean shop/shop-2 or shop/shop-1?",)),
        ("buyers/buyr", ("Did you mean buyers/buyer?",)),
        ("default/buyer", ("Did you mean buyers/buyer?",)),
        ("somebody-else", ()),
    ],
)
def test_a_mistyped_source_gets_a_suggestion(source: str, advice: tuple[str, ...]) -> None:
    answer = ask("shop.shop", source)
    assert (answer.verdict, answer.advice) == ("unknown source", advice)


def test_the_authority_decides_and_not_where_the_connection_goes() -> None:
    answer = ask("front", host="shop.shop")
    assert answer.backends == (("shop/shop:80", 100.0),)
    assert "says shop.shop" in step(answer, "host").text
    assert ask("front", **{":authority": "shop.shop:80"}).backends == answer.backends
    # A connection to port 80 says that it is for another port: nobody is called so.
    assert ask("front", host="shop.shop:8080").verdict == "no route"
    assert ask("front", host="gone.shop").verdict == "no route"
    wrong = explain(
        model(*MESH, mesh_config(traffic={"enableEgress": True})),
        Question("buyer", "front", "GET", "/", (("host", "example.org:99999"),)),
    )
    assert (wrong.verdict, wrong.summary) == (
        "no route",
        "the header host is none: '99999' is not a port",
    )


def test_several_workloads_by_one_name_are_said() -> None:
    other = pod("x", namespace="other", app="shop", account="shop", ip="10.0.0.8")
    answer = explain(model(*MESH, other), Question("shop", "shop.shop", "GET", "/"))
    assert "(the name shop also means shop/shop-1" in step(answer, "source").text
    assert "identity spiffe://cluster.local/ns/other/sa/shop" in step(answer, "source").text


@pytest.mark.parametrize("port", ["web", "0", "65536", "-1", ""])
def test_a_port_that_is_none_is_a_bad_destination(port: str) -> None:
    assert ask(f"shop.shop:{port}").verdict == "bad destination"
    assert ask(f"shop.shop:{port}", "10.9.9.9").verdict == "bad destination"
