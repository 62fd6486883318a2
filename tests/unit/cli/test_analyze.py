"""`osm analyze`: of files and of a running mesh. What it finds is told in `tests/unit/findings`."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.calls import Mesh, Run, mesh_after

from osm.core.explain.view import MeshView
from osm.core.model.origin import Finding, Origin, Severity
from osm.demo.scenario import NAMED_MANIFESTS as NAMED
from osm.demo.scenario import SCENARIOS, copy_scenario, flat_name, next_steps, read_manifest

TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata:
  name: bookthief
  namespace: bookstore
spec:
  destination: {kind: ServiceAccount, name: bookstore, namespace: bookstore}
  rules:
    - {kind: HTTPRouteGroup, name: nothere}
  sources:
    - {kind: ServiceAccount, name: bookthief, namespace: bookthief}
"""
FOUND = (
    Finding(
        "OSM904", Severity.WARNING, None, "the root certificate expires within 7 days", "Hurry."
    ),
    Finding(
        "OSM301",
        Severity.ERROR,
        Origin("TrafficTarget", "bookstore", "bookstore", "spec.rules[0]", "access.smi-spec.io"),
        "HTTPRouteGroup bookstore/nothere does not exist, so this rule grants nothing",
        "Create it.",
        "/mesh/access.yaml:12",
    ),
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def codes(printed: str) -> list[str]:
    return [line[-7:-1] for line in printed.splitlines() if line.endswith("]")]


def finding(mesh_view: MeshView, *found: Finding) -> MeshView:
    return msgspec.structs.replace(mesh_view, findings=found)


# Files


def test_what_one_object_cannot_show_by_itself_is_found(run: Run, directory: Path) -> None:
    Path("target.yaml").write_text(TARGET)
    assert run("validate", "target.yaml").code == 0
    result = run("analyze", "demo:bookstore", "target.yaml")
    assert result.code == 1
    assert result.out.startswith(
        "target.yaml:1: error: TrafficTarget bookstore/bookthief spec.rules[0]: "
        "HTTPRouteGroup bookstore/nothere does not exist"
    )
    assert result.err.startswith("1 error in 26 objects of 2 files.\n")


def test_an_object_with_an_error_is_told_once_and_is_not_part_of_the_whole(
    run: Run, directory: Path
) -> None:
    Path("target.yaml").write_text(TARGET.replace("kind: ServiceAccount", "kind: Pod", 1))
    answer = json.loads(run("analyze", "demo:bookstore", ".", "-o", "json").out)
    assert [each["code"] for each in answer["findings"]] == ["OSM140"]


def test_what_is_wrong_for_this_machine_only_has_its_place(run: Run, directory: Path) -> None:
    copy_scenario("policies", directory)
    store = directory / "bookstore.yaml"
    store.write_text(store.read_text().replace("          command:", "          # command:"))
    answer = json.loads(run("analyze", ".", "-o", "json").out)
    found = [(each["code"], each["file"]) for each in answer["findings"]]
    assert ("OSM402", "bookstore.yaml") in found
    assert all(each["line"] for each in answer["findings"])


def states() -> list[tuple[str, int]]:
    """Every scenario of the demo, after each number of the steps that it proposes."""
    return [
        (name, count) for name in SCENARIOS for count in range(1 + len(next_steps(name)))
    ]  # fmt: skip


@pytest.mark.parametrize(("scenario", "steps"), states())
def test_there_is_nothing_to_say_of_the_bookstore_whatever_was_tried(
    run: Run, directory: Path, scenario: str, steps: int
) -> None:
    copy_scenario(scenario, directory)
    for step in next_steps(scenario)[:steps]:
        apply, _, name = step.command.partition("demo:")
        if name:
            assert apply == "osm apply -f "
            (directory / flat_name(NAMED[name])).write_text(read_manifest(NAMED[name]))

    result = run("analyze", ".")

    assert result.code == 0
    everybody = (directory / "mesh-config.yaml").read_text() == read_manifest(NAMED["permissive"])
    if everybody and (directory / "traffic-access.yaml").exists():
        # Access policies that have no effect any more: that is what was asked for.
        assert codes(result.out) == ["OSM323"]
    else:
        assert result.out == ""
        assert result.err.startswith("No findings in ")


# A running mesh


def test_a_mesh_that_is_well_gives_nothing_to_say(
    run: Run, start_mesh: Callable[..., Mesh]
) -> None:
    start_mesh(api=mesh_after(42, finding))
    result = run("analyze")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("No findings in ")
    assert result.err.endswith(" objects of mesh osm.\n")


def test_a_running_mesh_tells_what_it_found(run: Run, start_mesh: Callable[..., Mesh]) -> None:
    start_mesh(api=mesh_after(42, lambda view: finding(view, *FOUND)))
    result = run("analyze")
    assert result.code == 1
    assert result.out == (
        "/mesh/access.yaml:12: error: TrafficTarget bookstore/bookstore spec.rules[0]: "
        "HTTPRouteGroup bookstore/nothere does not exist, so this rule grants nothing [OSM301]\n"
        "  Create it.\n"
        "warning: the root certificate expires within 7 days [OSM904]\n"
        "  Hurry.\n"
    )
    only = run("analyze", "--suppress", "OSM301=TrafficTarget/bookstore/*")
    assert only.code == 0
    assert only.out.startswith("warning: ")
    assert run("analyze", "-n", "bookbuyer", "--severity", "error").out == ""


def test_several_meshes_are_told_apart(run: Run, start_mesh: Callable[..., Mesh]) -> None:
    start_mesh("one", mesh_after(42, finding))
    start_mesh("two", mesh_after(42, lambda view: finding(view, *FOUND)))
    assert run("analyze").code == 2
    assert run("analyze", "--mesh", "one").code == 0
    assert run("analyze", "--mesh", "two").code == 1


def test_without_files_and_without_a_mesh_there_is_nothing_to_look_at(run: Run) -> None:
    result = run("analyze")
    assert (result.code, result.out) == (2, "")
    assert "No mesh is running" in result.err
    assert "osm analyze DIRECTORY" in result.err
