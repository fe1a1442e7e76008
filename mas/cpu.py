"""The search on a CPU: numba, threads over the batch.

B batch, T text tokens, S speech frames; i counts tokens, j frames. Q as in reference.py.

Frames are walked in tiles of 16. A tile of scores is transposed so that the tokens of one frame lie side by side and
the compiler can work on many at once; one column of Q stays in the first-level cache. Of each cell only two bits are
kept, move and skip, 16 frames of one token to a 32-bit word.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_TILE = 16
_NEVER = np.float32(-np.inf)
_CELLS_WORTH_A_THREAD = 30_000  # below this, handing work to a thread costs more than doing it


def durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """Scores `[B, T, S]` of any strides -> int64 `[B, T]`, as `mas.reference.durations`.

    Uses `torch.get_num_threads()` threads.
    """
    B, T, S = scores.shape
    scores = scores.float()
    if scores.stride(1) != 1 and scores.stride(2) != 1:
        scores = scores.contiguous()
    span = 1 + sum((n - 1) * stride for n, stride in zip(scores.shape, scores.stride(), strict=True))
    flat = scores.as_strided((span,), (1,)).numpy()
    tokens, frames = text_lengths.long().numpy(), speech_lengths.long().numpy()
    may_skip = np.empty((0, 0), np.bool_) if skippable is None else skippable.contiguous().numpy()
    result = np.empty((B, T), np.int64)

    def align(items: NDArray[np.int64]) -> None:
        _align_items(flat, np.array(scores.stride()), T, S, tokens, frames, may_skip, items, result)

    cells = tokens * frames
    n_threads = min(B, torch.get_num_threads(), 1 + int(cells.sum()) // _CELLS_WORTH_A_THREAD)
    if n_threads <= 1:
        align(np.arange(B))
    else:
        longest_first = np.argsort(-cells, kind="stable")
        done = _threads(n_threads - 1).map(align, [longest_first[n::n_threads] for n in range(1, n_threads)])
        align(longest_first[::n_threads])
        for _ in done:  # hands on what a thread raised
            pass
    return torch.from_numpy(result)


_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def _threads(n: int) -> ThreadPoolExecutor:
    """At least `n` threads, kept between calls. numba's own threads survive neither fork nor two callers at once."""
    global _pool, _pool_size
    if _pool is None or _pool_size < n:
        _pool, _pool_size = ThreadPoolExecutor(n, thread_name_prefix="mas"), n
    return _pool


def _forget_threads() -> None:
    """Threads do not live on in a forked process."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _compiled(function: Callable) -> Callable:
    """Compiled on first use and kept on disk; where no folder can be written (a read-only install), only in memory."""
    try:
        return numba.njit(function, nogil=True, cache=True, error_model="numpy")
    except RuntimeError:
        return numba.njit(function, nogil=True, error_model="numpy")


@_compiled
def _align_items(flat, strides, T, S, text_lengths, speech_lengths, skippable, items, result):
    """Writes `result[b]` for each b in `items`. flat: the scores' memory, entered by the `strides` of B, T and S."""
    T_most, S_most = 1, 1
    for b in items:
        T_most, S_most = max(T_most, min(T, text_lengths[b])), max(S_most, min(S, speech_lengths[b]))
    tile = np.empty((_TILE, T_most), np.float32)
    Q = np.empty((2, T_most + 2), np.float32)
    steps = np.empty(((S_most + _TILE - 1) // _TILE, T_most), np.uint32)
    before, after = np.empty(T_most, np.int64), np.empty(T_most, np.int64)
    skips = np.empty(T_most, np.int32)
    for b in items:
        tokens, frames = text_lengths[b], speech_lengths[b]
        last = np.int64(-1)
        if (
            1 <= tokens <= T
            and 1 <= frames <= S
            and _plan(tokens, frames, skippable, b, before, after, skips)
        ):
            may_end_early = tokens > 1 and skippable.shape[0] > 0 and skippable[b, tokens - 1]
            first = strides[0] * b
            last = _forward(
                flat, first, strides[1], strides[2], tokens, frames, before, after, skippable.shape[0] > 0, skips,
                may_end_early, tile, Q, steps,
            )  # fmt: skip
        if last < 0:
            result[b] = -1
        else:
            result[b] = 0
            _backward(steps, last, frames, result[b])


@_compiled
def _plan(tokens, frames, skippable, b, before, after, skips):
    """Fills in how many frames are needed `before` and `after` each token and which one may be reached by a skip.

    False if the item has no path, whatever its scores.
    """
    may_skip = skippable.shape[0] > 0
    needed = 0
    neighbours = False
    for i in range(tokens):
        before[i] = needed
        needed += not (may_skip and skippable[b, i])
        after[i] = -needed
        skips[i] = may_skip and i > 0 and skippable[b, i - 1]
        neighbours |= skips[i] != 0 and skippable[b, i]
    for i in range(tokens):
        after[i] += needed
    return not neighbours and needed <= frames


@_compiled
def _forward(
    flat,
    first,
    stride_i,
    stride_j,
    tokens,
    frames,
    before,
    after,
    may_skip,
    skips,
    may_end_early,
    tile,
    Q,
    steps,
):
    """Fills `steps`, and gives the path's last token; -1 if the best score is not finite.

    Q[:, i + 2] belongs to token i. Q[0, 1] is a token before the first, where every path comes from.
    """
    Q[:] = _NEVER
    Q[0, 1] = 0.0
    strange = False  # a NaN or +inf somewhere on the way, which max would hand on to the end
    low, high = 0, 0
    for j0 in range(0, frames, _TILE):
        width = min(_TILE, frames - j0)
        row_low, row_high = low, high
        while row_low < tokens and after[row_low] > frames - 1 - j0:
            row_low += 1
        while row_high < tokens and before[row_high] <= j0 + width - 1:
            row_high += 1
        _gather(flat, first + j0 * stride_j, stride_i, stride_j, row_low, row_high, width, tile)
        word = steps[j0 // _TILE]
        word[row_low:row_high] = 0
        for k in range(width):
            j = j0 + k
            while low < tokens and after[low] > frames - 1 - j:
                low += 1
            while high < tokens and before[high] <= j:
                high += 1
            if may_skip:
                strange |= _column_with_skips(
                    Q[j & 1], Q[1 - (j & 1)], tile[k], word, np.uint32(k), low, high, skips
                )
            else:
                strange |= _column(Q[j & 1], Q[1 - (j & 1)], tile[k], word, np.uint32(k), low, high)
            Q[0, 1] = _NEVER
    q = Q[frames & 1, 2 : tokens + 2]
    last = tokens - 1
    if may_end_early and q[last] < q[last - 1]:
        last -= 1
    if strange or not q[last] > _NEVER:
        return -1
    return last


@_compiled
def _gather(flat, first, stride_i, stride_j, low, high, width, tile):
    """tile[k, i] = score of token i at the tile's k-th frame, for low <= i < high."""
    first, stride_i, stride_j = np.uint64(first), np.uint64(stride_i), np.uint64(stride_j)
    if stride_i == np.uint64(1):
        for k in range(width):
            for i in range(np.uint64(low), np.uint64(high)):
                tile[k, i] = flat[first + np.uint64(k) * stride_j + i]
    elif stride_j == np.uint64(1) and width == _TILE:
        for i in range(np.uint64(low), np.uint64(high)):
            for k in range(np.uint64(_TILE)):
                tile[k, i] = flat[first + i * stride_i + k]
    else:
        for i in range(np.uint64(low), np.uint64(high)):
            for k in range(np.uint64(width)):
                tile[k, i] = flat[first + i * stride_i + k * stride_j]


@_compiled
def _column(old, new, x, word, k, low, high):
    """One frame without skips: `new` from `old`, and bit k of `word`. True if a NaN or +inf turned up."""
    strange = False
    for i in range(np.uint64(low), np.uint64(high)):
        stay, move = old[i + np.uint64(2)], old[i + np.uint64(1)]
        moves = stay < move
        q = (move if moves else stay) + x[i]
        new[i + np.uint64(2)] = q
        word[i] |= np.uint32(moves) << k
        strange |= not q < np.float32(np.inf)
    return strange


@_compiled
def _column_with_skips(old, new, x, word, k, low, high, skips):
    """As `_column`; bit 16 + k says that the token before is skipped, whatever bit k says."""
    strange = False
    for i in range(np.uint64(low), np.uint64(high)):
        stay, move = old[i + np.uint64(2)], old[i + np.uint64(1)]
        skip = old[i] if skips[i] != 0 else _NEVER
        moves = stay < move
        best = move if moves else stay
        jumps = best < skip
        q = (skip if jumps else best) + x[i]
        new[i + np.uint64(2)] = q
        word[i] |= (np.uint32(moves) | np.uint32(jumps) << np.uint32(_TILE)) << k
        strange |= not q < np.float32(np.inf)
    return strange


@_compiled
def _backward(steps, i, frames, durations):
    """Walks back from token i at the last frame, counting frames."""
    for j in range(frames - 1, 0, -1):
        durations[i] += 1
        step = steps[j // _TILE, i] >> np.uint32(j % _TILE)
        if step & np.uint32(1 << _TILE):
            i -= 2
        elif step & np.uint32(1):
            i -= 1
    durations[i] += 1
