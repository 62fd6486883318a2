"""`osm migrate check` with files, as a person and as a program sees it."""

import json
from pathlib import Path

import pytest
import yaml
from tests.unit.cli.calls import Run
from tests.unit.migrate.former import Document, deployments, namespace, object_, pod

from osm.cli.migrate_report import exit_code
from osm.core.migrate.report import Report

TO_DO = (
    "Annotate it openservicemesh.io/sidecar-injection: disabled, and let it in by IngressBackends."
)


def write(path: Path, *documents: Document) -> str:
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def windows_pods(count: int) -> list[Document]:
    system = {"kubernetes.io/os": "windows"}
    return [pod(f"win-{number}", "shop", nodeSelector=system) for number in range(count)]


def test_what_is_said_of_many_objects_is_said_once(run: Run, tmp_path: Path) -> None:
    documents = [*deployments(), namespace("shop"), *windows_pods(7)]
    result = run("migrate", "check", write(tmp_path / "old.yaml", *documents))
    assert (result.code, result.err) == (1, "")
    _, _, after = result.out.partition("Not supported (7)\n")
    assert after.splitlines()[:8] == [
        "  there is no proxy for Windows: with injection enabled the pod is refused [windows-pod]",
        *(f"    at Pod shop/win-{number} spec.nodeSelector" for number in range(5)),
        "    and 2 more objects (-o json names all)",
        "    do: " + TO_DO,
    ]


def test_nothing_that_is_unsupported_is_a_success(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "old.yaml", *deployments())
    result = run("migrate", "check", file, "-o", "json")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert set(report) == {"found", "unseen", "entries", "plans"}
    assert set(report["entries"][0]) == {
        "severity",
        "code",
        "object",
        "field",
        "message",
        "toDo",
    }
    assert yaml.safe_load(run("migrate", "check", file, "-o", "yaml").out) == report


def test_what_could_not_be_looked_at_is_no_success() -> None:
    nothing_wrong = Report(("mesh osm",), (), ())
    assert exit_code(nothing_wrong, ()) == 0
    assert exit_code(nothing_wrong, ("all Secret: You may not do this",)) == 1


def test_lists_of_kubectl_are_taken_apart(run: Run, tmp_path: Path) -> None:
    """Of `kubectl get -o yaml`, and of `kubectl get --raw`, whose items have no kind of their own."""
    one = write(tmp_path / "one.yaml", *deployments())
    listed = object_("v1", "List", "", items=deployments())
    raw = {
        "apiVersion": "apps/v1",
        "kind": "DeploymentList",
        "items": [
            {name: part for name, part in each.items() if name not in ("apiVersion", "kind")}
            for each in deployments()
        ],
    }
    expected = run("migrate", "check", one).out
    assert run("migrate", "check", write(tmp_path / "list.yaml", listed)).out == expected
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    assert run("migrate", "check", str(tmp_path / "raw.json")).out == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("\0", "cannot be read"),
        ("- a\n- b\n", "no control plane of OSM"),
        ("", "no control plane of OSM"),
    ],
)
def test_what_is_no_installation(run: Run, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "old.yaml").write_text(content)
    result = run("migrate", "check", str(tmp_path / "old.yaml"))
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    result = run("migrate", "check", str(tmp_path / "none.yaml"))
    assert result.code == 2 and "none.yaml cannot be read: No such file" in result.err
