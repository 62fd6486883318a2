"""A group that cannot be told of one key harms no other, and is tried again when the key changes."""

from collections.abc import Iterable, Mapping

from osm.core.derive.derivation import Derivation, Group


def _first_letter(_: str, word: str) -> Iterable[str]:
    return (word[0],)


def _derivation() -> Derivation[Mapping[str, object]]:
    return Derivation(("words",), (Group("by_letter", "words", _first_letter),), dict)


def test_a_key_whose_groups_cannot_be_told_is_in_none() -> None:
    words = _derivation()
    words.update({"words": {1: "apple", 2: "", 3: "ant"}})
    assert words.tables["by_letter"] == {"a": (1, 3)}
    assert words.failures == {("by_letter", 2): "IndexError: string index out of range"}


def test_a_key_that_had_groups_leaves_them() -> None:
    words = _derivation()
    words.update({"words": {1: "apple"}})
    words.update({"words": {1: ""}})
    assert words.tables["by_letter"] == {}
    words.update({"words": {1: "bee"}})
    assert words.tables["by_letter"] == {"b": (1,)} and not words.failures


def test_a_key_that_goes_takes_its_failure_along() -> None:
    words = _derivation()
    words.update({"words": {1: ""}})
    words.update({"words": {1: None}})
    assert not words.failures
