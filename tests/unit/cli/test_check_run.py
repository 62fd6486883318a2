"""What `osm check` asks the mesh itself: which proxies are connected."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from tests.unit.check.facts_of import WELL, facts

from osm.cli import check_run, cluster_client
from osm.cli.command import Invocation
from osm.core.check.facts import Facts, Proxy
from osm.core.explain.view import ProxyView
from osm.errors import NotRunningError

ASKED = check_run.Asked(None, "staging", "osm", "osm-system", before=False)
CART, ADS = Proxy("shop", "cart", "envoy:1", ""), Proxy("shop", "ads", "envoy:1", "")
BARE = Proxy("shop", "bare", "", "")


class View(NamedTuple):
    proxies: tuple[ProxyView, ...]


class Client(NamedTuple):
    shown: View

    def view(self) -> View:
        return self.shown


def proxy_view(name: str, *, connected: bool) -> ProxyView:
    return ProxyView("shop", name, "", connected=connected, in_sync=True)


@pytest.fixture
def mesh(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the cluster says (`facts`), and the proxies that the mesh knows, or why it does not answer."""
    says: dict[str, Any] = {"facts": WELL, "proxies": (), "asked": []}

    @contextmanager
    def connect(name: str | None, told: Invocation) -> Iterator[Client]:
        says["asked"].append((name, told.context, told.osm_namespace))
        if isinstance(says["proxies"], Exception):
            raise says["proxies"]
        yield Client(View(says["proxies"]))

    def on_cluster(*_: object) -> Facts:
        found: Facts = says["facts"]
        return found

    monkeypatch.setattr(cluster_client, "connect_to_cluster", connect)
    monkeypatch.setattr(check_run, "on_cluster", on_cluster)
    return says


def connected() -> tuple[str, tuple[str, ...]]:
    result = next(each for each in check_run.check(ASKED) if each.check == "proxies-connected")
    return result.state, result.details


def test_pods_whose_proxy_the_mesh_does_not_see_are_named(mesh: dict[str, Any]) -> None:
    mesh["facts"] = facts(WELL, proxies=(CART, ADS, BARE))
    mesh["proxies"] = (proxy_view("cart", connected=True), proxy_view("ads", connected=False))
    assert connected() == ("error", ("the proxy of shop/ads is not connected",))
    assert mesh["asked"] == [("osm", "staging", "osm-system")]
    mesh["proxies"] = (proxy_view("cart", connected=True), proxy_view("ads", connected=True))
    assert connected() == ("ok", ())


def test_a_mesh_that_cannot_be_asked_is_no_error_of_its_proxies(mesh: dict[str, Any]) -> None:
    mesh["proxies"] = NotRunningError("The control plane does not answer.")
    assert connected() == ("skipped", ("The control plane does not answer.",))


def test_without_proxies_nobody_is_asked(mesh: dict[str, Any]) -> None:
    mesh["facts"] = facts(WELL, proxies=())
    assert connected() == ("ok", ())
    assert mesh["asked"] == []
