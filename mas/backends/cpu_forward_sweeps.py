"""The forward sum of one item on a CPU: its sweeps over the frames, compiled by numba.

i counts tokens, j counts frames. alpha, beta, u and gamma as in reference_forward.py; numbers as in
cpu_numbers.py.

The first sweep goes through all frames and tokens that a path can visit and keeps alpha every `distance`
frames. For posteriors a second sweep goes back, stretch by stretch: alpha of the stretch is made again, now
kept frame by frame, then u goes back through it. Only the tokens matter from which those can be reached
that have a posterior above 2^-64 at the stretch's end: a few hundred in a chapter. So posteriors cost little
more than the first sweep, and `[T, S]` is never held.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mas.backends.cpu_forward_stretches import Item, Sum, go_back, grow_frames, read
from mas.backends.cpu_numbers import (
    LARGEST_SCORE,
    LARGEST_SUM,
    columns,
    copy,
    largest_bits,
    log_add,
    logarithm,
    set_one,
)
from mas.backends.cpu_stretches import visitable
from mas.backends.cpu_threads import compiled

LEAST_DISTANCE = (
    32  # frames between the columns of alpha that are kept; what a stretch needs stays in the cache
)
_BLOCK = 32  # frames whose scores are read at a time
_TOO_LARGE = np.int32(0x7F800000)
_FITS, _TOO_WIDE, _NOT_FINITE = 0, 1, 2


class Batch(NamedTuple):
    """All items: frame j of item b scores scale * flat[at[b] + j * stride + columns[b, i]] in token i.

    Args:
        flat: The memory of the scores, float32 or float64.
        at: `[B]`.
        stride: From a frame to the next.
        columns: `[B, T]`, or `[1, T]` for all items.
        scale: A factor.
        fits: `[B]`, whether all of an item's scores are there.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: `[B, T]`, or `[0, 0]`.
    """

    flat: NDArray[np.floating]
    at: NDArray[np.int64]
    stride: int
    columns: NDArray[np.int64]
    scale: float
    fits: NDArray[np.bool_]
    text_lengths: NDArray[np.int64]
    speech_lengths: NDArray[np.int64]
    skippable: NDArray[np.bool_]


@compiled
def forward_sums(batch, items, target, moments, least_distance, result):
    """Writes `result[b]`, the log-sum, for each b in `items`.

    If `target` has room, also adds the posteriors to it; if `moments` has, fills it.

    moments: `[B, 3, T]`, zeros; or `[0, 0, 0]`. least_distance: LEAST_DISTANCE.
    """
    nowhere = np.zeros((3, 0), np.float64)
    for b in items:
        fits, item = _prepared(batch, b)
        result[b] = -np.inf
        if not fits:
            continue
        distance = len(item.low)
        if len(target.flat) > 0 or len(moments) > 0:
            distance = _distance_of(len(item.columns), distance, least_distance)
        total, kept = _first_sweep(item, distance)
        result[b] = total.log
        if np.isnan(total.log):
            _spoil(item, target, b)
        elif np.isfinite(total.log) and (len(target.flat) > 0 or len(moments) > 0):
            go_back(item, distance, total, kept, target, b, moments[b] if len(moments) > 0 else nowhere)


@compiled
def _distance_of(tokens, frames, least):
    """Frames between the columns of alpha that are kept: they take no more bytes than a stretch does."""
    return min(frames, max(least, int(0.5 * (float(tokens) * frames) ** (1 / 3))))


@compiled
def _prepared(batch, b):
    """Whether an item may have a path, and if so the `Item`."""
    tokens, frames = batch.text_lengths[b], batch.speech_lengths[b]
    fits = batch.fits[b]
    if not fits:
        tokens, frames = 0, 0
    own = np.empty(tokens, np.uint64)
    row = b if len(batch.columns) > 1 else 0
    for i in range(tokens):
        own[i] = batch.columns[row, i]
    may_skip = False
    skips = np.zeros(tokens + 2, np.bool_)
    low, high = np.empty(frames, np.int64), np.empty(frames, np.int64)
    needed = tokens
    for i in range(tokens if len(batch.skippable) > 0 else 0):
        if batch.skippable[b, i]:
            needed -= 1
            may_skip = True
            skips[i + 1] = True
            fits &= not skips[i]
    fits &= needed <= frames
    if fits:
        visitable(batch.skippable, b, tokens, needed, low, high)
    item = Item(batch.flat, batch.at[b], batch.stride, own, batch.scale, skips, may_skip, low, high)
    return fits, item


@compiled
def _first_sweep(item, distance):
    """The `Sum`, and alpha before each stretch (the first row is not used)."""
    exact = item.flat.itemsize == 8
    status, total, kept = _sweep(item, distance, exact)
    if status == _TOO_WIDE:
        status, total, kept = _sweep(item, distance, True)
    if status == _NOT_FINITE:
        total = Sum(np.nan, total.m, total.e, total.exact)
    return total, kept


@compiled
def _sweep(item, distance, exact):
    """As `_first_sweep`, with numbers of one kind. The first result says whether that can do."""
    tokens, frames = len(item.columns), len(item.low)
    width = tokens + 4
    kept = columns((frames + distance - 1) // distance, width if frames > distance else 0, exact)
    own = columns(2, width, exact)
    set_one(own, 0, 1, exact)
    low, high = item.low, item.high
    x = np.empty((_BLOCK, tokens + 16), item.flat.dtype)
    status, most, j, n = _FITS, 0.0, 0, 1
    while j < frames and status == _FITS:
        j1 = min(j + _BLOCK, n * distance, frames)
        read(item, j, j1, 0, low[j], high[j1 - 1], x)
        if not exact:
            status, most = _range_of(x, low, high, j, j1, most)
        if grow_frames(item, x, own, True, j, j1, 0, tokens - 1, exact):
            status = _NOT_FINITE
        if j1 == n * distance and j1 < frames:
            copy(own, j1 & 1, kept, n, low[j1 - 1] + 2, high[j1 - 1] + 2, 0, exact)
            n += 1
        j = j1
    return status, _sum_of(item, own, frames & 1, exact), kept


@compiled
def _range_of(x, low, high, j0, j1, most):
    """Whether float32 can do for the frames j0 to j1 - 1, and the sum of the largest scores up to there."""
    for j in range(j0, j1):
        bits = largest_bits(x, j - j0, low[j], high[j])
        largest = np.float64(np.int32(bits).view(np.float32))
        most += largest
        if bits >= _TOO_LARGE:
            return _NOT_FINITE, most
        if largest > LARGEST_SCORE or most > LARGEST_SUM:
            return _TOO_WIDE, most
    return _FITS, most


@compiled
def _sum_of(item, own, row, exact):
    """The `Sum` from the last column of alpha."""
    tokens = len(item.columns)
    log = logarithm(own, row, tokens + 1, exact)
    if item.skips[tokens]:
        log = log_add(log, logarithm(own, row, tokens, exact))
    m, e = np.float32(1), np.int32(0)
    if not exact and np.isfinite(log):
        power = log / np.log(2.0)
        e = np.int32(np.floor(power))
        m = np.float32(2.0 ** (power - e))
    return Sum(log, m, e, exact)


@compiled
def _spoil(item, target, b):
    """NaN for all posteriors of an item."""
    row = b if len(target.columns) > 1 else 0
    for j in range(len(item.low) if len(target.flat) > 0 else 0):
        for i in range(len(item.columns)):
            target.flat[target.at[b] + j * target.stride + target.columns[row, i]] = np.nan
