"""Objects in files: watched while people edit, and edited for them."""

import asyncio
import shutil
from pathlib import Path

import pytest

from osm.core.model.origin import Finding, Severity
from osm.errors import ConfigError, InvalidObjects, UsageError
from osm.local import looks, reading
from osm.local.files import FileSource

from .watched import account, watching, written


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "mesh"
    path.mkdir()
    (path / "a.yaml").write_text(written("a") + "---\n" + written("b"))
    return path


async def test_everything_comes_first_then_each_change(directory: Path) -> None:
    (directory / "below").mkdir()
    (directory / "below" / "c.yml").write_text(written("c"))
    for hidden in (".d.yaml", "e.txt", "f.yaml~"):
        (directory / hidden).write_text(written("d"))
    async with watching(FileSource([directory], directory=directory)) as watched:
        assert watched.labels == {"a": "x", "b": "x", "c": "x"}
        assert watched.objects[account("b")].where == f"{directory}/a.yaml:7"
        (directory / "below" / "c.yml").write_text(written("c", "y"))
        await watched.until({"a": "x", "b": "x", "c": "y"})
        assert [m.key.name for m in watched.changes[-1].applied] == ["c"]


async def test_edits_are_noticed_when_they_happen_and_not_at_the_next_regular_look(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_LOOK_ANYWAY_S", 3600)
    alone = tmp_path / "alone.yaml"
    alone.write_text(written("c"))
    async with watching(FileSource([directory, alone], directory=directory)) as watched:
        for number in range(5):
            (directory / "a.yaml").write_text(written("a", f"n{number}") + "---\n" + written("b"))
            await watched.until({"a": f"n{number}", "b": "x", "c": "x"})
        (tmp_path / "next").write_text(written("c", "y"))
        (tmp_path / "next").rename(alone)
        await watched.until({"a": "n4", "b": "x", "c": "y"})
        alone.unlink()
        await watched.until({"a": "n4", "b": "x"}, ["OSM001"])


async def test_removing_an_object_or_a_file_withdraws_it(directory: Path) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        (directory / "a.yaml").write_text(written("b"))
        await watched.until({"b": "x"})
        (directory / "a.yaml").unlink()
        await watched.until({})


BROKEN = [
    ("a syntax error", written("a") + "---\n" + written("b").replace("{l", "{{l"), "OSM011", 11),
    ("an unreadable document", written("a") + "---\n" + "[: a\n", "OSM005", 7),
    (
        "a schema error",
        written("a") + "---\n" + written("b").replace("{l: x}", "[1]"),
        "OSM112",
        11,
    ),
    ("not text", "\x00\x01", "OSM004", 1),
]


@pytest.mark.parametrize(
    ("text", "code", "line"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
async def test_what_becomes_broken_stays_as_it_was(
    directory: Path, text: str, code: str, line: int
) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        (directory / "a.yaml").write_text(text)
        kept = ["OSM015"] * (2 if code == "OSM004" else 1)
        await watched.until({"a": "x", "b": "x"}, [code, *kept])
        assert watched.findings[0].where == f"{directory}/a.yaml:{line}"
        assert watched.findings[0].severity is Severity.ERROR
        (directory / "a.yaml").write_text(written("a") + "---\n" + written("b", "y"))
        await watched.until({"a": "x", "b": "y"})


async def test_a_broken_file_that_is_deleted_takes_its_objects_with_it(directory: Path) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        (directory / "a.yaml").write_text("a: [")
        await watched.until({"a": "x", "b": "x"}, ["OSM005", "OSM015", "OSM015"])
        (directory / "a.yaml").unlink()
        await watched.until({})


async def test_an_object_that_is_removed_while_another_is_broken_goes(directory: Path) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        (directory / "a.yaml").write_text(written("a").replace("{l: x}", "[1]"))
        await watched.until({"a": "x"}, ["OSM112", "OSM015"])


async def test_a_file_that_is_emptied_and_then_broken_keeps_its_objects(directory: Path) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        for _ in range(5):
            with (directory / "a.yaml").open("w") as stream:
                await asyncio.sleep(0.03)  # long enough to be seen empty
                stream.write("a: [")
            await watched.until({"a": "x", "b": "x"}, ["OSM005", "OSM015", "OSM015"])
            (directory / "a.yaml").write_text(written("a") + "---\n" + written("b"))
            await watched.until({"a": "x", "b": "x"})
        assert not any(change.deleted for change in watched.changes)


async def test_editors_that_put_a_new_file_in_place_cause_no_gap(directory: Path) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        for number in range(10):
            new = directory / ".a.yaml.new"
            new.write_text(written("a", f"n{number}") + "---\n" + written("b"))
            if number % 2:  # as vim does: the old one becomes a backup first
                (directory / "a.yaml").rename(directory / "a.yaml~")
                await asyncio.sleep(0.03)
            new.rename(directory / "a.yaml")
            await watched.until({"a": f"n{number}", "b": "x"})
        assert not any(change.deleted for change in watched.changes)


async def test_a_directory_may_go_and_come_back(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o.yaml").write_text(written("o"))
    async with watching(FileSource([directory, other], directory=directory)) as watched:
        shutil.rmtree(other)
        await watched.until({"a": "x", "b": "x"}, ["OSM001"])
        other.mkdir()
        (other / "o.yaml").write_text(written("o", "y"))
        await watched.until({"a": "x", "b": "x", "o": "y"})
        await asyncio.sleep(0.1)
        (other / "o.yaml").write_text(written("o", "z"))
        await watched.until({"a": "x", "b": "x", "o": "z"})


async def test_a_directory_below_may_be_made_with_its_files(directory: Path) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        (directory / "p" / "q").mkdir(parents=True)
        (directory / "p" / "q" / "n.yaml").write_text(written("n"))
        await watched.until({"a": "x", "b": "x", "n": "x"})


async def test_a_file_that_is_named_alone_is_watched_too(tmp_path: Path) -> None:
    file = tmp_path / "one.manifest"
    file.write_text(written("a"))
    (tmp_path / "not-named.yaml").write_text(written("b"))
    async with watching(FileSource([file], directory=tmp_path / "new")) as watched:
        assert watched.labels == {"a": "x"}
        (tmp_path / "next").write_text(written("a", "y"))
        (tmp_path / "next").rename(file)
        await watched.until({"a": "y"})


async def test_the_same_object_in_two_files_counts_where_it_comes_first(directory: Path) -> None:
    (directory / "b.yaml").write_text("\n" + written("a", "other"))
    async with watching(FileSource([directory], directory=directory)) as watched:
        assert watched.labels == {"a": "x", "b": "x"}
        (finding,) = watched.findings
        assert (finding.code, finding.severity) == ("OSM014", Severity.WARNING)
        assert finding.where == f"{directory}/b.yaml:2"
        assert f"{directory}/a.yaml:1" in finding.message
        (directory / "a.yaml").write_text(written("b"))
        await watched.until({"a": "other", "b": "x"})


async def test_a_good_definition_elsewhere_counts_more_than_one_that_is_only_kept(
    directory: Path,
) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        (directory / "a.yaml").write_text("a: [")
        await watched.until({"a": "x", "b": "x"}, ["OSM005", "OSM015", "OSM015"])
        (directory / "z.yaml").write_text(written("a", "z"))
        await watched.until({"a": "z", "b": "x"}, ["OSM005", "OSM015"])


async def test_symbolic_links_are_not_followed_and_that_is_said(
    directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.yaml").write_text(written("s"))
    (directory / "s.yaml").symlink_to(tmp_path / "secret.yaml")
    (directory / "loop").symlink_to(directory)
    async with watching(FileSource([directory], directory=directory)) as watched:
        assert watched.labels == {"a": "x", "b": "x"}
        assert watched.codes == ["OSM013"]


async def test_paths_that_are_not_there_are_reported(directory: Path, tmp_path: Path) -> None:
    source = FileSource([directory, tmp_path / "nothing"], directory=tmp_path / "new")
    async with watching(source) as watched:
        assert watched.labels == {"a": "x", "b": "x"}
        assert watched.codes == ["OSM001"]
        assert watched.findings[0].where == str(tmp_path / "nothing")


async def test_a_file_that_becomes_unreadable_keeps_its_objects(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(FileSource([directory], directory=directory)) as watched:
        refusal = Finding("OSM001", Severity.ERROR, None, "cannot be read", "", "a.yaml")
        # Permissions do not stop root, who may run this.
        monkeypatch.setattr(reading, "read_file", lambda _: refusal)
        (directory / "a.yaml").touch()
        await watched.until({"a": "x", "b": "x"}, ["OSM001", "OSM015", "OSM015"])
        monkeypatch.undo()
        (directory / "a.yaml").write_text("")
        await watched.until({})


async def test_applied_objects_are_replaced_where_they_stand_or_get_a_file(directory: Path) -> None:
    source = FileSource([directory], directory=directory / "new")
    async with watching(source) as watched:
        text = written("c") + "---\n# mine\n" + written("b", "y") + "---\n" + written("a")
        results = await source.apply(text)
        new = directory / "new" / "serviceaccount.default.c.yaml"
        assert [(r.key.name, r.action, r.where) for r in results] == [
            ("c", "created", f"{new}:1"),
            ("b", "configured", f"{directory}/a.yaml:8"),
            ("a", "unchanged", f"{directory}/a.yaml:1"),
        ]
        assert (directory / "a.yaml").read_text() == written("a") + "---\n# mine\n" + written(
            "b", "y"
        )
        assert new.read_text() == written("c")
        assert new.stat().st_mode & 0o777 == 0o644
        await watched.until({"a": "x", "b": "y", "c": "x"})
        assert [r.action for r in await source.apply(text)] == ["unchanged"] * 3
        assert not list(directory.rglob(".*"))


async def test_applying_keeps_the_files_permissions(directory: Path) -> None:
    (directory / "a.yaml").chmod(0o600)
    await FileSource([directory], directory=directory).apply(written("a", "y"))
    assert (directory / "a.yaml").stat().st_mode & 0o777 == 0o600


async def test_a_dry_run_changes_nothing(directory: Path) -> None:
    source = FileSource([directory], directory=directory)
    results = await source.apply(written("c") + "---\n" + written("b", "y"), dry_run=True)
    assert [result.action for result in results] == ["created", "configured"]
    assert [path.name for path in directory.iterdir()] == ["a.yaml"]
    assert (directory / "a.yaml").read_text() == written("a") + "---\n" + written("b")


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (written("c") + "---\n" + written("d").replace("{l: x}", "[1]"), ["OSM112"]),
        (written("c") + "---\n" + written("c"), ["OSM014"]),
        (written("c") + "---\na: [\n---\n" + written("D"), ["OSM005", "OSM120"]),
        ("# nothing\n", ["OSM117"]),
        ("", ["OSM117"]),
    ],
)
async def test_one_bad_object_among_those_applied_changes_nothing(
    directory: Path, text: str, codes: list[str]
) -> None:
    before = (directory / "a.yaml").read_text()
    with pytest.raises(InvalidObjects) as raised:
        await FileSource([directory], directory=directory).apply(text)
    findings = [f for f in raised.value.findings if isinstance(f, Finding)]
    assert [finding.code for finding in findings] == codes
    assert all(finding.where.startswith("stdin") for finding in findings)
    assert [path.name for path in directory.iterdir()] == ["a.yaml"]
    assert (directory / "a.yaml").read_text() == before


async def test_applying_repairs_a_broken_object_in_its_place(directory: Path) -> None:
    broken = written("a") + "---\n" + written("b").replace("{l: x}", "[1]")
    (directory / "a.yaml").write_text(broken)
    source = FileSource([directory], directory=directory)
    (result,) = await source.apply(written("b"))
    assert result.action == "configured"
    assert (directory / "a.yaml").read_text() == written("a") + "---\n" + written("b")


async def test_an_object_in_a_file_that_cannot_be_read_is_not_put_elsewhere(
    directory: Path,
) -> None:
    source = FileSource([directory], directory=directory)
    async with watching(source) as watched:
        (directory / "a.yaml").write_text("a: [")
        await watched.until({"a": "x", "b": "x"}, ["OSM005", "OSM015", "OSM015"])
        with pytest.raises(InvalidObjects, match=r"a\.yaml, which cannot be read"):
            await source.apply(written("a", "y"))
        with pytest.raises(InvalidObjects, match=r"a\.yaml, which cannot be read"):
            await source.delete([account("a")])


async def test_objects_of_a_list_get_a_file_each(directory: Path) -> None:
    items = "".join(
        "- apiVersion: v1\n  kind: ServiceAccount\n"
        f"  metadata: {{name: {name}, labels: {{l: 'on'}}}}\n"
        for name in "de"
    )
    source = FileSource([directory], directory=directory)
    await source.apply("apiVersion: v1\nkind: List\nitems:\n" + items)
    async with watching(source) as watched:
        assert watched.labels == {"a": "x", "b": "x", "d": "on", "e": "on"}


@pytest.mark.parametrize("name", ["../../escape", "a/b", ".."])
async def test_no_name_leads_out_of_the_directory(directory: Path, name: str) -> None:
    text = f"apiVersion: example.com/v1\nkind: ../Odd\nmetadata: {{name: '{name}', namespace: n}}\n"
    with pytest.raises(InvalidObjects):
        await FileSource([directory], directory=directory).apply(text)
    text = "apiVersion: example.com/v1\nkind: ../../Odd\nmetadata: {name: 'a:b', namespace: n}\n"
    (result,) = await FileSource([directory], directory=directory).apply(text)
    assert Path(result.where.rpartition(":")[0]).parent == directory


async def test_deleted_objects_leave_their_files_and_empty_files_go(directory: Path) -> None:
    (directory / "z.yaml").write_text(written("a"))
    source = FileSource([directory], directory=directory)
    async with watching(source) as watched:
        (result,) = await source.delete([account("a")])
        assert (result.key, result.action) == (account("a"), "deleted")
        assert (directory / "a.yaml").read_text() == written("b")
        assert not (directory / "z.yaml").exists()
        await watched.until({"b": "x"})
        await source.delete([account("b")])
        assert list(directory.iterdir()) == []
        await watched.until({})


async def test_deleting_what_is_not_there_changes_nothing(directory: Path) -> None:
    before = (directory / "a.yaml").read_text()
    with pytest.raises(UsageError, match="ServiceAccount default/z does not exist"):
        await FileSource([directory], directory=directory).delete([account("a"), account("z")])
    assert (directory / "a.yaml").read_text() == before


async def test_a_directory_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = FileSource([], directory=tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match=r"file.*cannot be written"):
        await source.apply(written("a"))


async def test_many_edits_in_a_row_end_in_what_the_files_say(directory: Path) -> None:
    source = FileSource([directory], directory=directory)
    async with watching(source) as watched:
        for number in range(40):
            (directory / f"n{number % 5}.yaml").write_text(written(f"n{number % 5}", f"v{number}"))
            if number % 7 == 0:
                await source.apply(written("applied", f"v{number}"))
            await asyncio.sleep(0.004)
        expected = {f"n{number % 5}": f"v{number}" for number in range(35, 40)}
        await watched.until({"a": "x", "b": "x", "applied": "v35", **expected})
