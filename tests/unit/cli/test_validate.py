"""`osm validate`: what it reads, what it prints, and what its exit code says."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from tests.unit.cli.calls import Run

from osm.cli import finding_report
from osm.cli.finding_pages import list_pages

GOOD = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
SPLIT = """\
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata:
  name: {name}
  namespace: {namespace}
spec:
  service: books
  backends:
    - service: books-v1
      weight: {weight}
"""


def split(weight: str, name: str = "books", namespace: str = "shop") -> str:
    """A split that is wrong with `90%`, worth a warning with `0`, and right with `1`."""
    return SPLIT.format(name=name, namespace=namespace, weight=weight)


ERROR, WARNING, RIGHT = split("90%"), split("0"), split("1")
BAD_NAMESPACE = GOOD + "  labels: {team: 'a, b'}\n"
NOTE = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: tidy, namespace: shop}\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def codes(printed: str) -> list[str]:
    return [line[-7:-1] for line in printed.splitlines() if line.endswith("]")]


def test_what_is_right_is_said_to_be_right(run: Run) -> None:
    Path("a.yaml").write_text(f"{GOOD}---\n{RIGHT}")
    assert run("validate", "a.yaml") == (0, "", "No findings in 2 objects of 1 file.\n")


def test_each_finding_has_its_place_and_a_hint_and_the_worst_come_first(run: Run) -> None:
    Path("b.yaml").write_text(f"{WARNING}---\n{split('90%', 'other')}")
    Path("a.yaml").write_text(f"{GOOD}---\n{split('-1', 'third')}")

    result = run("validate", "b.yaml", "a.yaml")

    assert result.code == 1
    assert result.out == (
        "a.yaml:15: error: TrafficSplit shop/third spec.backends[0].weight: "
        "a weight must be 0 or more, not -1 [OSM133]\n"
        "b.yaml:21: error: TrafficSplit shop/other spec.backends[0].weight: "
        "'90%' is no weight [OSM133]\n"
        "  Weights are numbers such as 50, or quantities such as 500m.\n"
        "b.yaml:8: warning: TrafficSplit shop/books spec.backends: "
        "all weights are 0, so every request is answered with 503 [OSM144]\n"
        "  Give one backend a weight above 0.\n"
    )
    first, second = result.err.splitlines()
    assert first == "2 errors, 1 warning in 4 objects of 2 files."
    assert "docs/findings/" in second
    assert "osm analyze --page OSM133" in second


def test_lines_are_sorted_as_numbers(run: Run) -> None:
    Path("a.yaml").write_text("---\n".join(split("90%", f"books-{n}") for n in range(3)))
    lines = [line.split(":")[1] for line in run("validate", "a.yaml").out.splitlines()[::2]]
    assert lines == ["10", "21", "32"]


def test_a_directory_means_what_it_means_to_a_mesh(run: Run) -> None:
    for name in ("a.yaml", "deep/er/b.yml", "notes.txt", ".hidden.yaml", ".git/c.yaml"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ERROR.replace("name: books\n", f"name: {path.stem.strip('.')}\n"))
    result = run("validate", ".")
    assert [line.split(":")[0] for line in result.out.splitlines()[::2]] == [
        "a.yaml",
        "deep/er/b.yml",
    ]
    assert result.err.startswith("2 errors in 2 objects of 2 files.")


def test_a_file_that_is_named_may_be_called_anything_and_be_json(run: Run) -> None:
    Path("books").write_text(json.dumps(yaml.safe_load(ERROR)))
    assert codes(run("validate", "books").out) == ["OSM133"]


def test_the_standard_input_and_pipes_are_read(run: Run) -> None:
    assert run("validate", "-", stdin=ERROR.encode()).out.startswith("stdin:10: error: ")
    assert run("validate", "-", "-", stdin=ERROR.encode()).out.startswith("stdin:10: error: ")
    os.mkfifo("pipe")
    writing = threading.Thread(target=Path("pipe").write_text, args=(ERROR,))
    writing.start()
    result = run("validate", "pipe")
    writing.join()
    assert result.out.startswith("pipe:10: error: ")


def test_an_object_in_two_files_is_told(run: Run) -> None:
    Path("a.yaml").write_text(GOOD)
    Path("b.yaml").write_text(GOOD)
    result = run("validate", ".")
    assert (result.code, codes(result.out)) == (0, ["OSM014"])


@pytest.mark.parametrize(
    ("content", "arguments", "code", "shown"),
    [
        (ERROR, (), 1, ["OSM133"]),
        (WARNING, (), 0, ["OSM144"]),
        (NOTE, (), 0, ["OSM106"]),
        (WARNING, ("--failure-threshold", "warning"), 1, ["OSM144"]),
        (NOTE, ("--failure-threshold", "warning"), 0, ["OSM106"]),
        (NOTE, ("--failure-threshold", "info"), 1, ["OSM106"]),
        (NOTE, ("--severity", "warning"), 0, []),
        (WARNING, ("--severity", "error"), 0, []),
        # What is not shown still counts.
        (WARNING, ("--severity", "error", "--failure-threshold", "warning"), 1, []),
        (ERROR, ("--suppress", "OSM133"), 0, []),
        (ERROR, ("--suppress", "OSM144"), 1, ["OSM133"]),
        (ERROR, ("--suppress", "OSM133=TrafficSplit/shop/books"), 0, []),
        (ERROR, ("--suppress", "OSM133=TrafficSplit/*/books"), 0, []),
        (ERROR, ("--suppress", "OSM133=TrafficSplit/shop/others"), 1, ["OSM133"]),
        (ERROR, ("--suppress", "OSM144", "--suppress", "OSM133"), 0, []),
        (ERROR, ("-n", "shop"), 1, ["OSM133"]),
        (ERROR, ("-n", "elsewhere"), 0, []),
        (ERROR, ("-A",), 1, ["OSM133"]),
        (BAD_NAMESPACE, ("-n", "shop"), 1, ["OSM122"]),
        (BAD_NAMESPACE, ("-n", "elsewhere"), 0, []),
        (ERROR.replace("TrafficSplit", "Trafficsplit"), ("-n", "shop"), 1, ["OSM104"]),
        (ERROR.replace("TrafficSplit", "Trafficsplit"), ("-n", "elsewhere"), 0, []),
        # What cannot be read may be in any namespace, and so may an object without one.
        ("kind: Service", ("-n", "elsewhere"), 1, ["OSM101"]),
        ("a: [", ("-n", "elsewhere"), 1, ["OSM005"]),
    ],
)
def test_options_choose_what_is_shown_and_what_counts(
    run: Run, content: str, arguments: tuple[str, ...], code: int, shown: list[str]
) -> None:
    Path("a.yaml").write_text(content)
    result = run("validate", "a.yaml", *arguments)
    assert (result.code, codes(result.out)) == (code, shown)


def test_what_has_no_name_is_told_by_what_it_has(run: Run) -> None:
    result = run("validate", "-", stdin=b"kind: Service")
    assert result.out.startswith("stdin:1: error: Service: `apiVersion` is missing [OSM101]\n")
    assert result.err.startswith("1 error in 1 file.\n")


def test_what_was_suppressed_is_counted(run: Run) -> None:
    Path("a.yaml").write_text(ERROR)
    result = run("validate", "a.yaml", "--suppress", "OSM133")
    assert result.err == "No findings (1 suppressed) in 1 object of 1 file.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "FILE"),
        (("empty",), "no objects"),
        (("",), "not the name of a file"),
        (("a.yaml", "-n", "shop", "-A"), "cannot be used together"),
        (("a.yaml", "--suppress", "133"), "OSM301=TrafficTarget/bookstore/*"),
        (("a.yaml", "--severity", "fatal"), "fatal"),
        (("demo:nothere",), "nothere"),
        (("--page", "OSM999"), "--list-codes"),
        (("--page", "../README"), "--list-codes"),
    ],
)
def test_what_cannot_be_checked_is_no_success(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    Path("a.yaml").write_text(GOOD)
    Path("empty").mkdir()
    result = run("validate", *arguments)
    assert (result.code, result.out) == (2, "")
    assert words in result.err


def test_a_file_that_is_not_there_is_a_finding_beside_the_others(run: Run) -> None:
    Path("a.yaml").write_text(ERROR)
    result = run("validate", "a.yaml", "nothere.yaml")
    assert (result.code, codes(result.out)) == (1, ["OSM133", "OSM001"])


def test_json_and_yaml_have_every_part(run: Run) -> None:
    Path("a.yaml").write_text(f"{ERROR}---\n{NOTE}")
    result = run("validate", "a.yaml", "-o", "json")
    answer = json.loads(result.out)
    assert (result.code, result.err) == (1, "")
    assert answer["findings"][0] == {
        "code": "OSM133",
        "severity": "error",
        "group": "split.smi-spec.io",
        "kind": "TrafficSplit",
        "namespace": "shop",
        "name": "books",
        "field": "spec.backends[0].weight",
        "file": "a.yaml",
        "line": 10,
        "message": "'90%' is no weight",
        "hint": "Weights are numbers such as 50, or quantities such as 500m.",
        "page": "docs/findings/OSM133.md",
    }
    assert [each["code"] for each in answer["findings"]] == ["OSM133", "OSM106"]
    assert answer["summary"] == {
        "errors": 1,
        "warnings": 0,
        "infos": 1,
        "suppressed": 0,
        "lookedAt": "2 objects of 1 file",
        "failed": True,
    }
    assert yaml.safe_load(run("validate", "a.yaml", "-o", "yaml").out) == answer
    clean = json.loads(run("validate", "-", "-o", "json", stdin=GOOD.encode()).out)
    assert (clean["findings"], clean["summary"]["failed"]) == ([], False)


def test_codes_and_pages_can_be_read_without_files(run: Run) -> None:
    listed = run("validate", "--list-codes")
    assert listed.code == 0
    assert [line[:6] for line in listed.out.splitlines()[1:]] == [p.code for p in list_pages()]
    assert "OSM133  error" in listed.out
    page = run("validate", "--page", "osm133")
    assert page.code == 0
    assert page.out.startswith("# OSM133: ")
    assert "## Good" in page.out


def test_nothing_that_was_written_reaches_the_terminal_as_a_command(run: Run) -> None:
    Path("a.yaml").write_text(RIGHT.replace("weight: 1", r'weight: "\e[2J\n\u202E"'))
    result = run("validate", "a.yaml")
    assert (result.code, codes(result.out)) == (1, ["OSM133"])
    assert "\x1b" not in result.out + result.err
    assert "\u202e" not in result.out + result.err


def test_severities_have_colours_on_a_terminal_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.yaml").write_text(ERROR)
    assert "\x1b" not in run("validate", "a.yaml").out
    monkeypatch.setattr(
        finding_report, "paint", lambda text, colour, *_, **__: f"<{colour}>{text}</>"
    )
    result = run("validate", "a.yaml")
    assert "a.yaml:10: <red>error:</> TrafficSplit" in result.out
    assert "<red>1 error in " in result.err


def test_it_starts_without_what_only_a_mesh_needs() -> None:
    slow = ("asyncio", "httpx2", "rich", "starlette", "uvicorn", "grpc", "cryptography", "google")
    code = (
        "import sys\nfrom osm.cli.main import main\n"
        "code = main(['validate', 'a.yaml'])\n"
        f"print(sorted(set({slow!r}) & set(sys.modules)))\n"
        "sys.exit(code)"
    )
    Path("a.yaml").write_text(GOOD)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"
