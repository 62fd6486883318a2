"""The address of a caller, which limits and logs go by, is its connection's: a real Envoy says which."""

from pathlib import Path

import pytest
from tests.unit.envoy.live import Ask, live_envoy

from osm._envoy.envoy.config.route.v3 import route_components_pb2


@pytest.mark.parametrize(
    "said", ["192.0.2.1", "192.0.2.1, 192.0.2.2", ", ".join(["192.0.2.1"] * 2000)]
)
async def test_what_a_caller_says_of_its_address_is_not_believed(tmp_path: Path, said: str) -> None:
    host = route_components_pb2.VirtualHost(name="h", domains=["*"])
    route = host.routes.add(match=route_components_pb2.RouteMatch(prefix="/"))
    route.direct_response.status = 200
    header = host.response_headers_to_add.add().header
    header.key, header.value = "x-seen", "[%DOWNSTREAM_REMOTE_ADDRESS%]"
    async with live_envoy(tmp_path, host, inbound=True) as envoy:
        plain, forged = await envoy.ask([Ask(), Ask(headers=(("x-forwarded-for", said),))])
    assert forged.status == 200
    assert forged.headers["x-seen"] == plain.headers["x-seen"]
