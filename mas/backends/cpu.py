"""The search on a CPU, compiled by numba. Threads share the items of a batch.

B batch, T text tokens, S speech frames; i counts tokens, j counts frames. Q as in reference.py.

Frames are processed in tiles of 128. First a tile of scores is transposed. Then the tokens of one frame lie
side by side, so that the compiler can vectorise, and one column of Q stays in the first-level cache. Of each
cell only two bits are kept, move and skip: 16 frames of one token in a 32-bit word.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.added import Added
from mas.backends.cpu_added import add_noise, add_scaled, row_key
from mas.backends.cpu_states import state_durations
from mas.backends.cpu_threads import compiled, threads

__all__ = ["durations", "state_durations"]

_TILE = 128  # frames; long enough a stretch of each token's row for the memory to stream it
_ROWS = 16  # tokens transposed together: a cache line of the tile
_WORD = 16  # frames in one word of steps
_NEG_INF = np.float32(-np.inf)
_CELLS_WORTH_A_THREAD = 30_000  # below this, starting a thread costs more than its work


def durations(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    *,
    ties_move: bool = False,
    added: Added | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.durations`, by at most `torch.get_num_threads()` threads.

    Args:
        scores: `[B, T, S]`, any float type and strides, on the CPU.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        ties_move: On a tie of stay and move, move (NeMo's rule, for `mas.compat.b_mas` only).
        added: What is added to the scores, or None.
    """
    B, T, S = scores.shape
    flat, strides = _flat(scores)
    tokens, frames = text_lengths.long().numpy(), speech_lengths.long().numpy()
    may_skip = np.empty((0, 0), np.bool_) if skippable is None else skippable.contiguous().numpy()
    extra = _NOTHING if added is None else _extra(added)
    result = np.empty((B, T), np.int64)

    def align(items: NDArray[np.int64]) -> None:
        _align_items(flat, strides, T, S, tokens, frames, may_skip, ties_move, extra, items, result)

    cells = tokens * frames
    n_threads = min(B, torch.get_num_threads(), 1 + int(cells.sum()) // _CELLS_WORTH_A_THREAD)
    if n_threads <= 1:
        align(np.arange(B))
    else:
        longest_first = np.argsort(-cells, kind="stable")
        done = threads(n_threads - 1).map(align, [longest_first[n::n_threads] for n in range(1, n_threads)])
        align(longest_first[::n_threads])
        for _ in done:  # raises what a thread raised
            pass
    return torch.from_numpy(result)


class _Extra(NamedTuple):
    """`Added` as arrays; empty ones where there is no bias, or no noise."""

    bias: NDArray[np.float32]  # the bias's memory, with
    strides: NDArray[np.int64]  # of B, T and S
    bias_scale: NDArray[np.float32]  # [B]
    noise_scale: NDArray[np.float32]  # [B]
    seed: NDArray[np.int64]  # [1]


_NO_FLOATS, _NO_INTEGERS = np.empty(0, np.float32), np.empty(0, np.int64)
_NOTHING = _Extra(_NO_FLOATS, _NO_INTEGERS, _NO_FLOATS, _NO_FLOATS, _NO_INTEGERS)


def _extra(added: Added) -> _Extra:
    extra = _NOTHING
    if added.bias is not None and added.bias_scale is not None:
        bias, strides = _flat(added.bias)
        extra = extra._replace(bias=bias, strides=strides, bias_scale=added.bias_scale.numpy())
    if added.noise_scale is not None and added.seed is not None:
        extra = extra._replace(noise_scale=added.noise_scale.numpy(), seed=added.seed.numpy())
    return extra


def _flat(matrix: Tensor) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """The memory of a matrix `[B, T, S]`, as float32, and its strides; copied only if it must be."""
    matrix = matrix.float()
    if matrix.stride(1) != 1 and matrix.stride(2) != 1:
        matrix = matrix.contiguous()
    span = 1 + sum((n - 1) * stride for n, stride in zip(matrix.shape, matrix.stride(), strict=True))
    return matrix.as_strided((span,), (1,)).numpy(), np.array(matrix.stride())


@compiled
def _align_items(
    flat, strides, T, S, text_lengths, speech_lengths, skippable, ties_move, extra, items, result
):
    """Writes `result[b]` for each b in `items`. flat: the scores' memory, with `strides` of B, T and S."""
    T_most, S_most = 1, 1
    for b in items:
        T_most, S_most = max(T_most, min(T, text_lengths[b])), max(S_most, min(S, speech_lengths[b]))
    tile = np.empty(
        (_TILE, T_most + _ROWS), np.float32
    )  # more columns: rows of a power of two would share cache sets
    biased, noisy = extra.bias_scale.shape[0] > 0, extra.noise_scale.shape[0] > 0
    bias_tile = np.empty(tile.shape if biased else (0, 0), np.float32)
    keys = np.empty(T_most if noisy else 0, np.uint32)
    Q = np.empty((2, T_most + 2), np.float32)
    steps = np.empty(((S_most + _WORD - 1) // _WORD, T_most), np.uint32)
    before, after = np.empty(T_most, np.int64), np.empty(T_most, np.int64)
    skips = np.empty(T_most, np.int32)
    may_skip = skippable.shape[0] > 0
    for b in items:
        tokens, frames = text_lengths[b], speech_lengths[b]
        last = np.int64(-1)
        fits = 1 <= tokens <= T and 1 <= frames <= S
        if fits and _plan(tokens, frames, skippable, b, before, after, skips):
            may_end_early = tokens > 1 and may_skip and skippable[b, tokens - 1]
            if noisy:
                for i in range(tokens):
                    keys[i] = row_key(extra.seed[0], b, i)
            _search_forward(
                flat, strides[0] * b, strides[1], strides[2], tokens, frames,
                before, after, may_skip, skips, ties_move, extra, b, keys, tile, bias_tile, Q, steps,
            )  # fmt: skip
            last = _last(Q[0, 2 : tokens + 2], may_end_early)
        if last < 0:
            result[b] = -1
        else:
            result[b] = 0
            _search_backward(steps, last, frames, result[b])


@compiled
def _plan(tokens, frames, skippable, b, before, after, skips):
    """How many frames are needed `before` and `after` each token, and which one may be reached by a skip.

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


@compiled
def _search_forward(
    flat, first, stride_i, stride_j, tokens, frames, before, after, may_skip, skips, ties_move,
    extra, b, keys, tile, bias_tile, Q, steps,
):  # fmt: skip
    """Fills `steps`, and leaves the last column in Q[0].

    Q[:, i + 2] belongs to token i. Q[0, 1] is a token before the first, where every path starts. Max
    propagates NaN and +inf to the end; so if one occurs, the whole last column becomes NaN.
    """
    Q[:] = _NEG_INF
    Q[0, 1] = 0.0
    not_finite = False
    low, high = 0, 0
    for j0 in range(0, frames, _TILE):
        width = min(_TILE, frames - j0)
        tile_high = high
        while low < tokens and after[low] > frames - 1 - j0:
            low += 1
        while tile_high < tokens and before[tile_high] <= j0 + width - 1:
            tile_high += 1
        _transpose(flat, first + j0 * stride_j, stride_i, stride_j, low, tile_high, width, tile)
        if extra.bias_scale.shape[0]:
            bias_b, bias_i, bias_j = extra.strides[0], extra.strides[1], extra.strides[2]
            _transpose(extra.bias, b * bias_b + j0 * bias_j, bias_i, bias_j, low, tile_high, width, bias_tile)
            add_scaled(tile, bias_tile, extra.bias_scale[b], low, tile_high, width)
        if extra.noise_scale.shape[0]:
            add_noise(tile, keys, extra.noise_scale[b], j0, low, tile_high, width)
        for k in range(width):
            j = j0 + k
            word, bit = j // _WORD, np.uint32(j % _WORD)
            if bit == 0:
                steps[word, low:tile_high] = 0
            while low < tokens and after[low] > frames - 1 - j:
                low += 1
            while high < tokens and before[high] <= j:
                high += 1
            old = j & 1
            if may_skip:
                not_finite |= _column_with_skips(
                    Q, old, tile, k, steps, word, bit, low, high, ties_move, skips
                )
            else:
                not_finite |= _column(Q, old, tile, k, steps, word, bit, low, high, ties_move)
            Q[0, 1] = _NEG_INF
    if frames & 1:
        Q[0] = Q[1]
    if not_finite:
        Q[0] = np.nan


@compiled
def _last(q, may_end_early):
    """The token a path ends in, given the last column; -1 if its score is not finite."""
    last = q.shape[0] - 1
    if may_end_early and q[last] < q[last - 1]:
        last -= 1
    return last if q[last] > _NEG_INF else -1


@compiled
def _transpose(flat, first, stride_i, stride_j, low, high, width, tile):
    """tile[k, i] = score of token i at the tile's k-th frame, for low <= i < high."""
    first, stride_i, stride_j = np.uint64(first), np.uint64(stride_i), np.uint64(stride_j)
    low, high, width = np.uint64(low), np.uint64(high), np.uint64(width)
    rows = np.uint64(_ROWS)
    if stride_i == np.uint64(1):
        for k in range(width):
            for i in range(low, high):
                tile[k, i] = flat[first + k * stride_j + i]
        return
    whole = low + (high - low) // rows * rows
    for i0 in range(low, whole, rows):
        for k in range(width):
            for i in range(i0, i0 + rows):
                tile[k, i] = flat[first + i * stride_i + k * stride_j]
    for i in range(whole, high):
        for k in range(width):
            tile[k, i] = flat[first + i * stride_i + k * stride_j]


@compiled
def _column(Q, old, tile, k, steps, word, bit, low, high, ties_move):
    """One frame without skips: Q[1 - old] from Q[old], and a bit in `steps`. True if a NaN or +inf occurred.

    Takes whole arrays and indices, not rows: making a view of a row takes longer than a hundred tokens.
    """
    not_finite = False
    for i in range(np.uint64(low), np.uint64(high)):
        stay, move = Q[old, i + np.uint64(2)], Q[old, i + np.uint64(1)]
        moves = (stay < move) | (ties_move & (stay == move))
        q = (move if moves else stay) + tile[k, i]
        Q[1 - old, i + np.uint64(2)] = q
        steps[word, i] |= np.uint32(moves) << bit
        not_finite |= not q < np.float32(np.inf)
    return not_finite


@compiled
def _column_with_skips(Q, old, tile, k, steps, word, bit, low, high, ties_move, skips):
    """As `_column`. The bit 16 higher says that the token before is skipped; it overrides the lower bit."""
    not_finite = False
    for i in range(np.uint64(low), np.uint64(high)):
        stay, move = Q[old, i + np.uint64(2)], Q[old, i + np.uint64(1)]
        skip = Q[old, i] if skips[i] != 0 else _NEG_INF
        moves = (stay < move) | (ties_move & (stay == move))
        best = move if moves else stay
        jumps = best < skip
        q = (skip if jumps else best) + tile[k, i]
        Q[1 - old, i + np.uint64(2)] = q
        steps[word, i] |= (np.uint32(moves) | np.uint32(jumps) << np.uint32(_WORD)) << bit
        not_finite |= not q < np.float32(np.inf)
    return not_finite


@compiled
def _search_backward(steps, i, frames, durations):
    """Walks back from token i at the last frame, counting frames."""
    for j in range(frames - 1, 0, -1):
        durations[i] += 1
        step = steps[j // _WORD, i] >> np.uint32(j % _WORD)
        if step & np.uint32(1 << _WORD):
            i -= 2
        elif step & np.uint32(1):
            i -= 1
    durations[i] += 1
