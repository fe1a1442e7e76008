"""The way back of the forward sum of one item on a CPU, and what it shares with the way there.

i counts tokens, j counts frames. alpha, beta, u and gamma as in reference_forward.py; numbers as in
cpu_numbers.py. cpu_forward_sweeps.py says how the two ways work together.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mas.backends.cpu_numbers import (
    add_moments,
    add_moments_exact,
    columns,
    copy,
    grow,
    grow_exact,
    posterior,
    posterior_exact,
    set_one,
    shrink,
    shrink_exact,
)
from mas.backends.cpu_threads import compiled

_LEAST = 2.0**-64  # posterior; smaller ones are left out


class Item(NamedTuple):
    """One item of n tokens and k frames.

    Args:
        flat: As in `Batch`.
        at: Where its first frame begins.
        stride: As in `Batch`.
        columns: `[n]`.
        scale: As in `Batch`.
        skips: `[n + 2]`, whether the token may be reached from the last but one; token n is the end.
        may_skip: Whether any may.
        low: `[k]`, the first token that a path can be in at each frame.
        high: `[k]`, one more than the last.
    """

    flat: NDArray[np.floating]
    at: int
    stride: int
    columns: NDArray[np.uint64]
    scale: float
    skips: NDArray[np.bool_]
    may_skip: bool
    low: NDArray[np.int64]
    high: NDArray[np.int64]


class Target(NamedTuple):
    """Where posteriors, times a weight, are added: at flat[at[b] + j * stride + columns[b, i]]."""

    flat: NDArray[np.floating]
    at: NDArray[np.int64]
    stride: int
    columns: NDArray[np.int64]
    weights: NDArray[np.float64]  # [B]


class Sum(NamedTuple):
    """The sum over all paths.

    Args:
        log: Its logarithm: -inf if there is no path, NaN if a score is NaN or +inf.
        m: The same as m * 2^e, if not `exact`.
        e: Of this.
        exact: Whether numbers are logarithms in float64.
    """

    log: float
    m: np.float32
    e: np.int32
    exact: bool


@compiled
def read(item, j0, j1, base, begin, end, x):
    """x[j - j0, i - base] = the score of token i at frame j, for begin <= i < end."""
    scale = x.dtype.type(item.scale)
    flat, at, own = item.flat, item.at, item.columns
    if item.stride != 1:
        for j in range(j0, j1):
            _read_frame(flat, at + j * item.stride, own, base, begin, end, j - j0, x, scale)
        return
    for first in range(begin, end, 16):
        for j in range(j0, j1, 16):
            last, count = min(first + 16, end), min(16, j1 - j)
            _read_tile(flat, at + j, own, base, first, last, count, j - j0, x, scale)


@compiled
def _read_frame(flat, at, own, base, begin, end, k, x, scale):
    at, base = np.uint64(at), np.uint64(base)
    for i in range(np.uint64(begin), np.uint64(end)):
        x[k, i - base] = flat[at + own[i]] * scale


@compiled
def _read_tile(flat, at, own, base, begin, end, count, k0, x, scale):
    for i in range(begin, end):
        place = np.uint64(at) + own[i]
        for k in range(np.uint64(count)):
            x[np.uint64(k0) + k, i - base] = flat[place + k] * scale


@compiled
def grow_frames(item, x, alpha, rolling, j0, j1, base, last, exact):
    """alpha of the frames j0 to j1 - 1. True if a NaN or +inf occurred (if not exact, seen before)."""
    if exact:
        return grow_exact(x, alpha.logs, rolling, item.skips, item.low, item.high, j0, j1, base, last)
    grow(
        x, alpha.m, alpha.e, alpha.logs.shape[1], rolling, item.skips, item.may_skip, item.low, item.high, j0,
        j1, base, last,
    )  # fmt: skip
    return False


@compiled
def go_back(item, distance, total, kept, target, b, moments):
    """Goes back through all stretches; see `forward_sums`."""
    tokens, frames = len(item.columns), len(item.low)
    reach = 2 if item.may_skip else 1
    u = columns(1, tokens + 4, total.exact)  # of the frame behind a stretch
    set_one(u, 0, tokens + 2, total.exact)
    first, last = max(0, tokens - 2), tokens - 1
    for n in range((frames - 1) // distance, -1, -1):
        j0, j1 = n * distance, min((n + 1) * distance, frames)
        if j1 < frames:
            first, last = _reached(item, j1 - 1, total, kept, n + 1, u, first, last)
        base = max(0, item.low[j0] - reach, first - reach * (j1 - j0))
        first = _stretch(item, j0, j1, base, first, last, total, kept, n, u, target, b, moments) - reach


@compiled
def _reached(item, j, total, kept, row, u, first, last):
    """The first and last of some tokens with a posterior above 2^-64 at frame j, whose alpha is kept."""
    begin, end = max(item.low[j], first), min(item.high[j], last + 1)
    first, last = end - 1, begin
    logs, m, e, u_logs, um, ue, skips = kept.logs, kept.m, kept.e, u.logs, u.m, u.e, item.skips
    width, u_width = logs.shape[1], u_logs.shape[1]
    for i in range(begin, end):
        if total.exact:
            gamma = posterior_exact(logs, row, u_logs, skips, i, total.log)
        else:
            gamma = posterior(m, e, width, row, um, ue, u_width, skips, i, total.m, total.e)
        if gamma > _LEAST:
            first, last = min(first, i), i
    return first, last


@compiled
def _stretch(item, j0, j1, base, first, last, total, kept, n, u, target, b, moments):
    """Goes back through frames j1 - 1 to j0, from u of frame j1 to that of frame j0, both in row 0 of `u`.

    At frame j1 - 1, only the tokens `first` to `last` matter. Returns the first that has a u at frame j0.
    """
    exact, n_frames, width = total.exact, j1 - j0, last + 6 - base
    x = np.empty((n_frames, width + 12), item.flat.dtype)
    read(item, j0, j1, base, max(base, item.low[j0]), last + 1, x)
    alpha = columns(n_frames + 1, width, exact)  # row k: frame j0 - 1 + k
    if n == 0:
        set_one(alpha, 0, 1, exact)
    else:
        begin, end = max(base, item.low[j0 - 1]), min(last + 1, item.high[j0 - 1])
        copy(kept, n, alpha, 0, begin + 2, end + 2, base, exact)
    grow_frames(item, x, alpha, False, j0, j1, base, last, exact)

    gamma = np.zeros((n_frames, width + 12), item.flat.dtype)
    own_u = columns(n_frames + 1, width, exact)  # row k: frame j0 + k
    copy(u, 0, own_u, n_frames, first, min(last + 6, u.logs.shape[1]), base, exact)
    if exact:
        begin = shrink_exact(
            x, alpha.logs, own_u.logs, item.skips, item.may_skip, item.low, item.high, j0, n_frames, base,
            first, last, total.log, gamma,
        )  # fmt: skip
    else:
        begin = shrink(
            x, alpha.m, alpha.e, own_u.m, own_u.e, width, item.skips, item.may_skip, item.low, item.high, j0,
            n_frames, base, first, last, total.m, total.e, gamma,
        )  # fmt: skip
    if moments.shape[1] > 0:
        _add_moments(item, alpha, own_u, j0, n_frames, base, first, last, total, moments)
    copy(own_u, 0, u, 0, max(0, begin - 1), min(last + 1, item.high[j0]) - base + 4, -base, exact)
    if len(target.flat) > 0:
        _write(gamma, target, b, j0, base, max(base, item.low[j0]), last + 1)
    return base + begin


@compiled
def _add_moments(item, alpha, u, j0, n, base, first, last, total, moments):
    """Adds what the stretch says of boundaries."""
    if total.exact:
        add_moments_exact(
            alpha.logs, u.logs, item.skips, item.may_skip, item.low, item.high, j0, n, base, first, last,
            total.log, moments,
        )  # fmt: skip
    else:
        add_moments(
            alpha.m, alpha.e, u.m, u.e, alpha.logs.shape[1], item.skips, item.may_skip, item.low, item.high,
            j0, n, base, first, last, total.m, total.e, moments,
        )  # fmt: skip


@compiled
def _write(gamma, target, b, j0, base, begin, end):
    """Adds gamma, times the item's weight, to the target."""
    row = b if len(target.columns) > 1 else 0
    at, weight = target.at[b], gamma.dtype.type(target.weights[b])
    n_frames, flat, own, stride = len(gamma), target.flat, target.columns, target.stride
    if stride != 1:
        for k in range(n_frames):
            _write_frame(flat, at + (j0 + k) * stride, own, row, gamma, k, base, begin, end, weight)
        return
    for first in range(begin, end, 16):
        for k0 in range(0, n_frames, 16):
            for i in range(first, min(first + 16, end)):
                to = at + j0 + own[row, i]
                for k in range(k0, min(k0 + 16, n_frames)):
                    flat[to + k] += weight * gamma[k, i - base]


@compiled
def _write_frame(flat, at, own, row, gamma, k, base, begin, end, weight):
    """As `_write`, one frame.

    The state of the first token (a blank, say) may be that of many, each of which would wait for the one
    before to be added; so these are added up apart.
    """
    first, sum_ = own[row, begin], gamma.dtype.type(0)
    for i in range(np.uint64(begin), np.uint64(end)):
        place, share = own[row, i], gamma[k, i - np.uint64(base)]
        if place == first:
            sum_ += share
        else:
            flat[np.uint64(at + place)] += weight * share
    flat[at + first] += weight * sum_
