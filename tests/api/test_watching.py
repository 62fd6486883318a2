"""The copy of a cluster's objects is right whatever the API server and the network do (rows K)."""

import asyncio
import json
import shutil
import signal
from pathlib import Path

import pytest
from tests.kubernetes.control_plane import ControlPlane, control_plane
from tests.kubernetes.fault_proxy import Fault, FaultProxy
from tests.waiting import eventually

from .watching import Copy, in_the_cluster, watching

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVICES = ("services",)


def service(name: str, port: int = 80, kind: str = "Service") -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"ports": [{"port": port}], "selector": {"app": name}},
        }
    )


async def apply(cluster: ControlPlane, namespace: str, *objects: str) -> None:
    text = "\n---\n".join(objects)
    await cluster.kubectl("apply", "-n", namespace, "-f", "-", text=text)


async def same(cluster: ControlPlane, copy: Copy, namespace: str) -> bool:
    """Whether the copy has exactly the services of a namespace, in their present form."""
    there = await in_the_cluster(cluster, "services", namespace)
    here = {
        key.name: int(manifest.object.metadata.resource_version)
        for key, manifest in copy.objects.items()
        if (key.kind, key.namespace) == ("Service", namespace)
    }
    return there == here


async def test_objects_appear_change_and_go(cluster: ControlPlane, namespace: str) -> None:
    async with watching(cluster.kubeconfig, ("services", "namespaces", "pods")) as copy:
        await eventually(lambda: copy.changes > 0, "the first change")
        await apply(cluster, namespace, service("a"), service("b"))
        await eventually(lambda: copy.names("Service", namespace) == ["a", "b"], "both")
        await apply(cluster, namespace, service("a", 81))
        await eventually(lambda: same(cluster, copy, namespace), "the new form")
        await cluster.kubectl("delete", "service", "a", "-n", namespace)
        await eventually(lambda: copy.names("Service", namespace) == ["b"], "it is gone")
        assert copy.source.reflectors["services"].lists == 1


async def test_nothing_is_told_before_all_kinds_are_known(
    cluster: ControlPlane, proxy: FaultProxy
) -> None:
    held = asyncio.Event()
    proxy.choose = lambda asked: (
        Fault(status=500) if asked.path.endswith("/pods") and not held.is_set() else None
    )
    async with watching(proxy.kubeconfig, ("services", "pods")) as copy:
        await asyncio.sleep(2)
        assert copy.changes == 0
        held.set()
        await eventually(lambda: copy.changes > 0, "the first change")
        assert copy.names("Service", "default") == ["kubernetes"]


async def test_an_api_server_that_is_killed_takes_nothing_away(
    cluster: ControlPlane, namespace: str
) -> None:
    async with watching(cluster.kubeconfig, SERVICES) as copy:
        await apply(cluster, namespace, service("a"))
        await eventually(lambda: copy.names("Service", namespace) == ["a"], "it is there")
        lists, copy.fewest = copy.source.reflectors["services"].lists, -1
        await cluster.stop("kube-apiserver", signal.SIGKILL)
        await asyncio.sleep(3)
        await cluster.start("kube-apiserver")
        await apply(cluster, namespace, service("b"))
        await eventually(lambda: copy.names("Service", namespace) == ["a", "b"], "it goes on")
        assert copy.fewest >= 2 and not copy.backwards
        assert copy.source.reflectors["services"].lists - lists <= 1


async def test_watches_that_are_cut_go_on_without_a_list(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    proxy.choose = lambda asked: (
        Fault(cut_after_s=0.3) if asked.is_watch and not asked.is_list else None
    )
    async with watching(proxy.kubeconfig, SERVICES) as copy:
        await eventually(lambda: copy.changes > 0, "the first change")
        for number in range(10):
            await apply(cluster, namespace, service(f"s{number}"))
        await eventually(lambda: same(cluster, copy, namespace), "all the same")
        assert copy.source.reflectors["services"].lists == 1
        assert sum(asked.is_list for asked in proxy.asked) == 1


async def test_a_connection_that_is_silently_dead_is_found(
    cluster: ControlPlane,
    proxy: FaultProxy,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a tenth of the product's times, which find it within 53 s."""
    monkeypatch.setattr("osm.kubernetes.reflector.WATCH_S", (3.5, 4.5))
    monkeypatch.setattr("osm.kubernetes.reflector.SILENCE_S", 0.8)
    faults = [Fault(mute_after_s=0.0)]
    proxy.choose = lambda asked: (
        faults.pop() if asked.is_watch and not asked.is_list and faults else None
    )
    async with watching(proxy.kubeconfig, SERVICES) as copy:
        await eventually(lambda: copy.changes > 0 and not faults, "a mute watch")
        await apply(cluster, namespace, service("a"))
        await asyncio.sleep(1)
        assert copy.names("Service", namespace) == []
        await eventually(lambda: copy.names("Service", namespace) == ["a"], "found", within=8)


async def test_a_server_that_is_overloaded_is_left_alone(
    cluster: ControlPlane, proxy: FaultProxy
) -> None:
    proxy.choose = lambda _: Fault(status=429, retry_after_s=1)
    async with watching(proxy.kubeconfig, SERVICES) as copy:
        await asyncio.sleep(8)
        assert copy.changes == 0 and len(proxy.asked) <= 8
        proxy.choose = lambda _: None
        await eventually(lambda: copy.changes > 0, "the first change")


async def test_kinds_may_come_and_go(cluster: ControlPlane, namespace: str) -> None:
    crd = json.dumps(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "tcproutes.specs.smi-spec.io"},
            "spec": {
                "group": "specs.smi-spec.io",
                "scope": "Namespaced",
                "names": {"kind": "TCPRoute", "plural": "tcproutes", "singular": "tcproute"},
                "versions": [
                    {
                        "name": "v1alpha4",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                ],
            },
        }
    )
    route = json.dumps(
        {
            "apiVersion": "specs.smi-spec.io/v1alpha4",
            "kind": "TCPRoute",
            "metadata": {"name": "r"},
            "spec": {"matches": {"ports": [8080]}},
        }
    )
    # Another test may have defined it.
    crd_name = "tcproutes.specs.smi-spec.io"
    await cluster.kubectl("delete", "crd", crd_name, "--ignore-not-found")
    async with watching(cluster.kubeconfig, ("services", "tcproutes")) as copy:
        await eventually(lambda: copy.changes > 0, "the first change, without the kind")
        assert "tcproutes" in copy.source.problems
        await cluster.kubectl("apply", "-f", "-", text=crd)
        await cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
        await apply(cluster, namespace, route)
        await eventually(lambda: copy.names("TCPRoute", namespace) == ["r"], "used", within=30)
        await cluster.kubectl("delete", "crd", crd_name)
        await eventually(lambda: copy.names("TCPRoute", namespace) == [], "gone", within=30)


async def test_lists_come_in_pages_from_a_server_that_cannot_stream_them(
    cluster: ControlPlane,
    proxy: FaultProxy,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("osm.kubernetes.reflector.PAGE", 2)
    proxy.choose = lambda asked: Fault(status=422) if "sendInitialEvents" in asked.query else None
    await apply(cluster, namespace, *(service(f"s{number}") for number in range(7)))
    async with watching(proxy.kubeconfig, SERVICES) as copy:
        await eventually(lambda: same(cluster, copy, namespace), "all of them")
        assert sum("continue" in asked.query for asked in proxy.asked) >= 3
        await apply(cluster, namespace, service("late"))
        await eventually(lambda: same(cluster, copy, namespace), "and what comes later")


async def test_a_server_that_is_behind_takes_nothing_back(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    """Sieve's stale state: a list that is older than what was seen already."""
    await apply(cluster, namespace, service("old"))
    old = (await cluster.kubectl("get", "--raw", "/api/v1/services")).encode()
    await apply(cluster, namespace, service("old", 81), service("new"))
    async with watching(proxy.kubeconfig, SERVICES) as copy:
        await eventually(lambda: same(cluster, copy, namespace), "the present")
        copy.fewest = -1
        proxy.choose = lambda asked: (
            Fault(status=422)
            if "sendInitialEvents" in asked.query
            else Fault(answer=old)
            if asked.is_list
            else Fault(status=410)
        )
        proxy.cut_all()
        await eventually(
            lambda: sum(a.is_list for a in proxy.asked) >= 4, "it was told of the past"
        )
        assert copy.fewest in (-1, len(copy.objects)) and not copy.backwards
        proxy.choose = lambda _: None
        await apply(cluster, namespace, service("newest"))
        await eventually(lambda: same(cluster, copy, namespace), "the present again")
        assert not copy.backwards


async def test_a_cluster_that_was_restored_from_a_backup_is_believed_in_the_end(
    tmp_path: Path,
) -> None:
    async with control_plane(tmp_path) as cluster:
        await apply(cluster, "default", service("kept"))
        await cluster.stop("kube-apiserver")
        await cluster.stop("etcd", signal.SIGTERM)
        shutil.copytree(tmp_path / "etcd", tmp_path / "backup")
        await cluster.start("etcd")
        await cluster.start("kube-apiserver")
        async with watching(cluster.kubeconfig, SERVICES) as copy:
            for number in range(5):
                await apply(cluster, "default", service("lost", 80 + number))
            await eventually(lambda: same(cluster, copy, "default"), "all of them")
            await cluster.stop("kube-apiserver")
            await cluster.stop("etcd")
            shutil.rmtree(tmp_path / "etcd")
            shutil.copytree(tmp_path / "backup", tmp_path / "etcd")
            await cluster.start("etcd")
            await cluster.start("kube-apiserver")
            took = await eventually(lambda: same(cluster, copy, "default"), "the past", within=30)
            print(f"believed {took:.1f} s after the API server was ready")
            assert copy.names("Service", "default") == ["kept", "kubernetes"]
            await apply(cluster, "default", service("next"))
            await eventually(lambda: same(cluster, copy, "default"), "and what comes")
