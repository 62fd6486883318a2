"""API servers that answer badly are asked seldom, and take nothing back (rows K7 and K9)."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy
from tests.waiting import eventually

from .test_watching import apply, same, service
from .watching import watching

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

BAD_S = 60 if "OSM_TEST_FULL" in os.environ else 5
FAULTS = (
    Fault(status=500),
    Fault(status=503),
    Fault(status=429, retry_after_s=1),
    Fault(refuse=True),
    Fault(mute_after_s=0.0),
    Fault(cut_after_s=0.05),
)


async def test_half_of_all_answers_are_bad_and_the_copy_stays_whole(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await apply(cluster, namespace, service("a"))
    rng = Random(1)
    async with watching(proxy.kubeconfig, ("services",)) as copy:
        await eventually(lambda: same(cluster, copy, namespace), "the present")
        copy.fewest, before = -1, len(proxy.asked)
        proxy.choose = lambda _: rng.choice(FAULTS) if rng.random() < 0.5 else None
        proxy.cut_all()
        for number in range(BAD_S):
            await apply(cluster, namespace, service(f"s{number}"))
            await asyncio.sleep(1)
            proxy.cut_all()
        assert len(proxy.asked) - before <= 5 * BAD_S
        proxy.choose = lambda _: None
        proxy.cut_all()
        await eventually(lambda: same(cluster, copy, namespace), "all the same", within=30)
        assert not copy.backwards and copy.fewest != 0
        assert len(copy.names("Service", namespace)) == BAD_S + 1


async def test_without_the_right_to_one_kind_the_others_are_followed(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    def choose(asked: Asked) -> Fault | None:
        return Fault(status=403) if asked.path.endswith("/pods") else None

    proxy.choose = choose
    async with watching(proxy.kubeconfig, ("services", "pods")) as copy:
        await eventually(lambda: copy.changes > 0, "the first change")
        assert list(copy.source.problems) == ["pods"]
        await apply(cluster, namespace, service("a"))
        await eventually(lambda: copy.names("Service", namespace) == ["a"], "it is followed")
        assert sum(asked.path.endswith("/pods") for asked in proxy.asked) <= 2


async def test_a_right_that_is_taken_away_and_given_back(
    cluster: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one. What was read stays, others are followed, and all that was missed comes afterwards."""
    monkeypatch.setattr("osm.kubernetes.reflector.WATCH_S", (2.0, 3.0))
    monkeypatch.setattr("osm.kubernetes.reflector.ABSENT_POLL_S", 2.0)
    kubeconfig = await reader(cluster, namespace, tmp_path)
    await may_read(cluster, namespace, "services", "serviceaccounts")
    await apply(cluster, namespace, service("a"))
    async with watching(kubeconfig, ("services", "serviceaccounts")) as copy:
        await eventually(lambda: copy.names("Service", namespace) == ["a"], "it may")
        assert copy.source.problems == {}
        await may_read(cluster, namespace, "serviceaccounts")
        await eventually(lambda: list(copy.source.problems) == ["services"], "it may not")
        copy.fewest = -1
        await apply(cluster, namespace, service("b"))
        await cluster.kubectl("create", "serviceaccount", "other", "-n", namespace)
        await eventually(
            lambda: "other" in copy.names("ServiceAccount", namespace), "others are followed"
        )
        assert copy.names("Service", namespace) == ["a"] and copy.fewest >= 2
        await may_read(cluster, namespace, "services", "serviceaccounts")
        await eventually(lambda: same(cluster, copy, namespace), "what was missed", within=30)
        assert copy.source.problems == {} and copy.twice == []


async def reader(cluster: ControlPlane, namespace: str, directory: Path) -> Path:
    """A kubeconfig of an account that may read what `may_read` says."""
    account = f"--serviceaccount={namespace}:default"
    role = f"--clusterrole={namespace}"
    await may_read(cluster, namespace)
    await cluster.kubectl("create", "clusterrolebinding", namespace, role, account)
    token = await cluster.kubectl("create", "token", "default", "-n", namespace)
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token.strip()}
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


async def may_read(cluster: ControlPlane, role: str, *plurals: str) -> None:
    """Of the whole cluster, and nothing else."""
    rules: Sequence[object] = (
        [{"apiGroups": [""], "resources": plurals, "verbs": ["get", "list", "watch"]}]
        if plurals
        else []
    )
    document = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": role},
        "rules": rules,
    }
    await cluster.kubectl("apply", "-f", "-", text=json.dumps(document))
