"""Arithmetic of ragged rows against loops over the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligner.ragged import (
    edges_of,
    first_largest,
    inside,
    medians_of,
    padded,
    ranges,
    rows_of,
    starts_of,
    sums_of,
)

Rows = list[list[int]]

ragged = st.lists(st.lists(st.integers(-3, 3), max_size=5), max_size=6)


def packed(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value for row in rows for value in row], np.int64)
    return values, np.array([len(row) for row in rows], np.int64)


@given(ragged)
def test_rows_and_their_starts(rows: Rows) -> None:
    _, lengths = packed(rows)
    assert starts_of(lengths).tolist() == [sum(map(len, rows[:r])) for r in range(len(rows))]
    assert rows_of(lengths).tolist() == [r for r, row in enumerate(rows) for _ in row]


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4))))
def test_ranges(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = np.array(pairs, np.int64).reshape(-1, 2).T
    expected = [start + i for start, length in pairs for i in range(length)]
    assert ranges(starts, lengths).tolist() == expected


@given(ragged)
def test_sums(rows: Rows) -> None:
    values, lengths = packed(rows)
    assert sums_of(values, lengths).tolist() == [sum(row) for row in rows]
    assert sums_of(values > 0, lengths).tolist() == [sum(value > 0 for value in row) for row in rows]
    assert sums_of(values / 2, lengths).tolist() == [sum(row) / 2 for row in rows]
    assert sums_of(values, lengths).dtype == np.int64


@given(ragged)
def test_edges(rows: Rows) -> None:
    values, lengths = packed(rows)
    expected = [sum(row[:i]) for row in rows for i in range(len(row) + 1)]
    assert edges_of(values, lengths).tolist() == expected


@given(st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=5), min_size=1, max_size=6))
def test_of_the_largest_the_first(rows: Rows) -> None:
    values, lengths = packed(rows)
    places = first_largest(values, lengths) - starts_of(lengths)
    assert places.tolist() == [row.index(max(row)) for row in rows]


@given(ragged)
def test_padding(rows: Rows) -> None:
    values, lengths = packed(rows)
    longest = max(map(len, rows), default=0)
    assert padded(values, lengths).tolist() == [row + [0] * (longest - len(row)) for row in rows]
    assert padded(values, lengths)[inside(lengths)].tolist() == values.tolist()


def test_padding_keeps_the_type() -> None:
    flags = padded(np.array([True, True]), np.array([0, 2]))
    assert flags.dtype == np.bool_
    assert flags.tolist() == [[False, False], [True, True]]
    assert padded(np.array([0.5]), np.array([1])).tolist() == [[pytest.approx(0.5)]]


def test_the_median_of_each_row_is_the_lower_one_and_of_none_0() -> None:
    values = np.array([3.0, 1.0, 2.0, 9.0, 4.0])
    assert medians_of(values, np.array([3, 0, 2])).tolist() == [2.0, 0.0, 4.0]
