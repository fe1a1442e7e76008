"""The search over states' emissions on a CPU, compiled by numba.

F packed frames, M states, T text tokens; i counts tokens, j counts an item's frames. Q as in reference.py.

An item of few cells is searched in one go: of each cell a byte, its step, is kept for the way back. Of a
longer one, only columns of Q are kept, each `distance` frames apart. Then, from the last to the first, each
stretch between two such columns is searched again, in the tokens that can lead to where the path leaves it:
the way back is known to the end of the stretch, and a token is at most one (two, with skips) behind the next
frame's. So the second search is short, and a chapter of 180,000 frames needs 40 MB.

The first search of a long item goes through the frames in blocks of 64.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.backends.cpu_threads import compiled

_CELLS_AT_ONCE = 1 << 21  # an item of more cells is searched twice
_BLOCK = 64  # frames
_LEAST_BLOCKS_BETWEEN = 4
_KEPT_BYTES = 40e6  # for the columns of Q of one item, where possible
_NEG_INF = np.float32(-np.inf)


class _Item(NamedTuple):
    """What is searched: n tokens, k frames.

    Args:
        flat: The memory of the emissions.
        at: Where the item's first frame begins in it.
        stride: From a frame to the next.
        columns: `[n]`, where the state of each token is in a frame.
        skips: `[n]`, whether the token may be reached from the last but one; empty where none may be.
        low: `[k]`, the first token that a path can be in at each frame.
        high: `[k]`, one more than the last.
        ends_early: Whether a path may end in the last token but one.
    """

    flat: NDArray[np.float32]
    at: int
    stride: int
    columns: NDArray[np.int64]
    skips: NDArray[np.bool_]
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    ends_early: bool


def state_durations(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.state_durations`.

    Args:
        emissions: `[F, M]`, any float type and strides, on the CPU.
        starts: `[B]`.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
    """
    B, T = states.shape
    F, M = emissions.shape
    emissions = emissions.float()
    stride_f, stride_m = emissions.stride()
    flat = emissions.as_strided((1 + (F - 1) * stride_f + (M - 1) * stride_m,), (1,)).numpy()
    own_states = states.long().contiguous().numpy()
    may_skip = np.empty((0, 0), np.bool_) if skippable is None else skippable.contiguous().numpy()
    first, tokens, frames = (t.long().numpy() for t in (starts, text_lengths, speech_lengths))
    result = np.full((B, T), -1)

    for b in range(B):
        fits = 1 <= tokens[b] <= T and frames[b] >= 1 and 0 <= first[b] <= F - frames[b]
        if not fits:
            continue
        n, k = int(tokens[b]), int(frames[b])
        own_skips = may_skip[b, :n] if len(may_skip) else may_skip[:0, 0:0].reshape(-1)
        skips, low, high = np.empty(len(own_skips), np.bool_), np.empty(k, np.int32), np.empty(k, np.int32)
        own = own_states[b, :n]
        if own.min() < 0 or own.max() >= M or not _plan(n, k, own_skips, skips, low, high):
            continue
        ends_early = bool(n > 1 and len(own_skips) and own_skips[-1])
        item = _Item(flat, int(first[b]) * stride_f, stride_f, own * stride_m, skips, low, high, ends_early)
        result[b] = 0
        if not _align(item, result[b]):
            result[b] = -1
    return torch.from_numpy(result)


def _align(item: _Item, durations: NDArray[np.int64]) -> bool:
    """Counts the frames of each token in `durations`, which are 0. False if the item has no path."""
    n, k = len(item.columns), len(item.low)
    distance = k
    if n * k > _CELLS_AT_ONCE:
        distance = _BLOCK * max(_LEAST_BLOCKS_BETWEEN, int(4 * n * k / _KEPT_BYTES / _BLOCK))
    kept = np.empty(
        (-(-k // distance), n), np.float32
    )  # Q at the frame before each stretch; the first unused
    between = np.empty((2, n), np.float32)
    last = (len(kept) - 1) * distance  # the stretch of the last frame is not searched twice
    source = kept[0]
    for j in range(0, last, _BLOCK):
        end = j + _BLOCK
        target = kept[end // distance] if end % distance == 0 else between[end // _BLOCK % 2]
        if _advance(item, source, target, j, end, item.low[end - 1], item.high[end - 1]):
            return False
        source = target
    i = _trace(item, kept[-1], last, k, max(0, n - 2), n - 1, durations)
    for stretch in range(len(kept) - 2, -1, -1):
        if i < 0:
            break
        i = _trace(item, kept[stretch], stretch * distance, (stretch + 1) * distance, i, i, durations)
    return i >= 0


@compiled
def _plan(tokens, frames, skippable, skips, low, high):
    """Fills `skips`, `low` and `high` of an `_Item`. False if it has no path, whatever its scores."""
    needed = tokens
    for i in range(len(skippable)):
        needed -= skippable[i]
        skips[i] = i > 0 and skippable[i - 1]
        if skips[i] and skippable[i]:
            return False
    if needed > frames:
        return False
    first, before_first = 0, 0  # the token, and how many frames the tokens before it need
    end, before_end = 0, 0
    for j in range(frames):
        while end < tokens and before_end <= j:
            before_end += not (len(skippable) and skippable[end])
            end += 1
        while True:  # ends at the last token at the latest: it needs no frames after it
            before_next = before_first + (not (len(skippable) and skippable[first]))
            if needed - before_next <= frames - 1 - j:
                break
            before_first = before_next
            first += 1
        low[j], high[j] = first, end
    return True


@compiled
def _advance(item, source, target, j0, j1, i0, i1):
    """Q of the tokens i0 to i1 - 1 at frame j1 - 1, into `target`. True if a NaN or +inf occurred.

    source: Q at frame j0 - 1; unused if j0 is 0.
    """
    reach = 2 if len(item.skips) else 1
    base = max(0, i0 - reach * (j1 - j0))
    old, new = _columns_of_q(item, source, j0, base, i1)
    no_steps = np.empty(0, np.uint8)
    not_finite = False
    for j in range(j0, j1):
        begin, end = max(item.low[j], i0 - reach * (j1 - 1 - j)), min(item.high[j], i1)
        not_finite |= _column(item, old, new, j, base, begin, end, no_steps)
        old[1] = _NEG_INF
        old, new = new, old
    for i in range(max(i0, item.low[j1 - 1]), min(i1, item.high[j1 - 1])):
        target[i] = old[i - base + 2]
    return not_finite


@compiled
def _trace(item, source, j0, j1, i_low, i_high, durations):
    """Follows the path back from frame j1 - 1 to j0, counting frames; gives its token at frame j0 - 1.

    The path is in token i_low to i_high at frame j1 - 1. If it is the last frame, that token is found here.
    Gives -1 if there is no path. source: Q at frame j0 - 1; unused if j0 is 0.
    """
    frames = len(item.low)
    reach = 2 if len(item.skips) else 1
    base = max(0, i_low - reach * (j1 - j0))
    width = i_high + 1 - base
    old, new = _columns_of_q(item, source, j0, base, i_high + 1)
    steps = np.empty((j1 - j0) * width, np.uint8)
    not_finite = False
    for j in range(j0, j1):
        begin, end = max(item.low[j], i_low - reach * (j1 - 1 - j)), min(item.high[j], i_high + 1)
        not_finite |= _column(
            item, old, new, j, base, begin, end, steps[(j - j0) * width : (j - j0 + 1) * width]
        )
        old[1] = _NEG_INF
        old, new = new, old
    i = i_high
    if j1 == frames:
        if item.ends_early and old[i - base + 2] < old[i - base + 1]:
            i -= 1
        if not_finite or not old[i - base + 2] > _NEG_INF:
            return -1
    for j in range(j1 - 1, j0 - 1, -1):
        durations[i] += 1
        if j > 0:
            i -= steps[(j - j0) * width + i - base]
    return i


@compiled
def _columns_of_q(item, source, j0, base, end):
    """Two columns of Q for the tokens from `base` to `end`, each after room for the two before `base`.

    The first is that of frame j0 - 1. Before the first frame, every path is in the token before the first.
    Tokens that no path can be in yet are -inf in both. Those too early to reach the end may hold anything:
    no path leads from them to those that can.
    """
    old, new = np.full(end - base + 2, _NEG_INF), np.full(end - base + 2, _NEG_INF)
    if j0 == 0:
        old[1] = 0.0
    else:
        for i in range(base, min(end, item.high[j0 - 1])):
            old[i - base + 2] = source[i]
    return old, new


@compiled
def _column(item, old, new, j, base, begin, end, steps):
    """Q of one frame from that of the frame before. True if a NaN or +inf occurred.

    steps: if not empty, gets the step to each token, 0 to 2.
    """
    not_finite = False
    at = item.at + j * item.stride
    for i in range(begin, end):
        stay, move = old[i - base + 2], old[i - base + 1]
        step = np.uint8(stay < move)
        best = move if stay < move else stay
        if len(item.skips) and item.skips[i] and best < old[i - base]:
            best = old[i - base]
            step = np.uint8(2)
        q = best + item.flat[at + item.columns[i]]
        new[i - base + 2] = q
        if len(steps):
            steps[i - base] = step
        not_finite |= not q < np.float32(np.inf)
    return not_finite
