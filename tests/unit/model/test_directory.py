"""Services and workloads are found by the names that applications and people use."""

import pytest

from osm.core.model.directory import Directory
from osm.testing.builders import model, pod, service

MESH = model(
    pod("shop-1", namespace="red", app="shop", owner=("ReplicaSet", "shop-1f"), ip="10.0.0.1"),
    pod("shop-2", namespace="red", app="shop", owner=("ReplicaSet", "shop-1f"), ip="10.0.0.2"),
    pod("shop", namespace="blue", account="seller", ip="10.0.0.3"),
    pod("db-0", namespace="red", app="db", subdomain="db", ip="10.0.0.4"),
    service("shop", 80, 81, namespace="red"),
    service("shop", 80, namespace="blue", ip="10.1.0.2"),
    service("svc", 80, namespace="red", app="shop", ip="10.1.0.3"),
    service(
        "db",
        {"port": 80, "name": "http"},
        {"port": 5432, "name": "tcp-db"},
        namespace="red",
        ip="None",
    ),
    service("mail", {"port": 25, "name": "tcp-smtp"}, namespace="red", app="shop", ip="10.1.0.4"),
)
DIRECTORY = Directory(MESH)


@pytest.mark.parametrize(
    ("authority", "port", "found"),
    [
        ("shop", 80, "red/shop:80"),
        ("shop", 81, "red/shop:81"),
        ("shop", 0, "red/shop:80"),
        ("shop:81", 0, "red/shop:81"),
        ("shop:81", 81, "red/shop:81"),
        ("shop:81", 80, None),
        ("shop:82", 0, None),
        ("Shop", 80, "red/shop:80"),
        ("shop.", 80, "red/shop:80"),
        ("shop.blue", 80, "blue/shop:80"),
        ("shop.blue.svc", 80, "blue/shop:80"),
        ("shop.blue.svc.cluster", 80, "blue/shop:80"),
        ("shop.blue.svc.cluster.local", 80, "blue/shop:80"),
        ("shop.blue.svc.cluster.local.", 80, "blue/shop:80"),
        ("shop.blue.svc.example.org", 80, None),
        ("shop.green", 80, None),
        ("svc", 80, "red/svc:80"),
        ("svc.red", 80, "red/svc:80"),
        ("svc.red.svc", 80, "red/svc:80"),
        ("db", 80, "red/db:80"),
        ("db-0.db", 80, "red/db-0.db:80"),
        ("db-0.db.red", 80, "red/db-0.db:80"),
        ("db-0.db.red.svc", 80, "red/db-0.db:80"),
        ("db-0.db.red.svc.cluster.local", 80, "red/db-0.db:80"),
        ("db-1.db", 80, None),
        ("10.1.0.1", 80, "red/shop:80"),
        ("10.1.0.2", 80, "blue/shop:80"),
        ("10.1.0.1:81", 0, "red/shop:81"),
        ("10.0.0.4", 80, "red/db:80"),
        ("10.9.9.9", 80, None),
        ("mail", 25, "red/mail:25"),
        ("", 80, None),
        (".", 80, None),
        ("..", 80, None),
        ("shop..red", 80, None),
        ("shop:", 80, "red/shop:80"),
        ("shop:80x", 0, None),
        ("shop:٨٠", 0, None),
        ("shop:800000", 0, None),
        ("a.b.c.d.e", 80, None),
        ("[::1]:80", 0, None),
    ],
)
def test_an_authority_names_a_service_port(authority: str, port: int, found: str | None) -> None:
    named = DIRECTORY.by_authority(authority, port, "red")
    assert (str(named.name) if named else None) == found


def test_a_short_name_is_of_the_callers_own_namespace() -> None:
    named = DIRECTORY.by_authority("shop", 80, "blue")
    assert named is not None and str(named.name) == "blue/shop:80"
    assert DIRECTORY.by_authority("shop", 80, "green") is None


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("10.1.0.4:25", "red/mail:25"),
        ("10.0.0.4:5432", "red/db:5432"),
        ("10.0.0.4:80", None),
        ("10.1.0.1:80", None),
        ("10.1.0.4", None),
        ("10.1.0.4:", None),
        ("10.1.0.4:smtp", None),
        (":25", None),
    ],
)
def test_a_tcp_service_port_is_found_by_its_address(address: str, found: str | None) -> None:
    named = DIRECTORY.tcp_by_address(address)
    assert (str(named.name) if named else None) == found


def test_a_service_port_is_found_by_its_cluster() -> None:
    named = DIRECTORY.by_cluster("red/db-0.db|5432")
    assert named is not None and str(named.name) == "red/db-0.db:5432"
    assert DIRECTORY.by_cluster("red/shop|9") is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("shop", ["blue/shop"]),
        ("red/shop", ["red/shop-1", "red/shop-2"]),
        ("shop-2", ["red/shop-2"]),
        ("seller", ["blue/shop"]),
        ("blue/seller", ["blue/shop"]),
        ("red/seller", []),
        ("nobody", []),
        ("", []),
    ],
)
def test_a_workload_is_found_by_its_name_its_owners_or_its_accounts(
    name: str, found: list[str]
) -> None:
    workloads = DIRECTORY.workloads(name)
    assert [f"{w.namespace}/{w.name}" for w in workloads] == found
