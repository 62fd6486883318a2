"""apply, get and delete on a running mesh."""

import json
from pathlib import Path

import pytest
import yaml
from tests.unit.cli.calls import Mesh, Run

ACCOUNT = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: auditor
  namespace: bookwarehouse
"""
TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: audit, namespace: bookwarehouse}
spec:
  destination: {kind: ServiceAccount, name: bookwarehouse, namespace: bookwarehouse}
  rules: [{kind: HTTPRouteGroup, name: routes, matches: [audit]}]
  sources: [{kind: ServiceAccount, name: auditor, namespace: bookwarehouse}]
"""
BROKEN = "apiVersion: v1\nkind: Service\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "manifests"
    directory.mkdir()
    (directory / "a.yaml").write_text(ACCOUNT)
    (directory / "b.yml").write_text(TARGET.rstrip("\n"))
    (directory / ".hidden.yaml").write_text("not: [yaml")
    (directory / "notes.txt").write_text("not: [yaml")
    below = directory / "below"
    below.mkdir()
    (below / "c.yaml").write_text(ACCOUNT.replace("auditor", "clerk"))
    return directory


def test_apply_says_what_became_of_each_object(mesh: Mesh, run: Run, files: Path) -> None:
    created = "serviceaccount/auditor created\ntraffictarget.access.smi-spec.io/audit created\n"
    assert run("apply", "-f", str(files)) == (0, created, "")
    unchanged = created.replace("created", "unchanged")
    assert run("apply", "-f", str(files)) == (0, unchanged, "")
    (files / "b.yml").write_text(TARGET.replace("[audit]", "[audit, count]"))
    changed = run("apply", "-f", str(files / "b.yml"), "-f", str(files / "a.yaml"))
    assert changed.out == (
        "traffictarget.access.smi-spec.io/audit configured\nserviceaccount/auditor unchanged\n"
    )


def test_a_dry_run_says_so_and_changes_nothing(mesh: Mesh, run: Run, files: Path) -> None:
    before = mesh.api.objects()
    result = run("apply", "--dry-run", "-f", str(files / "a.yaml"))
    assert result == (0, "serviceaccount/auditor created (dry run)\n", "")
    assert mesh.api.objects() == before


def test_apply_reads_stdin(mesh: Mesh, run: Run) -> None:
    result = run("apply", "-f", "-", "-o", "name", stdin=ACCOUNT.encode())
    assert result == (0, "serviceaccount/auditor\n", "")


def test_apply_reads_a_manifest_of_the_demo(mesh: Mesh, run: Run) -> None:
    result = run("apply", "-f", "demo:allow-bookthief")
    assert result.code == 0
    assert "traffictarget.access.smi-spec.io/bookstore configured\n" in result.out


def test_apply_looks_below_directories_only_when_asked(mesh: Mesh, run: Run, files: Path) -> None:
    assert "clerk" not in run("apply", "-f", str(files), "--dry-run").out
    assert "serviceaccount/clerk created" in run("apply", "-R", "-f", str(files)).out


def test_a_mistake_is_shown_with_its_own_file_and_line(mesh: Mesh, run: Run, files: Path) -> None:
    before = mesh.api.objects()
    (files / "b.yml").write_text("# a comment\n\n" + BROKEN)
    result = run("apply", "-f", str(files))
    assert result.code == 1
    assert result.out == ""
    assert f"{files}/b.yml:3: an object needs apiVersion" in result.err
    assert "nothing was changed" in result.err
    assert mesh.api.objects() == before


def test_yaml_that_cannot_be_read_is_shown_with_its_line(mesh: Mesh, run: Run, files: Path) -> None:
    (files / "b.yml").write_text("a: 1\nb: [\n")
    result = run("apply", "-f", str(files))
    assert (result.code, result.out) == (1, "")
    assert f"{files}/b.yml:" in result.err


def test_delete_by_name_needs_the_namespace(mesh: Mesh, run: Run) -> None:
    assert run("delete", "tt", "bookstore").code == 2
    assert run("delete", "tt", "bookstore", "-n", "bookstore") == (
        0,
        "traffictarget.access.smi-spec.io/bookstore deleted\n",
        "",
    )
    assert (
        "TrafficTarget bookstore/bookstore does not exist"
        in run("delete", "traffictargets", "bookstore", "-n", "bookstore").err
    )


def test_delete_takes_the_objects_of_files(mesh: Mesh, run: Run, files: Path) -> None:
    run("apply", "-f", str(files))
    result = run("delete", "-f", str(files))
    assert result.code == 0
    assert result.out == (
        "serviceaccount/auditor deleted\ntraffictarget.access.smi-spec.io/audit deleted\n"
    )
    assert run("delete", "-f", str(files)).code == 2
    assert run("delete", "-f", str(files), "--ignore-not-found") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        (("tt", "-A"), "NAMESPACE NAME DESTINATION SOURCES RULES STATUS"),
        (("trafficsplits", "-n", "bookstore"), "NAME SERVICE BACKENDS STATUS"),
        (("svc", "-A"), "NAMESPACE NAME TYPE CLUSTER-IP PORTS STATUS"),
        (("httproutegroup", "-A", "-o", "wide"), "NAMESPACE NAME MATCHES STATUS WHERE"),
        (("pods", "-A"), "NAMESPACE NAME READY STATUS RESTARTS"),
        (("meshconfig", "-A"), "NAMESPACE NAME MODE EGRESS STATUS"),
    ],
)
def test_get_shows_a_table_with_the_kinds_columns(
    shared_mesh: Mesh, run: Run, arguments: tuple[str, ...], headers: str
) -> None:
    result = run("get", *arguments)
    assert result.code == 0
    assert result.out.splitlines()[0].split() == headers.split()
    assert all(line == line.rstrip() for line in result.out.splitlines())


def test_the_table_of_traffic_targets_says_who_may_do_what(mesh: Mesh, run: Run) -> None:
    run("apply", "-f", "demo:access")
    lines = run("get", "tt", "-n", "bookstore").out.splitlines()
    row = next(line.split() for line in lines if line.startswith("bookstore "))
    assert row[1:3] == ["bookstore/bookstore", "bookbuyer/bookbuyer"]
    assert row[3] == "bookstore-service-routes[buy-a-book,books-bought]"


def test_the_table_of_splits_shows_the_weights(mesh: Mesh, run: Run) -> None:
    run("apply", "-f", "demo:split-50-50")
    assert "bookstore-v1=50,bookstore-v2=50" in run("get", "ts", "-n", "bookstore").out


def test_pods_are_the_workloads_that_run(shared_mesh: Mesh, run: Run) -> None:
    lines = run("get", "pods", "-A").out.splitlines()
    assert len(lines) == 1 + len(shared_mesh.api.view().workloads)
    mysql = next(line.split() for line in lines if "mysql-0" in line)
    assert mysql == ["bookwarehouse", "mysql-0", "2/2", "Running", "1"]


def test_get_all_names_each_object_with_its_kind(shared_mesh: Mesh, run: Run) -> None:
    result = run("get", "all", "-A")
    assert "service/bookstore-v1 " in result.out
    assert "pod/bookbuyer " in result.out
    assert "trafficsplit.split.smi-spec.io/bookstore-split" in result.out
    assert result.out.count("NAMESPACE") > 4


def test_one_named_object_is_printed_alone_and_several_as_a_list(mesh: Mesh, run: Run) -> None:
    run("apply", "-f", "-", stdin=TARGET.encode())
    one = run("get", "tt", "audit", "-n", "bookwarehouse", "-o", "yaml")
    assert yaml.safe_load(one.out) == yaml.safe_load(TARGET)
    many = json.loads(run("get", "tt", "-A", "-o", "json").out)
    assert (many["kind"], many["apiVersion"]) == ("List", "v1")
    assert yaml.safe_load(TARGET) in many["items"]


def test_a_pod_as_json_has_the_fields_that_programs_ask_for(shared_mesh: Mesh, run: Run) -> None:
    pod = json.loads(run("get", "pod", "bookbuyer", "-n", "bookbuyer", "-o", "json").out)
    assert pod["metadata"]["namespace"] == "bookbuyer"
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["conditions"] == [{"type": "Ready", "status": "True"}]


def test_names_are_printed_for_scripts(shared_mesh: Mesh, run: Run) -> None:
    result = run("get", "svc,ts", "-n", "bookstore", "-o", "name")
    assert result.out.splitlines() == [
        "service/bookstore",
        "service/bookstore-v1",
        "service/bookstore-v2",
        "trafficsplit.split.smi-spec.io/bookstore-split",
    ]


def test_an_empty_namespace_is_no_error_and_says_where_to_look(shared_mesh: Mesh, run: Run) -> None:
    result = run("get", "tt")
    assert (result.code, result.out) == (0, "")
    assert result.err == (
        "No resources found in default namespace.\n"
        "  There are 3 in other namespaces: use -A, or -n NAME.\n"
    )


def test_a_name_that_does_not_exist_is_an_error(shared_mesh: Mesh, run: Run) -> None:
    result = run("get", "tt", "nobody", "-n", "bookstore")
    assert result.code == 2
    assert "There is no tt nobody in the namespace bookstore." in result.err
