"""Quantities, durations and YAML's scalars, exactly."""

# ruff: noqa: E501 - a table is read line by line

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.api.duration import parse_duration
from osm.core.api.quantity import parse_quantity, whole_weights
from osm.core.api.yaml_scalars import resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)), ("1", Fraction(1)), ("500m", Fraction(1, 2)), ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)), ("1.", Fraction(1)), ("1k", Fraction(1000)), ("2Ki", Fraction(2048)),
        ("1e3", Fraction(1000)), ("1E3", Fraction(1000)), ("1E", Fraction(10**18)), ("1n", Fraction(1, 10**9)),
        ("-1", Fraction(-1)), ("+2", Fraction(2)), ("1e-3", Fraction(1, 1000)), ("1Ei", Fraction(2**60)),
    ],
)  # fmt: skip
def test_quantities_are_read_exactly(text: str, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "m", "1 m", "1kk", "1K", "1e", "e3", "1.5.2", "0x1", "\u0661", "1e999999", "9" * 100, "--1", "50%"]
)  # fmt: skip
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


@given(
    st.lists(
        st.fractions(min_value=0, max_value=1000, max_denominator=1000), min_size=1, max_size=6
    )
)
def test_whole_weights_keep_every_proportion(weights: list[Fraction]) -> None:
    whole = whole_weights(tuple(weights), at_most=10**30)
    assert whole is not None
    for one, written in zip(whole, weights, strict=True):
        assert one * sum(weights) == written * sum(whole)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0), ("0s", 0), ("1s", 10**9), ("1.5h", 5400 * 10**9), ("1h30m", 5400 * 10**9), ("300ms", 3 * 10**8),
        ("1us", 1000), ("1µs", 1000), ("1μs", 1000), ("1ns", 1), ("-1m", -60 * 10**9), ("+1m", 60 * 10**9),
        (".5s", 5 * 10**8), ("1.s", 10**9), ("0.000000001s", 1), ("1m1m", 120 * 10**9),
    ],
)  # fmt: skip
def test_durations_are_read_as_go_reads_them(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "-", "1", "s", "1d", "1 s", "1h 30m", "1S", "1e3s", ".s", "1.5.5s", "9999999h", "1" * 99 + "s"]
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_number_of_nanoseconds_is_read(nanoseconds: int) -> None:
    assert parse_duration(f"{nanoseconds}ns") == nanoseconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("no", False), ("Off", False), ("YES", True), ("true", True),
        ("nO", "nO"), ("y", "y"), ("1", 1), ("-7", -7), ("1_000", 1000), ("010", 8), ("0x1F", 31), ("0b11", 3),
        ("0o17", 15), ("089", 89.0), ("12:30:45", "12:30:45"), ("2020-01-01", "2020-01-01"),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), (".inf", float("inf")), ("-.inf", -float("inf")),
        ("1.2.3", "1.2.3"), ("10.0.0.0/8", "10.0.0.0/8"), ("+", "+"), ("0x", "0x"), ("1" * 60, "1" * 60),
    ],
)  # fmt: skip
def test_scalars_without_quotes_are_read_as_kubernetes_tools_do(text: str, value: object) -> None:
    read = resolve_plain(text)
    assert (read, type(read)) == (value, type(value))
