"""The control plane after a restart: proxies that come back keep what is still good."""

from datetime import timedelta
from pathlib import Path

import pytest

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.session import Session
from osm.core.compile.build import Compiler
from osm.core.envoy.names import ROOT_CERTIFICATES, SERVICE_CERTIFICATE
from osm.core.xds import types
from osm.runtime.control_core import ControlCore
from osm.testing.builders import LOCAL, manifests, model, pod, proxy, service
from osm.testing.clock import FakeClock

PARTS = (pod("shop"), pod("shop-2", account="shop", ip="10.0.0.2"), service("shop", 80))
SHOP, TWIN = (proxy(model(*PARTS), name) for name in ("shop", "shop-2"))


async def controller(state: Path, clock: FakeClock) -> ControlCore:
    core = await ControlCore.open(
        "test", state, f"unix:{state}/ads.sock", clock=clock, leaf_validity=timedelta(hours=24)
    )
    compiled = Compiler(LOCAL).update(manifests(*PARTS))
    core.control_plane.publish(compiled, trigger="test")
    return core


async def secrets(core: ControlCore, who: object = SHOP, held: str = "") -> dict[str, str]:
    """Connect as a proxy that holds a certificate of this version, and give what it is sent."""
    assert who in (SHOP, TWIN)
    known = SHOP if who == SHOP else TWIN
    await core._ensure_certificate(known, held)
    session: Session = core.control_plane.connect(known)
    names = [ROOT_CERTIFICATES, SERVICE_CERTIFICATE]
    request = discovery_pb2.DeltaDiscoveryRequest(
        type_url=types.SECRET, resource_names_subscribe=names
    )
    if held:
        request.initial_resource_versions[SERVICE_CERTIFICATE] = held
    session.take_request(request)
    return {
        resource.name: resource.version
        for response in session.take_responses().responses
        for resource in discovery_pb2.DeltaDiscoveryResponse.FromString(response.wire).resources
    }


async def test_a_certificate_that_is_still_good_is_not_issued_and_not_sent_again(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    sent = await secrets(await controller(tmp_path, clock))
    version = sent[SERVICE_CERTIFICATE]
    restarted = await controller(tmp_path, clock)
    assert await secrets(restarted, held=version) == {ROOT_CERTIFICATES: sent[ROOT_CERTIFICATES]}
    assert restarted.keeper.current(SHOP.identity) is None
    expires = restarted.keeper.expires(SHOP.identity)
    assert expires is not None and expires > clock.now() + timedelta(hours=20)
    # Its twin has the same one; a third that has none is issued a new one, which all get.
    assert SERVICE_CERTIFICATE not in await secrets(restarted, TWIN, held=version)
    issued = await secrets(restarted, TWIN)
    assert issued[SERVICE_CERTIFICATE] != version
    told = next(iter(restarted.control_plane.sessions.values())).take_responses()
    assert [response.names for response in told.responses] == [(SERVICE_CERTIFICATE,)]


@pytest.mark.parametrize("later", [timedelta(hours=17), timedelta(hours=25)])
async def test_a_certificate_that_is_due_or_over_is_issued_anew(
    tmp_path: Path, later: timedelta
) -> None:
    clock = FakeClock()
    version = (await secrets(await controller(tmp_path, clock)))[SERVICE_CERTIFICATE]
    clock.jump(later)
    sent = await secrets(await controller(tmp_path, clock), held=version)
    assert sent[SERVICE_CERTIFICATE] != version


@pytest.mark.parametrize("held", ["", "nonsense", "a.1.99999999999.d"])
async def test_what_is_no_certificate_of_these_roots_is_replaced(tmp_path: Path, held: str) -> None:
    sent = await secrets(await controller(tmp_path, FakeClock()), held=held)
    assert sent[SERVICE_CERTIFICATE]


async def test_a_certificate_of_other_roots_is_replaced(tmp_path: Path) -> None:
    clock = FakeClock()
    version = (await secrets(await controller(tmp_path / "one", clock)))[SERVICE_CERTIFICATE]
    sent = await secrets(await controller(tmp_path / "two", clock), held=version)
    assert sent[SERVICE_CERTIFICATE] != version


async def test_a_proxy_that_moves_to_another_replica_is_sent_nothing(tmp_path: Path) -> None:
    """Replicas share the root and the objects; nothing else has to pass between them."""
    clock = FakeClock()
    first, second = [await controller(tmp_path, clock) for _ in range(2)]
    await first._ensure_certificate(SHOP, "")
    session = first.control_plane.connect(SHOP)
    asked = {
        types.CLUSTER: ["*", "default/shop|80"],
        types.ENDPOINT: ["default/shop|80"],
        types.LISTENER: ["*"],
        types.ROUTE: ["rds-outbound.80", "rds-inbound.80"],
        types.VIRTUAL_HOST: ["rds-outbound.80/shop", "rds-outbound.80/nobody"],
        types.SECRET: [ROOT_CERTIFICATES, SERVICE_CERTIFICATE],
        types.RUNTIME: ["access"],
    }
    held: dict[str, dict[str, str]] = {}
    for kind, names in asked.items():
        session.take_request(
            discovery_pb2.DeltaDiscoveryRequest(type_url=kind, resource_names_subscribe=names)
        )
        for response in session.take_responses().responses:
            message = discovery_pb2.DeltaDiscoveryResponse.FromString(response.wire)
            held.setdefault(kind, {}).update({r.name: r.version for r in message.resources})
    assert all(held[kind] for kind in asked)
    await second._ensure_certificate(SHOP, held[types.SECRET][SERVICE_CERTIFICATE])
    moved = second.control_plane.connect(SHOP)
    for kind, names in asked.items():
        moved.take_request(
            discovery_pb2.DeltaDiscoveryRequest(
                type_url=kind,
                resource_names_subscribe=names,
                initial_resource_versions=held[kind],
            )
        )
    sent = moved.take_responses().responses
    assert [(response.names, response.removed) for response in sent] in ([], [((), ())] * 2)
