"""A change costs what changed, whatever else there is; and ends where a fresh look would."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from osm.core.model.origin import Finding, Severity
from osm.local import files, looks, watcher
from osm.local.collection import Collection, FileState, read_state, unreadable_state
from osm.local.files import FileSource
from osm.local.looks import Look, Looks
from osm.local.watcher import Watcher
from osm.ports import Change

from .watched import Watched, account, watching, written

NAMES = ("a", "b", "c")
CONTENTS = st.one_of(
    st.lists(st.builds(written, st.sampled_from(NAMES), st.sampled_from("xyz")), max_size=4).map(
        "---\n".join
    ),
    st.sampled_from(
        [
            "a: [",
            written("a").replace("{l: x}", "[1]"),
            written("a") + "---\n- b\n",
            "\x00",
            "# -\n",
        ]
    ),
)
PATHS = st.sampled_from(["/1.yaml", "/2.yaml", "/3.yaml"])
STEPS = st.lists(
    st.dictionaries(PATHS, CONTENTS | st.sampled_from([None, OSError]), min_size=1), max_size=8
)


def states_after(
    collection: Collection, step: Mapping[str, str | type[OSError] | None]
) -> dict[str, FileState | None]:
    def state(path: str, content: str | type[OSError]) -> FileState:
        before = collection.states.get(path)
        if isinstance(content, str):
            return read_state(path, content.encode(), None, before)
        finding = Finding("OSM001", Severity.ERROR, None, "cannot be read", "", path)
        return unreadable_state(path, finding, before)

    return {
        path: None if content is None else state(path, content) for path, content in step.items()
    }


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_any_history_of_files_ends_in_the_objects_and_findings_of_a_fresh_look(
    steps: list[dict[str, str | type[OSError] | None]],
) -> None:
    collection = Collection()
    told = Watched()
    for step in steps:
        change = collection.update(states_after(collection, step))
        told.take(change or Change(findings=told.findings))
        fresh = Collection()
        fresh.update(dict(reversed(collection.states.items())))
        assert collection.objects == fresh.objects == told.objects
        assert collection.findings == fresh.findings == told.findings


@settings(max_examples=400, deadline=None)
@given(STEPS, st.data())
def test_what_loses_nothing_takes_no_object_away_and_the_rest_does(
    steps: list[dict[str, str | type[OSError] | None]], data: st.DataObject
) -> None:
    collection = Collection()
    for step in steps:
        states = states_after(collection, step)
        believed = data.draw(st.sets(st.sampled_from(sorted(states)))) if states else set()
        losing = collection.losing(states, believed=believed)
        assert not losing & believed
        if not believed:
            kept = {path: state for path, state in states.items() if path not in losing}
            harmless = collection.update(kept)
            assert harmless is None or not harmless.deleted
        if losing and not believed:
            rest = collection.update({path: states[path] for path in losing})
            assert rest is not None
            assert rest.deleted
        collection.update(states)


def test_what_is_not_believed_brings_nothing() -> None:
    collection = Collection()
    first = {"/1.yaml": f"{written('a')}---\n{written('c')}", "/2.yaml": written("b")}
    collection.update(states_after(collection, first))
    # `c` goes with the first file's new state, so that waits; then nobody else has `b` yet.
    exchanged = states_after(collection, {"/1.yaml": written("b"), "/2.yaml": written("a")})
    assert collection.losing(exchanged) == {"/1.yaml", "/2.yaml"}
    assert collection.losing(exchanged, believed={"/1.yaml"}) == set()


def test_an_update_touches_no_other_file() -> None:
    collection = Collection()
    many = {f"/{n}.yaml": written(f"n{n}") for n in range(50)}
    collection.update(states_after(collection, {**many, "/twice.yaml": written("n7")}))
    before = dict(collection.objects)
    change = collection.update(states_after(collection, {"/3.yaml": written("n3", "y")}))
    assert change is not None
    assert [manifest.key for manifest in change.applied] == [account("n3")]
    assert [f.code for f in change.findings] == ["OSM014"]
    assert all(collection.objects[k] is m for k, m in before.items() if k != account("n3"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "mesh"
    path.mkdir()
    (path / "a.yaml").write_text(written("a") + "---\n" + written("b"))
    return path


async def test_many_files_that_change_at_once_are_told_in_parts(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_TOGETHER", 10)
    for number in range(35):
        (directory / f"n{number}.yaml").write_text(written(f"n{number}"))
    source = FileSource([directory], directory=directory)
    async with watching(source) as watched:
        assert len(watched.changes) == 1
        for number in range(35):
            (directory / f"n{number}.yaml").write_text(written(f"n{number}", "y"))
        await watched.until({"a": "x", "b": "x"} | {f"n{number}": "y" for number in range(35)})
        assert max(len(change.applied) for change in watched.changes[1:]) <= 10


async def test_half_a_file_is_no_news_while_its_writer_goes_on(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_LOOK_ANYWAY_S", 3600)
    async with watching(FileSource([directory], directory=directory)) as watched:
        for name in ("a.yaml", "new.yaml"):
            with (directory / name).open("w") as stream:
                stream.write(written("c") + "---\n" + written("d")[:40])
                stream.flush()
                await asyncio.sleep(0.15)
                assert len(watched.changes) == 1
                stream.write(written("d")[40:])
            await watched.until({"c": "x", "d": "x"}, ["OSM014"] * 2 if name == "new.yaml" else [])
            watched.changes = watched.changes[:1]


async def move_the_directory(directory: Path) -> None:
    (directory / "below").rename(directory / "under")


async def move_into_another_file(directory: Path) -> None:
    (directory / "below" / "c.yaml").unlink()
    await asyncio.sleep(0.03)
    (directory / "d.yaml").write_text(written("c") + "---\n" + written("d"))


async def exchange_two_files(directory: Path) -> None:
    first, second = directory / "a.yaml", directory / "below" / "c.yaml"
    first.rename(directory / "other")
    second.rename(first)
    (directory / "other").rename(second)


@pytest.mark.parametrize("move", [move_the_directory, move_into_another_file, exchange_two_files])
async def test_what_moves_is_not_withdrawn(
    directory: Path, move: Callable[[Path], Awaitable[None]]
) -> None:
    (directory / "below").mkdir()
    (directory / "below" / "c.yaml").write_text(written("c") + "---\n" + written("d"))
    everything = dict.fromkeys("abcd", "x")
    async with watching(FileSource([directory], directory=directory)) as watched:
        places = {key: m.where for key, m in watched.objects.items()}
        await move(directory)
        async with asyncio.timeout(5):
            while {key: m.where for key, m in watched.objects.items()} == places:
                watched.news.clear()
                await watched.news.wait()
        await asyncio.sleep(0.2)
        await watched.until(everything)
        assert not any(change.deleted for change in watched.changes)


async def test_links_that_come_and_go_are_told(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_LOOK_ANYWAY_S", 3600)
    async with watching(FileSource([directory], directory=directory)) as watched:
        (tmp_path / "c").write_text(written("c"))
        (directory / "c.yaml").symlink_to(tmp_path / "c")
        await watched.until({"a": "x", "b": "x"}, ["OSM013"])
        (directory / ".new").write_text(written("c"))
        (directory / ".new").rename(directory / "c.yaml")
        await watched.until({"a": "x", "b": "x", "c": "x"})
        (directory / "c.yaml").unlink()
        await watched.until({"a": "x", "b": "x"})
        (directory / "d.yaml").hardlink_to(tmp_path / "c")
        await watched.until({"a": "x", "b": "x", "c": "x"})
        (tmp_path / "link").symlink_to(tmp_path / "c")
        (tmp_path / "link").rename(directory / "d.yaml")
        await watched.until({"a": "x", "b": "x"}, ["OSM013"])


class NoWatches:
    """A system that has none to give."""

    def inotify_init1(self, _flags: int) -> int:
        return -1

    def inotify_rm_watch(self, _descriptor: int, _number: int) -> int:
        return -1


async def test_without_watches_changes_are_found_by_looking(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_libc", NoWatches())
    monkeypatch.setattr(looks, "_LOOK_ANYWAY_S", 0.1)
    source = FileSource([directory], directory=directory)
    async with watching(source) as watched:
        (directory / "c.yaml").write_text(written("c"))
        await watched.until({"a": "x", "b": "x", "c": "x"})
        (directory / "a.yaml").unlink()
        await watched.until({"c": "x"})
        monkeypatch.setattr(looks, "_LOOK_ANYWAY_S", 3600)
        await asyncio.sleep(0.2)
        await source.apply(written("c", "y"))
        await watched.until({"c": "y"})


async def test_news_that_the_system_dropped_lead_to_a_look(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_LOOK_ANYWAY_S", 3600)
    read = watcher._events

    def overflow(_data: bytes) -> list[tuple[int, int, str]]:
        return [(-1, watcher._OVERFLOWN, "")]

    async with watching(FileSource([directory], directory=directory)) as watched:
        monkeypatch.setattr(watcher, "_events", overflow)
        (directory / "c.yaml").write_text(written("c"))
        await watched.until({"a": "x", "b": "x", "c": "x"})
        monkeypatch.setattr(watcher, "_events", read)
        (directory / "c.yaml").write_text(written("c", "y"))
        await watched.until({"a": "x", "b": "x", "c": "y"})


async def test_looks_take_a_hundredth_of_the_time_and_more_only_where_something_waits(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching_nothing = Watcher(lambda: None)
    each = Looks([directory], directory, watching_nothing, lambda: None)
    try:
        for cost_s, regular_s, wanted_s in ((0.0001, 1, 0.001), (0.05, 5, 0.5)):
            monkeypatch.setattr(each, "_compare", lambda *_, cost_s=cost_s: Look((), {}, cost_s))
            await each.first()
            now = asyncio.get_running_loop().time()
            assert each.due - now == pytest.approx(regular_s, abs=0.1)
            each.wanted = True
            assert each.due - now == pytest.approx(wanted_s, abs=0.1)
    finally:
        await each.close()
        watching_nothing.close()


OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(["a", "b/b", "c/d/c"]), CONTENTS),
    st.tuples(st.just("replace"), st.sampled_from(["a", "b/b", "c/d/c"]), CONTENTS),
    st.tuples(st.just("remove"), st.sampled_from(["a", "b/b", "c/d/c"]), st.just("")),
    st.tuples(st.just("move"), st.sampled_from(["a", "b/b", "b", "c"]), st.sampled_from("abc")),
    st.tuples(st.just("link"), st.sampled_from(["a", "b/b"]), st.just("")),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from(["0.005", "0.08"])),
)


def operate(root: Path, operation: str, name: str, argument: str) -> None:
    """Do something to a directory, if that is possible at present."""
    path = root / name if operation == "move" and "/" not in name else root / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    if operation == "write":
        path.write_text(argument)
    elif operation == "replace":
        (path.parent / ".new").write_text(argument)
        (path.parent / ".new").replace(path)
    elif operation == "remove":
        path.unlink()
    elif operation == "move":
        path.rename(root / argument if path.is_dir() else root / f"{argument}.yaml")
    elif operation == "link":
        path.symlink_to(root / "a.yaml")


async def end_of(history: list[tuple[str, str, str]], root: Path) -> None:
    async with watching(FileSource([root], directory=root)) as watched:
        for operation, name, argument in history:
            if operation == "wait":
                await asyncio.sleep(float(argument))
            else:
                try:
                    operate(root, operation, name, argument)
                except OSError:
                    continue
        fresh = FileSource([root], directory=root).watch()
        expected = await anext(fresh)
        assert isinstance(fresh, AsyncGenerator)
        await fresh.aclose()
        objects = {manifest.key: manifest for manifest in expected.applied}
        async with asyncio.timeout(5):
            while True:
                watched.news.clear()
                # What was good once stays where it is broken now; a fresh look cannot know it.
                kept = {
                    account(f.origin.name)
                    for f in watched.findings
                    if f.code == "OSM015" and f.origin is not None
                }
                wrong = [finding for finding in watched.findings if finding.code != "OSM015"]
                shown = {key: m for key, m in watched.objects.items() if key not in kept}
                if (shown, wrong) == (objects, list(expected.findings)):
                    return
                await watched.news.wait()


@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(OPERATIONS, min_size=3, max_size=15))
def test_a_source_that_followed_any_history_has_what_a_fresh_one_reads(
    history: list[tuple[str, str, str]],
) -> None:
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "_LOOK_ANYWAY_S", 3600)
        asyncio.run(end_of(history, Path(place)))
