"""Ragged rows, packed: the items of all rows one after the other, and the length of each row.

On the host, in numpy: rows of tokens are short, and their lengths decide the shapes on the device.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def starts_of(lengths: Indices) -> Indices:
    """The first item of each row.

    Args:
        lengths: Items of each row.
    """
    return np.cumsum(lengths) - lengths


def rows_of(lengths: Indices) -> Indices:
    """The row of each item.

    Args:
        lengths: Items of each row.
    """
    return np.repeat(np.arange(len(lengths)), lengths)


def ranges(starts: Indices, lengths: Indices) -> Indices:
    """The numbers start, start + 1, ... of each row.

    Args:
        starts: The first of each row.
        lengths: How many of them each row has.
    """
    result = np.repeat(starts - starts_of(lengths), lengths)
    result += np.arange(len(result))
    return result


def sums_of(values: NDArray[Any], lengths: Indices) -> NDArray[Any]:
    """The sum of each row, 0 of an empty one.

    Args:
        values: Of the items; bools are counted.
        lengths: Items of each row.
    """
    sums = np.bincount(rows_of(lengths), values, minlength=len(lengths))
    return sums if np.issubdtype(values.dtype, np.floating) else sums.astype(np.int64)


def medians_of(values: NDArray[np.float64], lengths: Indices) -> NDArray[np.float64]:
    """The lower median of each row, 0 of an empty one.

    Args:
        values: Of the items.
        lengths: Items of each row.
    """
    ordered = np.append(values[np.lexsort((values, rows_of(lengths)))], 0.0)
    return np.where(lengths > 0, ordered[starts_of(lengths) + np.maximum(lengths - 1, 0) // 2], 0.0)


def first_largest(values: NDArray[Any], lengths: Indices) -> Indices:
    """The item of each row that is the largest, counted over all rows; of equal ones the first.

    Args:
        values: Of the items.
        lengths: Items of each row, at least 1.
    """
    starts = starts_of(lengths)
    is_largest = values == np.repeat(np.maximum.reduceat(values, starts), lengths)
    return np.flatnonzero(is_largest)[np.searchsorted(np.flatnonzero(is_largest), starts)]


def padded(values: NDArray[Any], lengths: Indices) -> NDArray[Any]:
    """`[rows, longest]`, with zeros after each row's end.

    Args:
        values: Of the items.
        lengths: Items of each row.
    """
    result = np.zeros((len(lengths), int(lengths.max(initial=0))), values.dtype)
    result[inside(lengths)] = values
    return result


def inside(lengths: Indices) -> NDArray[np.bool_]:
    """Which places of the padded rows hold an item, `[rows, longest]`.

    Args:
        lengths: Items of each row.
    """
    return np.arange(int(lengths.max(initial=0))) < lengths[:, None]


def edges_of(values: NDArray[Any], lengths: Indices) -> NDArray[Any]:
    """The sum of what stands before each item of a row, and at its end of the whole row: one more a row.

    Args:
        values: Of the items, such as durations.
        lengths: Items of each row.
    """
    sums = np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])
    starts = starts_of(lengths)
    return sums[ranges(starts, lengths + 1)] - np.repeat(sums[starts], lengths + 1)


def at_least_one_each(starts: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """The strictly increasing integers in 1..frames-1 nearest to `starts` in the largest move.

    With position i taken off, "strictly" becomes "not decreasing", and the answer to that is the mean of the
    running maximum from the left and the running minimum from the right; starts in order already do not move.

    Args:
        starts: Where items begin, but for the first.
        frames: How many there are for all; each item gets at least one.
    """
    position = np.arange(1, len(starts) + 1)
    slack = starts - position
    upper = np.maximum.accumulate(slack)
    lower = np.minimum.accumulate(slack[::-1])[::-1]
    middle = (upper + lower) // 2
    return np.clip(middle, 0, frames - 1 - len(starts)) + position
