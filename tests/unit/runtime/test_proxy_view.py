"""What a person sees of the proxies: connected or not, what each holds, how each answers."""

from datetime import UTC, datetime

import pytest
from tests.unit.compile.pods_of_a_cluster import SHOP, asking, bare, former, own

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.control_plane import ControlPlane, Refused
from osm.ads.session import Session
from osm.core.compile.options import CompileOptions
from osm.core.explain.view import ProxyView, ResourceTypeView
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.xds import types
from osm.core.xds.stream_state import Refusal, Response
from osm.runtime.proxy_view import in_short, proxy_views
from osm.testing.builders import Part, identity, model, pod, proxy, service

MESH: tuple[Part, ...] = (
    pod("buyer-1", app="buyer"),
    pod("v1-1", app="v1", account="store", ip="10.0.0.2"),
    pod("v2-1", app="v2", account="store2", ip="10.0.0.3"),
    service("v1", 80, ip="10.1.0.2"),
)


class Plane:
    """A control plane and one proxy of it."""

    def __init__(self, workload: str = "v1-1") -> None:
        self.model: Model = model(*MESH)
        self.plane = ControlPlane(self.model, b"roots")
        self.session: Session = self.plane.connect(proxy(self.model, workload))

    def view(self, after: float = 0.0, **more: object) -> ProxyView:
        now = self.session.connected_at + after
        views = proxy_views(self.model, self.plane.by_proxy(), now, {}, **more)  # type: ignore[arg-type]
        return next(each for each in views if each.name == self.session.proxy.workload)

    def ask(self, type_url: str, *names: str) -> tuple[Response, ...]:
        self.session.take_request(
            discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names)
        )
        return self.session.take_responses().responses

    def answer(self, response: Response, error: str = "") -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=response.type_url, response_nonce=response.nonce
        )
        if error:
            request.error_detail.message = error
        self.session.take_request(request)


def test_proxies_are_shown_connected_or_not() -> None:
    here = Plane()
    expiry = {identity("store"): datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}
    now = here.session.connected_at + 2.04
    views = proxy_views(here.model, here.plane.by_proxy(), now, expiry)
    assert [view.name for view in views] == ["buyer-1", "v1-1", "v2-1"]
    away = views[2]
    assert (away.connected, away.in_sync, away.connected_s, away.types) == (False, False, 0.0, ())
    assert (views[1].connected, views[1].in_sync, views[1].connected_s) == (True, True, 2.0)
    assert views[1].certificate_expires == "2026-01-02T03:04:05+00:00"


def test_who_has_no_proxy_is_not_listed_unless_one_connects() -> None:
    """A proxy that says who it is counts more than how its pod looks."""
    meaning = model(
        asking(), own(bare("a")), bare("b"), former(bare("c")), options=CompileOptions()
    )
    plane = ControlPlane(meaning, b"roots")
    assert [view.name for view in proxy_views(meaning, plane.by_proxy(), 0.0, {})] == ["a"]
    session = plane.connect(meaning.workloads[SHOP, "b"].proxy)
    views = proxy_views(meaning, plane.by_proxy(), session.connected_at, {})
    assert [(view.name, view.connected) for view in views] == [("a", False), ("b", True)]


def test_what_a_proxy_asked_for_and_holds_is_counted_by_type() -> None:
    here = Plane()
    responses = here.ask(types.ENDPOINT, "default/v1|80", "default/gone|80")
    (endpoints,) = here.view().types
    assert (endpoints.type, endpoints.resources, endpoints.subscribed) == ("EDS", 1, 2)
    assert (
        endpoints.bytes
        == len(responses[0].wire)
        - len(
            discovery_pb2.DeltaDiscoveryResponse(
                type_url=types.ENDPOINT, nonce=responses[0].nonce
            ).SerializeToString()
        )
        - 3
    )  # of the field's head
    assert (endpoints.wildcard, endpoints.pending) == (False, len(responses))


def test_everything_of_its_own_is_told_apart_from_names() -> None:
    here = Plane()
    here.ask(types.LISTENER, "*")
    (listeners,) = here.view().types
    assert (listeners.wildcard, listeners.subscribed, listeners.resources) == (True, 0, 2)


def test_answers_are_counted_and_how_long_they_took() -> None:
    here = Plane()
    (response, *_) = here.ask(types.LISTENER, "*")
    waiting = here.view(after=5).types[0]
    assert not here.view().in_sync
    assert waiting.pending == 1
    assert waiting.answered_in_s == waiting.sent_ago_s == pytest.approx(5, abs=0.5)
    here.answer(response)
    (answered,) = here.view(after=5).types
    assert here.view().in_sync
    assert (answered.sent, answered.acknowledged, answered.pending) == (1, 1, 0)
    assert answered.answered_in_s == pytest.approx(0, abs=0.5)


def test_a_refusal_names_the_objects_at_fault() -> None:
    here = Plane()
    (response, *_) = here.ask(types.LISTENER, "*")
    here.answer(response, error="no")
    refusal = Refusal(types.LISTENER, response.names, "no")
    split = Origin("TrafficSplit", "default", "s", "spec.backends")
    others = Refused("default/v2-1", refusal, (Origin("TrafficSplit", "default", "other"),))
    refused = Refused("default/v1-1", refusal, (split,))
    (listeners,) = here.view(refusals=(refused, others)).types
    assert (listeners.refused, listeners.refuses, listeners.last_error) == (1, True, "no")
    assert listeners.at_fault == ("TrafficSplit default/s spec.backends",)
    assert not here.view().in_sync


def test_a_refusal_that_is_mended_is_over() -> None:
    kind = ResourceTypeView("RDS", 1, 2, 1, 1, last_error="")
    assert not kind.refuses
    assert kind.answered_in_s is None


@pytest.mark.parametrize(
    ("words", "short"),
    [
        ("Only a single wildcard domain is permitted", "Only a single wildcard domain is permitted"),
        ('goo.gle/debugproto   \nname: "x"\nlb_policy: 99\n: Proto constraint (LbPolicy)',
         "Proto constraint (LbPolicy)"),
        ("a\n: b", "a\n: b"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_resource_that_envoy_quotes_whole_is_left_out(words: str, short: str) -> None:
    assert in_short(words) == short
