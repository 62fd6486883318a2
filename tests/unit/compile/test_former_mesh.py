"""A mesh that takes over knows the services, pods and policies of the mesh that was there before."""

from collections.abc import Mapping

import pytest
from tests.unit.compile.told import told

from osm.core.compile.options import CompileOptions
from osm.testing.builders import identity, model, namespace, pod, port_name, service, target

NEW = CompileOptions("new", former_mesh="old")
TAKEN = {"monitored_by": "old", "taken_over_by": "new", "ignore": "true"}


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        ({"monitored_by": "new"}, True),
        ({"monitored_by": "old"}, True),
        (TAKEN, True),
        ({"monitored_by": "old", "ignore": "true"}, False),
        ({**TAKEN, "taken_over_by": "another"}, False),
        ({"monitored_by": "another"}, False),
        ({}, False),
    ],
)
def test_services_and_pods_of_a_namespace_are_known(
    labels: Mapping[str, str], *, known: bool
) -> None:
    home = namespace("shop", **labels)
    found = model(
        home,
        pod("cart", namespace="shop"),
        service("cart", 80, namespace="shop"),
        options=NEW,
    )
    assert (port_name("shop/cart:80") in found.services) is known
    assert (("shop", "cart") in found.workloads) is known


def test_without_a_former_mesh_nothing_of_it_is_known() -> None:
    for labels in ({"monitored_by": "old"}, TAKEN):
        home = namespace("shop", **labels)
        alone = CompileOptions("new")
        found = model(home, pod("cart", namespace="shop"), options=alone)
        assert not found.workloads


def test_policies_of_the_former_mesh_count() -> None:
    grant = target("t", "cart", ["buyer"], "HTTPRouteGroup/g", namespace="shop")
    objects = (
        namespace("shop", monitored_by="old"),
        pod("cart", namespace="shop", account="cart"),
        pod("buyer", namespace="shop", account="buyer", ip="10.0.0.2"),
        service("cart", 80, namespace="shop"),
    )
    # It is not told that it has no effect: what it misses is its routes.
    codes = {code for code, _, _ in told(*objects, grant, options=NEW)}
    assert "OSM231" not in codes
    found = model(*objects, options=NEW)
    assert found.workloads["shop", "cart"].identity == identity("shop/cart")


def test_the_label_of_a_take_over_is_no_mistake() -> None:
    assert told(namespace("shop", **TAKEN), options=NEW) == []
