"""`--set` is read as Helm reads it: the same texts are given to both."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.chart.helm_command import KUBERNETES, Helm

from osm.core.install.set_text import with_set
from osm.core.install.values_reading import Tree
from osm.errors import UsageError

BASE: Tree = {"l": [1, {"k": "v"}, [2]], "m": {"n": {"o": 1}}, "t": "text"}
TEXTS = (
    "a=1", "a=01", "a=-1", "a=0", "a=1.5", "a=1e3", "a=99999999999999999999", "a=true", "a=TRUE", "a=Null",
    "a=", "a=[]", "a=b=c", "a=b,c=d", "a=b,", "a", "a,b=1", "a.b=1", "a..b=1", "a.=1", "a\\.b=1",
    "a=b\\,c", "a=\\1", "a\\=b=1", "a={ }", "a={b}", "a={b,c}", "a={1,true,x}", "a={b,}", "a={,}", "a={b",
    "a={b},c=1", "a={b}c", "a={b\\,c}", "a[0]=1", "a[1]=1", "a[0].b=1", "a[0][1]=1", "a[x]=1", "a[-1]=1",
    "a[]=1", "a[0=1", "a[0]b=1", "l[0]=9", "l[1].k=w", "l[1].x=y", "l[2][0]=3", "l[5]=1", "l.x=1", "l[0].x=1",
    "m.n=null", "m.n.o=null", "m.n.p=2", "m[0]=1", "t.x=1", "t[0]=1", "a[0]={b}", "a={{b}}", "a= b", " a=b",
    "a=b c", "a={ b, c }", "a=é", "a=[1]", "a=b}", "a={b}}", "a[65537]=1", "a\\=1", "a=1\\", "a={1\\",
    "{a}=1", "a[0],b=1", "a.b", "a.b,c=1", "a.b=1,a.c=2", "a=1,a=2", "a=1,a.b=2", "a.b=1,a=2",
    "a[1]=1,a[0]=2",
)  # fmt: skip
STRINGS = (
    "a=1",
    "a=true",
    "a=null",
    "a={1,true}",
    "a[0]=1",
    "l[0]=9",
    "a=b\\,c",
    "m.n.p=2",
    "a={b",
    "a",
)
STRICTER = {"=1", ".a=1", "a[0].=1"}
"""With an empty name, which Helm passes over."""
_SIGNS = st.sampled_from(["a", "b", ".", ",", "=", "=", "[0]", "[1]", "{", "}", "\\", "1", " "])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a chart that shows its values."""
    directory = tmp_path_factory.mktemp("set")
    (directory / "chart/templates").mkdir(parents=True)
    (directory / "chart/Chart.yaml").write_text("{apiVersion: v2, name: shows, version: 1.0.0}")
    (directory / "chart/templates/a.yaml").write_text("values: {{ .Values | toJson | quote }}")
    (directory / "base.json").write_text(json.dumps(BASE))
    return directory


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_read_as_by_helm(text: str, place: Path) -> None:
    assert _ours(text) == _helms(text, place)


@pytest.mark.parametrize("text", STRINGS)
def test_everything_is_text_if_wanted(text: str, place: Path) -> None:
    assert _ours(text, strings=True) == _helms(text, place, strings=True)


@pytest.mark.parametrize("text", sorted(STRICTER))
def test_an_empty_name_is_refused(text: str, place: Path) -> None:
    assert _ours(text) == "refused"
    assert _helms(text, place) != "refused"


def test_an_empty_list_is_empty(place: Path) -> None:
    assert with_set({}, "a={}") == {"a": []}
    helms = _helms("a={}", place)
    assert isinstance(helms, dict)
    assert helms["a"] == [""]


@given(st.lists(_SIGNS, max_size=10).map(lambda parts: "a" + "".join(parts)))
@settings(max_examples=60)
def test_what_is_taken_is_read_as_by_helm(place: Path, text: str) -> None:
    """Any text. What is refused here, Helm may take for nothing, as it does an empty name."""
    ours = _ours(text)
    assume(ours != "refused" and "{}" not in text)
    assert ours == _helms(text, place)


def _ours(text: str, *, strings: bool = False) -> object:
    try:
        return _without_none(with_set(BASE, text, strings=strings))
    except UsageError:
        return "refused"


def _helms(text: str, place: Path, *, strings: bool = False) -> object:
    option = "--set-string" if strings else "--set"
    arguments = ("-f", "base.json", option, text, "--kube-version", KUBERNETES)
    done = Helm(place).run("template", "x", "chart", *arguments)
    if done.returncode:
        assert "failed parsing --set" in done.stderr, done.stderr
        return "refused"
    line = next(line for line in done.stdout.splitlines() if line.startswith("values: "))
    return _without_none(json.loads(json.loads(line.removeprefix("values: "))))


def _without_none(value: Any) -> object:
    """A null takes a default away, and there are none here."""
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value
