"""`osm install`, `upgrade`, `uninstall` and `check` before any cluster is asked."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.check.facts_of import WELL, facts
from tests.unit.cli.calls import Run

from osm import __version__
from osm.cli.check_report import print_results, read_page, result_lines
from osm.cli.install_options import PRESETS
from osm.cli.uninstall_run import is_confirmed
from osm.core.check.facts import Unseen
from osm.core.check.outcome import Result, State
from osm.core.check.run import run_checks
from osm.core.install import presets
from osm.core.install.names import Installation


def printed(run: Run, *arguments: str, stdin: bytes = b"") -> dict[str, dict[str, Any]]:
    """What a dry run prints, by kind and name."""
    result = run("install", "--dry-run", *arguments, stdin=stdin)
    assert result.code == 0, result.err
    return {
        f"{each['kind']}/{each['metadata']['name']}": each
        for each in yaml.safe_load_all(result.out)
    }


def container(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment/osm-controller"]["spec"]["template"]["spec"]
    return dict(found["containers"][0])


def test_the_presets_on_offer_are_those_that_there_are() -> None:
    assert tuple(presets.PRESETS) == PRESETS


def test_the_namespace_comes_first_and_the_record_last(run: Run) -> None:
    kinds = [each.partition("/")[0] for each in printed(run)]
    assert kinds[0] == "Namespace"
    last_definition = len(kinds) - kinds[::-1].index("CustomResourceDefinition") - 1
    assert kinds.index("ServiceAccount") > last_definition
    assert kinds[-1] == "ConfigMap"


def test_later_values_win_over_files_and_files_over_presets(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("osm: {image: {tag: one, registry: mine}, osmController: {replicaCount: 2}}")
    second.write_text("osm: {image: {tag: two}}")
    files = ("-f", str(first), "--values", str(second))
    objects = printed(run, "--preset", "ha", *files)
    assert container(objects)["image"] == "mine/osm-controller:two"
    assert objects["Deployment/osm-controller"]["spec"]["replicas"] == 2
    set_ = printed(run, *files, "--set", "osm.image.tag=three,osm.image.registry=r")
    assert container(set_)["image"] == "r/osm-controller:three"
    as_text = printed(run, "--set-string", "osm.image.tag=7")
    assert container(as_text)["image"].endswith(":7")
    piped = printed(run, "-f", "-", stdin=b"osm: {image: {tag: piped}}")
    assert container(piped)["image"].endswith(":piped")
    record = json.loads(set_["ConfigMap/osm-installation"]["data"]["values.json"])
    assert record["osm"]["image"] == {"tag": "three", "registry": "r"}


@pytest.mark.parametrize(
    ("arguments", "mesh", "namespace", "single"),
    [
        ((), "osm", "osm-system", "true"),
        (("--mesh-name", "a", "--osm-namespace", "b"), "a", "b", "true"),
        (("--set", "osm.meshName=a,osm.osmNamespace=b"), "a", "b", "true"),
        (("--mesh-name", "c", "--set", "osm.meshName=a"), "c", "osm-system", "true"),
        (("--enforce-single-mesh=false",), "osm", "osm-system", "false"),
        (("--set", "osm.enforceSingleMesh=false"), "osm", "osm-system", "false"),
        (("--enforce-single-mesh", "--set", "osm.enforceSingleMesh=false"), "osm", "osm-system",
         "true"),
    ],
)  # fmt: skip
def test_names_are_options_and_values_and_options_win(
    run: Run, arguments: tuple[str, ...], mesh: str, namespace: str, single: str
) -> None:
    objects = printed(run, *arguments)
    metadata = objects["Deployment/osm-controller"]["metadata"]
    assert metadata["namespace"] == namespace
    assert (metadata["labels"]["meshName"], metadata["labels"]["enforceSingleMesh"]) == (
        mesh, single
    )  # fmt: skip
    assert metadata["labels"]["app.kubernetes.io/version"] == __version__
    assert f"Namespace/{namespace}" in objects


def test_a_mesh_does_not_take_over_from_itself(run: Run) -> None:
    refused = run("install", "--dry-run", "--set", "osm.formerMeshName=osm")
    assert refused.code == 1
    assert "a mesh cannot take over from itself: both are called osm" in refused.err
    objects = printed(run, "--mesh-name", "next", "--set", "osm.formerMeshName=osm")
    assert "--former-mesh-name=osm" in container(objects)["args"]
    assert not any("former" in each for each in container(printed(run))["args"])


def test_json_is_one_list_that_kubectl_takes_and_yaml_has_the_same(run: Run) -> None:
    listed = json.loads(run("install", "--dry-run", "-o", "json").out)
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List")
    documents = run("install", "--dry-run").out
    assert documents.startswith("---\n")
    assert list(yaml.load_all(documents, yaml.CSafeLoader)) == listed["items"]


def test_a_value_of_osms_that_does_nothing_is_remarked_on_stderr(run: Run) -> None:
    result = run("install", "--dry-run", "--set", "osm.deployPrometheus=true")
    assert result.code == 0
    assert result.err.startswith("Warning: osm.deployPrometheus has no effect: ")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--atomic", "--no-wait"), 2, "--atomic waits"),
        (("--timeout", "soon"), 2, "'soon' is not a duration such as 90s or 5m"),
        (("--timeout", "-1s"), 2, "cannot be negative"),
        (("--mesh-name", "Not_a_name"), 2, "is not the name of a mesh"),
        (("--osm-namespace", "../x"), 2, "is not the name of a namespace"),
        (("--preset", "huge"), 2, "'huge' is not one of"),
        (("--set", "osm.image.tag"), 2, "--set osm.image.tag cannot be read"),
        (("--set", "osm.imagee.tag=1"), 1, "there is no value osm.imagee"),
        (("-f", "not/there.yaml"), 2, "'not/there.yaml' cannot be read"),
        (("-f", "-"), 1, "'-' holds no values"),
        (("extra",), 2, "extra"),
    ],
)
def test_what_cannot_be_understood_is_named(
    run: Run, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    result = run("install", "--dry-run", *arguments, stdin=b"[1, 2]")
    assert (result.code, result.out) == (code, "")
    assert complaint in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("install",),
        ("upgrade",),
        ("mesh", "upgrade"),
        ("uninstall", "mesh", "-f"),
        ("check",),
        ("check", "--pre-install"),
    ],
)
def test_without_a_cluster_it_says_how_one_is_found(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert (result.code, result.out) == (1, "")
    assert "There is no way to a cluster: there is neither " in result.err
    assert "KUBECONFIG" in result.err


def test_osms_other_names_of_uninstall_lead_to_it(run: Run) -> None:
    assert "osm uninstall mesh" in run("delete", "mesh").err
    result = run("del", "mesh", "--help")
    assert result.code == 0
    assert "Remove a mesh from a cluster." in result.out


@pytest.mark.parametrize(
    ("answers", "asked", "yes"),
    [
        ("y\n", 1, True),
        (" YES \n", 1, True),
        ("n\n", 1, False),
        ("\nno\ny\n", 2, False),
        ("yep\n1\ny\n", 3, True),
        ("a\nb\nc\ny\n", 3, False),
        ("", 1, False),
    ],
)
def test_only_yes_is_yes(
    answers: str,
    asked: int,
    yes: bool,  # noqa: FBT001 - a column of the table
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answers))
    assert is_confirmed(Installation("shop", "place")) is yes
    question = "Uninstall OSM [mesh name: shop] in namespace [place] and/or OSM resources? [y/n]: "
    assert capsys.readouterr().out.count(question) == asked


# --- how the outcome of checks is shown


def shown(results: tuple[Result, ...], capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_results(results, "text")
    return capsys.readouterr().out.splitlines()


def test_checks_are_shown_by_group_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    spoiled = facts(
        WELL, services=("osm-controller",), nodes=Unseen("you may not list nodes"), namespaces=()
    )
    lines = shown(run_checks(spoiled, before=False), capsys)
    assert lines[:2] == ["kubernetes-api", "  ✓ the Kubernetes API answers (version v1.35.4)"]
    at = lines.index("  × its Services exist")
    assert lines[at + 1 : at + 5] == [
        "      Service osm-injector is missing",
        "      Service osm-validator is missing",
        "      hint: `osm upgrade` makes them again.",
        "      more: osm check --page services-there",
    ]
    at = lines.index("  - there are nodes on which the mesh can run")
    assert lines[at + 1] == "      you may not list nodes"
    assert "  ! namespaces are in the mesh" in lines
    assert lines[-1] == "1 error, 1 warning in 30 checks. 2 checks could not be made."


def test_when_all_is_well_it_says_so_as_osm_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(run_checks(WELL, before=False), capsys)[-1] == "All checks successful!"


def test_json_has_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    results = run_checks(facts(planes=()), before=False)
    print_results(results, "json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["success"] is False
    assert answer["checks"][-1] == {
        "group": "control-plane",
        "check": "mesh-installed",
        "title": "the mesh is installed",
        "state": "error",
        "details": ["there is no mesh osm in namespace osm-system"],
        "hint": "Install it with `osm install`, or say which one: --mesh-name, --osm-namespace.",
        "page": "docs/reference/check.md#mesh-installed",
    }


def test_what_a_cluster_says_cannot_play_with_the_terminal() -> None:
    result = Result("g", "c", "t", State.ERROR, ("pod \x1b[2J\nx",), "do")
    assert all("\x1b" not in line and "\n" not in line for line in result_lines(result))


def test_a_terminal_without_the_marks_gets_letters(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ascii:
        encoding = "ascii"

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("osm.cli.check_report.sys.stdout", Ascii())
    lines = list(result_lines(Result("g", "c", "fine", State.OK)))
    assert lines == ["  ok fine"]


def test_the_page_about_a_check_can_be_read_without_the_project(run: Run) -> None:
    result = run("check", "--page", "root-lasts")
    assert result.code == 0
    assert result.out.startswith("The root is valid for 60 more days.")
    assert "##" not in "".join(read_page().values())
    wrong = run("check", "--page", "nothing")
    assert wrong.code == 2
    assert "There is no check 'nothing'." in wrong.err
