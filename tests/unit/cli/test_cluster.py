"""Which cluster and mesh a command means, and what `osm` is called as kubectl's plugin."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.cli.calls import Mesh, Run, mesh_after
from tests.unit.cli.test_proxy import StartMesh

from osm.cli.cluster_mesh import InstalledMesh, choose_mesh, is_ready, read_meshes, ready_pods
from osm.cli.cluster_pods import app_of, check_proxy
from osm.cli.command import Invocation
from osm.cli.error_codes import ErrorCode, explain_code
from osm.cli.find_mesh import is_on_cluster
from osm.cli.merged_view import merged_view
from osm.cli.names import split_namespaces
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.state import with_state, without_state
from osm.core.explain.view import MeshView, ReplicaView
from osm.errors import NotRunningError, OsmError, UsageError

ONE, TWO = InstalledMesh("osm", "osm-system", "v1"), InstalledMesh("shop", "shop-system", "v2")


def deployment(namespace: str, **labels: str) -> dict[str, Any]:
    named = {key.replace("_", "/"): value for key, value in labels.items()}
    return {
        "metadata": {"name": "osm-controller", "namespace": namespace, "labels": named},
        "spec": {"template": {"spec": {"containers": [{"command": ["osm"]}]}}},
    }


def test_meshes_are_known_by_their_controllers_labels() -> None:
    found = read_meshes(
        [
            deployment("shop-system", meshName="shop"),
            deployment(
                "osm-system",
                **{"app.kubernetes.io_instance": "osm", "app.kubernetes.io_version": "v1"},
            ),
        ]
    )
    assert found == (ONE, InstalledMesh("shop", "shop-system", ""))


def test_the_only_mesh_needs_no_name() -> None:
    assert choose_mesh([ONE], None) == ONE
    assert choose_mesh([ONE, TWO], "shop") == TWO


def test_one_of_osm_beside_ours_must_be_named() -> None:
    old = InstalledMesh("osm", "osm-system", "v1.2.4", ours=False)
    new = InstalledMesh("osm-next", "next", "2.0.0", former_mesh="osm")
    assert choose_mesh([old, new], None) == new
    assert choose_mesh([old, new], "osm") == old
    assert choose_mesh([old], None) == old


@pytest.mark.parametrize(
    ("meshes", "name", "error", "said"),
    [
        ([], None, NotRunningError, "osm install"),
        ([ONE], "shop", NotRunningError, "osm in osm-system"),
        ([ONE, TWO], None, UsageError, "osm in osm-system, shop in shop-system"),
    ],
)
def test_which_mesh_is_meant_must_be_clear(
    meshes: list[InstalledMesh], name: str | None, error: type[OsmError], said: str
) -> None:
    with pytest.raises(error) as refused:
        choose_mesh(meshes, name)
    assert said in f"{refused.value.message} {refused.value.hint}"


def pod(
    name: str = "p", phase: str = "Running", ready: str = "True", **more: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "a", **more},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_only_pods_that_can_answer_are_asked() -> None:
    pods = [pod("a"), pod("b", ready="False"), pod("c", deletionTimestamp="now"), pod("d")]
    assert [each["metadata"]["name"] for each in pods if is_ready(each)] == ["a", "d"]
    assert ready_pods(ONE, pods) == ("a", "d")
    with pytest.raises(NotRunningError) as refused:
        ready_pods(ONE, [*pods[1:3], pod("e", phase="Pending")])
    assert refused.value.message.endswith(
        "not ready: b is Running, not ready, c is being deleted, e is Pending."
    )


@pytest.mark.parametrize(
    ("owner", "app"),
    [
        ({"kind": "ReplicaSet", "name": "cart-7d9f"}, "cart"),
        ({"kind": "StatefulSet", "name": "db"}, "db"),
        (None, "p"),
    ],
)
def test_a_pod_belongs_to_what_its_owner_is_called(owner: dict[str, str] | None, app: str) -> None:
    assert app_of(pod(ownerReferences=[owner] if owner else [])) == app


def test_only_a_running_pod_with_a_proxy_is_asked_for_it() -> None:
    labels = {"osm-proxy-uuid": "x"}
    check_proxy(pod(labels=labels))
    for other in (pod(), pod(labels=labels, phase="Pending")):
        with pytest.raises(OsmError, match="The pod a/p is not"):
            check_proxy(other)


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    path.write_text("{}")
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_a_mesh_of_this_machine_comes_before_a_cluster(shared_mesh: Mesh, kubeconfig: Path) -> None:
    assert not is_on_cluster(None, Invocation())
    assert not is_on_cluster("osm", Invocation())
    assert is_on_cluster("other", Invocation())
    told = Invocation()
    told.names_cluster = True
    assert is_on_cluster("osm", told)


def test_without_a_mesh_here_a_kubeconfig_leads_to_a_cluster(
    runtime: Path, kubeconfig: Path
) -> None:
    assert is_on_cluster(None, Invocation())
    kubeconfig.unlink()
    assert not is_on_cluster(None, Invocation())


def test_a_broken_kubeconfig_is_told_with_both_ways_on(
    runtime: Path, kubeconfig: Path, run: Run
) -> None:
    result = run("status")
    assert result.code == 1
    assert result.err.startswith("Error: There is no way to a cluster:")
    assert "No mesh runs on this machine either" in result.err


def test_kubectls_plugin_says_how_it_is_called(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-osm"])
    result = run("namespace", "add", "--help")
    assert result.out.startswith("Usage: kubectl osm namespace add [OPTIONS] NAMESPACE...\n")
    assert "\n  kubectl osm namespace add bookstore bookbuyer\n" in result.out
    wrong = run("namespace", "nothing")
    assert "Try: kubectl osm namespace --help" in wrong.err


def test_namespaces_may_be_listed_in_one_option() -> None:
    assert split_namespaces(["a, b", "c", "a"]) == ("a", "b", "c")


def test_replicas_know_a_mesh_together() -> None:
    def connected(*names: str) -> MeshView:
        view = mesh_after(42).view()
        proxies = tuple(
            msgspec.structs.replace(each, connected=each.name in names) for each in view.proxies
        )
        return msgspec.structs.replace(view, proxies=proxies)

    merged = merged_view([connected("bookbuyer"), connected("bookstore", "mysql-0")])
    assert {each.name for each in merged.proxies if each.connected} == {
        "bookbuyer",
        "bookstore",
        "mysql-0",
    }
    assert len(merged.proxies) == 6


def test_replicas_are_listed_with_their_proxies(start_mesh: StartMesh, run: Run) -> None:
    def replica(name: str, proxies: int, *, leads: bool = False) -> MeshView:
        replicas = (ReplicaView(name, proxies, leads),)
        return msgspec.structs.replace(mesh_after(42).view(), replicas=replicas)

    def shown(*views: MeshView) -> str:
        start_mesh(api=mesh_after(42, lambda _: merged_view(views)))
        lines = run("status").out.splitlines()
        return "".join(each for each in lines if each.startswith("Replicas:"))

    assert shown(replica("osm-b", 1, leads=True), replica("osm-a", 0)) == (
        "Replicas:     2: osm-a (0 proxies), osm-b (leads, 1 proxy)"
    )


def test_that_no_replica_leads_is_said(start_mesh: StartMesh, run: Run) -> None:
    alone = (ReplicaView("osm-a", 4),)
    start_mesh(
        api=mesh_after(42, lambda view: msgspec.structs.replace(view, replicas=alone)),
    )
    assert "Replicas:     1: osm-a (4 proxies); none of them leads\n" in run("status").out


def test_a_mesh_without_replicas_has_none(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42))
    assert "Replicas" not in run("status").out


KNOWN = [ErrorCode("OSM301", "Routes that do not exist")]


def test_codes_are_explained_in_any_case() -> None:
    assert explain_code("osm301", KNOWN) == KNOWN[0]
    assert (
        "about a certificate, its Secret or its issuer" in explain_code("e4003", KNOWN).description
    )


def test_all_codes_have_a_line(run: Run) -> None:
    result = run("support", "error-info")
    assert result.code == 0
    assert result.out.startswith("ERROR CODE  ERROR DESCRIPTION\nOSM001 ")
    assert len(result.out.splitlines()) > 100


def test_env_has_osms_form_and_says_what_is_not_read(
    runtime: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = run("env")
    assert result.out.startswith(
        "---\ninstall:\n  kind: self-hosted\n  distribution: ''\n  namespace: osm-system\n"
    )
    former = tmp_path / "config.yaml"
    former.write_text("install: {namespace: mine}\n")
    monkeypatch.setenv("OSM_CONFIG", str(former))
    monkeypatch.setenv("OSM_NAMESPACE", "mine")
    told = run("env", "-o", "json")
    assert json.loads(told.out)["install"]["namespace"] == "mine"
    assert f"{former} is not read" in told.err


def test_how_a_proxy_fares_is_told_by_those_who_know_it() -> None:
    view = mesh_after(42).view()
    proxy = next(each for each in view.proxies if each.name == "bookbuyer")
    question = Question("bookbuyer", "bookstore")
    answer = Explanation(question, "allowed", True, "", (), workloads=("bookbuyer/bookbuyer",))
    away = with_state(answer, [msgspec.structs.replace(proxy, connected=False)], ())
    assert [step.title for step in away.steps] == ["proxy"]
    assert "is not connected" in away.steps[0].text
    assert with_state(without_state(away), [proxy], ()) == answer
