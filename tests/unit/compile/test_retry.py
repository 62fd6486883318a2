"""A Retry becomes the retry policy of a caller and a service, and says when it has no effect."""

import pytest

from osm.core.model.mesh import Model
from osm.core.model.retry import RetryPolicy
from osm.core.model.service import ServiceName
from osm.testing.builders import Document, identity, mesh_config, model, pod, retry, service

ENABLED = mesh_config(featureFlags={"enableRetryPolicy": True})
MESH = (
    pod("client"),
    pod("shop", ip="10.0.0.2"),
    service("shop", 80),
    service("db", {"port": 5432, "name": "tcp-db"}, app="shop", ip="10.1.0.2"),
)


def policy(found: Model, source: str = "client", to: str = "shop") -> RetryPolicy | None:
    return found.retries.get((identity(source), ServiceName("default", to)))


def codes(found: Model) -> list[str]:
    return [finding.code for finding in found.findings]


def test_a_retry_is_for_each_of_its_destinations_and_for_its_source_only() -> None:
    found = model(
        *MESH, service("more", 80, app="shop"), ENABLED, retry("r", "client", ["shop", "more"])
    )
    assert codes(found) == []
    for to in ("shop", "more"):
        one = policy(found, to=to)
        assert one is not None
        assert (one.conditions, one.retries, one.pause_ns) == (("5xx",), 5, 25_000_000)
        assert str(one.origin) == "Retry default/r spec.retryPolicy"
    assert policy(found, "other") is None and policy(found, to="db") is None


@pytest.mark.parametrize(
    ("parts", "winner"),
    [
        ([retry("a", "client", ["shop"]), retry("b", "client", ["shop"])], "a"),
        (
            [
                retry("a", "client", ["shop"], created="2025-01-01T00:00:00Z"),
                retry("b", "client", ["shop"], created="2024-01-01T00:00:00Z"),
            ],
            "b",
        ),
    ],
)
def test_the_oldest_of_several_wins_and_the_others_are_told(
    parts: list[Document], winner: str
) -> None:
    found = model(*MESH, ENABLED, *parts)
    one = policy(found)
    assert one is not None and one.origin.name == winner
    (finding,) = found.findings
    assert finding.code == "OSM364" and finding.origin is not None
    assert finding.origin.name == ("b" if winner == "a" else "a")


@pytest.mark.parametrize(
    ("destination", "code"), [("nobody", "OSM362"), ("elsewhere/shop", "OSM362"), ("db", "OSM363")]
)
def test_a_destination_without_effect_is_told(destination: str, code: str) -> None:
    found = model(*MESH, ENABLED, retry("r", "client", ["shop", destination]))
    assert codes(found) == [code] and policy(found) is not None
    (finding,) = found.findings
    assert finding.origin is not None and finding.origin.field == "spec.destinations[1]"


def test_without_the_switch_nothing_is_retried() -> None:
    found = model(*MESH, retry("r", "client", ["shop"]))
    assert codes(found) == ["OSM361"] and not found.retries
