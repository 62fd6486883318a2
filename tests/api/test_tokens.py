"""Which tokens a real API server vouches for, and which proxies they prove."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Fault, FaultProxy
from tests.mesh.pod_volume import Volume, has_certificate
from tests.mesh.serving import Serving
from tests.waiting import eventually

from osm.core.model.identity import Identity, ProxyIdentity, token_audience
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.token_review import (
    PATH,
    POD_NAME,
    POD_UID,
    REMEMBERED_S,
    Found,
    TokenReviewer,
)
from osm.ports import Unproven
from osm.testing.builders import pod, service

from .pod_tokens import AUDIENCE, Pods

pytestmark = pytest.mark.asyncio(loop_scope="session")


class FakeSeconds:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def reviewer(server: ApiServer, **how: Any) -> TokenReviewer:
    return TokenReviewer(server, audience=AUDIENCE, trust_domain="cluster.local", **how)


@asynccontextmanager
async def opened(kubeconfig: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer.open(kubeconfig)
    try:
        yield server
    finally:
        await server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def server(cluster: ControlPlane) -> AsyncIterator[ApiServer]:
    async with opened(cluster.kubeconfig) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def broken(proxy: FaultProxy) -> AsyncIterator[ApiServer]:
    """A way to the API server that `proxy` breaks."""
    async with opened(proxy.kubeconfig) as found:
        yield found


@pytest.fixture
def pods(cluster: ControlPlane, namespace: str) -> Pods:
    return Pods(cluster, namespace)


def reviews(proxy: FaultProxy) -> int:
    return sum(each.path == PATH for each in proxy.asked)


async def test_a_pods_token_proves_the_pods_proxy(server: ApiServer, pods: Pods) -> None:
    await pods.add("buyer-0", "bookbuyer")
    token = await pods.token("bookbuyer", pod="buyer-0")
    who = Identity("cluster.local", pods.namespace, "bookbuyer")
    assert await reviewer(server).review(token) == ProxyIdentity(who, "buyer-0")


async def test_what_proves_nothing_is_refused_for_good_and_told_why(
    server: ApiServer, pods: Pods
) -> None:
    uids = await pods.add("buyer-0", "bookbuyer")
    now = int(time.time())
    review = reviewer(server).review
    issued = partial(pods.token, "bookbuyer")
    signed = partial(pods.signed, "bookbuyer", "buyer-0", uids=uids)
    assert not isinstance(await review(signed()), Unproven)
    wrong = "is invalid for the target audiences"
    of_another = signed(uids=uids | {"pod": str(uuid.uuid4())})
    of_nobody = signed(by=ec.generate_private_key(ec.SECP256R1()))
    cases: dict[str, tuple[str, str]] = {
        "another audience": (await issued(pod="buyer-0", audience="elsewhere"), wrong),
        "the API server's own": (await issued(pod="buyer-0", audience=""), wrong),
        "another mesh's": (await issued(pod="buyer-0", audience=token_audience("osm2")), wrong),
        "bound to no pod": (await issued(), "is bound to no pod"),
        "expired": (signed(exp=now - 3600), "has expired"),
        "not valid yet": (signed(nbf=now + 3600, exp=now + 7200), "is not valid yet"),
        "of another pod of that name": (of_another, "does not match"),
        "signed by somebody": (of_nobody, "invalid bearer token"),
        "of another issuer": (signed(iss="https://elsewhere"), "invalid bearer token"),
        "garbage of the right form": ("aaaa.bbbb.cccc", "invalid bearer token"),
        "garbage": ("Basic abc", "is no ServiceAccount token"),
        "too long": ("a" * 20_000 + ".b.c", "is no ServiceAccount token"),
        "nothing": ("", "no ServiceAccount token was shown"),
    }
    for name, (token, why) in cases.items():
        found = await review(token)
        assert isinstance(found, Unproven), name
        assert why in found.text and not found.later, (name, found)


async def test_a_token_dies_with_its_pod_even_when_another_of_its_name_comes(
    server: ApiServer, pods: Pods
) -> None:
    await pods.add("buyer-0", "bookbuyer")
    seconds = FakeSeconds()
    review = reviewer(server, now_s=seconds).review
    token = await pods.token("bookbuyer", pod="buyer-0")
    assert not isinstance(await review(token), Unproven)
    await pods.remove("buyer-0")
    await pods.add_pod("buyer-0", "bookbuyer")

    # The API server remembers what it found for ten seconds, and asks for the pod before.
    async def is_refused() -> bool:
        seconds.now += REMEMBERED_S + 0.1
        return isinstance(await review(token), Unproven)

    await eventually(is_refused, "the token of a pod that is gone is refused", within=20)
    assert not isinstance(await review(await pods.token("bookbuyer", pod="buyer-0")), Unproven)


async def test_the_api_server_is_asked_once_for_a_token_in_a_while(
    proxy: FaultProxy, broken: ApiServer, pods: Pods
) -> None:
    await pods.add("buyer-0", "bookbuyer")
    seconds = FakeSeconds()
    review = reviewer(broken, now_s=seconds).review
    token = await pods.token("bookbuyer", pod="buyer-0")
    impatient = asyncio.create_task(review(token))
    await asyncio.sleep(0)
    impatient.cancel()
    assert len(set(await asyncio.gather(*(review(token) for _ in range(50))))) == 1
    assert reviews(proxy) == 1
    for _ in range(5):
        assert isinstance(await review("aaaa.bbbb.cccc"), Unproven)
    assert reviews(proxy) == 2, "what is refused is remembered, too"
    seconds.now += REMEMBERED_S + 0.1
    assert not isinstance(await review(token), Unproven)
    assert reviews(proxy) == 3


async def test_without_an_api_server_nobody_is_proved_and_everybody_may_try_again(
    proxy: FaultProxy, broken: ApiServer, pods: Pods
) -> None:
    await pods.add("buyer-0", "bookbuyer")
    review = reviewer(broken).review
    token = await pods.token("bookbuyer", pod="buyer-0")
    faults = (
        (Fault(refuse=True), "does not answer"),
        (Fault(status=503), "reviews no token: Injected"),
        (Fault(status=429, retry_after_s=1), "reviews no token: Injected"),
        (Fault(status=403), "may not create TokenReviews"),
        (Fault(answer=b"<html>"), "cannot be read"),
    )
    for fault, why in faults:
        proxy.choose = lambda _, fault=fault: fault  # type: ignore[misc]
        found = await review(token)
        assert isinstance(found, Unproven) and found.later and why in found.text, (fault, found)
    proxy.choose = lambda _: None
    assert not isinstance(await review(token), Unproven)


async def test_an_answer_that_forgets_the_audience_or_the_pod_proves_nothing(
    proxy: FaultProxy, broken: ApiServer
) -> None:
    """As an API server would answer that knows no audiences, or another authenticator."""
    bound: dict[str, list[str]] = {POD_NAME: ["buyer-0"], POD_UID: ["1"]}
    account = "system:serviceaccount:shop:bookbuyer"

    async def proves(username: str, extra: dict[str, list[str]], audiences: list[str]) -> Found:
        user = {"username": username, "extra": extra}
        status = {"authenticated": True, "user": user, "audiences": audiences}
        answer = json.dumps({"kind": "TokenReview", "status": status}).encode()
        proxy.choose = lambda _: Fault(answer=answer)
        return await reviewer(broken).review("aaaa.bbbb.cccc")

    whole = await proves(account, bound, [AUDIENCE])
    assert whole == ProxyIdentity(Identity("cluster.local", "shop", "bookbuyer"), "buyer-0")
    for username, extra, audiences, reason in (
        (account, bound, [], "other audience"),
        (account, bound, ["elsewhere"], "other audience"),
        ("system:node:one", bound, [AUDIENCE], "no account"),
        ("system:serviceaccount:shop:", bound, [AUDIENCE], "no account"),
        ("system:serviceaccount:shop:a:b", bound, [AUDIENCE], "no account"),
        (account, {POD_NAME: ["buyer-0"]}, [AUDIENCE], "no pod"),
        (account, bound | {POD_NAME: ["buyer-0", "buyer-1"]}, [AUDIENCE], "no pod"),
    ):
        found = await proves(username, extra, audiences)
        assert isinstance(found, Unproven) and found.reason == reason, (username, extra, found)


async def test_a_flood_of_tokens_does_not_become_a_flood_of_reviews(
    proxy: FaultProxy, broken: ApiServer
) -> None:
    review = reviewer(broken, reviews_per_s=0.1).review
    found = await asyncio.gather(*(review(f"aaaa.bbbb.{n}") for n in range(200)))
    later = [each for each in found if isinstance(each, Unproven) and each.later]
    assert (reviews(proxy), len(later)) == (1, 199)
    assert {each.reason for each in later} == {"too many tokens"}


async def test_tokens_are_neither_logged_nor_kept(
    proxy: FaultProxy, broken: ApiServer, pods: Pods
) -> None:
    uids = await pods.add("buyer-0", "bookbuyer")
    subject = reviewer(broken)
    tokens = (
        await pods.token("bookbuyer", pod="buyer-0"),
        pods.signed("bookbuyer", "buyer-0", uids, exp=1),
    )
    with capture_logs() as logs:
        said = [await subject.review(token) for token in tokens]
        for fault in (Fault(refuse=True), Fault(answer=b"<html>")):
            proxy.choose = lambda _, fault=fault: fault  # type: ignore[misc]
            said.append(await reviewer(broken).review(tokens[0]))
    assert len(logs) == 2 and len(set(said)) == 4
    assert not [each for each in logs if "exc_info" in each], "a traceback may show variables"
    seen = f"{logs} {said} {vars(subject)}"
    for token in tokens:
        assert not [part for part in token.split(".") if part in seen]


async def test_the_right_to_create_token_reviews_is_all_that_is_needed(
    cluster: ControlPlane, pods: Pods, tmp_path: Path
) -> None:
    await pods.add("buyer-0", "bookbuyer")
    await pods.add("controller-0", "controller")
    token = await pods.token("bookbuyer", pod="buyer-0")
    config = json.loads(cluster.kubeconfig.read_text())
    own = await pods.token("controller", pod="controller-0", audience="")
    config["users"][0]["user"] = {"token": own}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    async with opened(tmp_path / "kubeconfig") as server:
        found = await reviewer(server).review(token)
        assert isinstance(found, Unproven) and found.reason == "may not review" and found.later
        name = f"reviews-{pods.namespace}"
        role = ("--verb=create", "--resource=tokenreviews.authentication.k8s.io")
        await cluster.kubectl("create", "clusterrole", name, *role)
        account = f"--serviceaccount={pods.namespace}:controller"
        await cluster.kubectl(
            "create", "clusterrolebinding", name, f"--clusterrole={name}", account
        )

        async def may() -> bool:
            return not isinstance(await reviewer(server).review(token), Unproven)

        await eventually(may, "the role is enough")


async def test_a_real_proxy_gets_its_certificate_for_a_real_token(
    server: ApiServer, pods: Pods, tmp_path: Path
) -> None:
    await pods.add("buyer-0", "bookbuyer")
    where = pods.namespace
    serving = Serving(
        tmp_path,
        pod("buyer-0", namespace=where, account="bookbuyer"),
        service("buyer-0", {"port": 80, "name": "http"}, namespace=where),
    )
    volume = Volume(tmp_path / "volume")
    volume.put(await pods.token("bookbuyer"), serving.tresor.trust_bundle)
    async with (
        serving.running(review_token=reviewer(server).review),
        serving.envoy("buyer-0", tmp_path, volume=volume.path) as envoy,
    ):
        await asyncio.sleep(1)
        assert not await has_certificate(envoy), "a token of no pod is no proof"
        own = await pods.token("bookbuyer", pod="buyer-0")
        volume.put(own, serving.tresor.trust_bundle)
        await eventually(lambda: has_certificate(envoy), "the proxy has its certificate")
        assert list(serving.plane.by_proxy()) == [f"{where}/buyer-0"]
