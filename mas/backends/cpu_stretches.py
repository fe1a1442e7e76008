"""The search over states' emissions on a CPU, compiled by numba.

F packed frames, M states, T text tokens; i counts tokens, j counts an item's frames. Q as in reference.py.

Frame by frame, the emissions of the item's states are gathered (a loop of its own, which is as fast as the
cache), and then a column of Q is computed from the one before (a loop that the compiler vectorises).

Of an item of few cells, the step to each cell is kept, a byte, and followed back. Of a longer one, only
columns of Q are kept, `distance` frames apart. Then, from the last to the first, each stretch between two of
them is searched again, this time with steps, and only in the tokens from which the path's place at the end of
the stretch can be reached: `distance` of them, twice as many with skips. So the second search is short, and a
chapter of 180,000 frames and 58,000 tokens needs 40 MB.

A token at one frame depends on itself and the token before it (with skips, two) at the frame before. So a
range of tokens can be searched by itself for n frames, if it begins with the n (2n) tokens before it, of
which each frame needs one (two) less. Threads share the tokens of a long item in this way, and each cuts its
range into slices and blocks of frames that stay in the first-level cache.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mas.backends.cpu_threads import compiled

_NEG_INF = np.float32(-np.inf)


class Sizes(NamedTuple):
    """How items are cut up.

    Args:
        at_once: Items of at most so many cells are searched once.
        least_distance: Frames between the columns of Q that are kept of a longer item.
        block: Frames that a slice is searched for.
        slice: Tokens; what is needed of them, 16 bytes each, stays in the first-level cache.
    """

    at_once: int = 1 << 20
    least_distance: int = 256
    block: int = 64
    slice: int = 2048


class Item(NamedTuple):
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
    columns: NDArray[np.uint32]
    skips: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    ends_early: bool


class Batch(NamedTuple):
    """All items, as numpy arrays: the memory of the emissions, its strides and F and M, and the rest."""

    flat: NDArray[np.float32]
    strides: tuple[int, int]
    shape: tuple[int, int]
    starts: NDArray[np.int64]  # [B]
    states: NDArray[np.int64]  # [B, T]
    text_lengths: NDArray[np.int64]  # [B]
    speech_lengths: NDArray[np.int64]  # [B]
    skippable: NDArray[np.bool_]  # [B, T], or [0, 0]


@compiled
def align_items(batch, items, sizes, result):
    """Writes `result[b]` for each b in `items`."""
    for b in items:
        fits, item = prepared(batch, b)
        result[b] = -1
        if not fits:
            continue
        distance = distance_of(len(item.columns), len(item.low), sizes)
        kept = room_for_columns(item, distance)
        for n in range(1, len(kept)):
            j1 = n * distance
            low, high = item.low[j1 - 1], item.high[j1 - 1]
            if advance(item, kept[n - 1], kept[n], j1 - distance, j1, low, high, sizes):
                fits = False
                break
        if fits:
            result[b] = 0
            if not follow_back(item, kept, distance, result[b]):
                result[b] = -1


@compiled
def distance_of(tokens, frames, sizes):
    """Frames between the columns that are kept of an item.

    Memory is 4 * tokens * frames / distance for them and 1 or 2 * distance**2 for the steps of a stretch; so
    the distance grows with the cube root of the cells. Half of it makes the second search shorter.
    """
    if tokens * frames <= sizes.at_once:
        return max(1, frames)
    return max(sizes.least_distance, int(0.5 * (float(tokens) * frames) ** (1 / 3)))


@compiled
def room_for_columns(item, distance):
    """For Q at the frame before each stretch. Before the first there is nothing to be kept."""
    frames = len(item.low)
    return np.empty(((frames + distance - 1) // distance, len(item.columns)), np.float32)


@compiled
def prepared(batch, b):
    """Whether an item may have a path, and if so the `Item`."""
    (F, M), (stride_f, stride_m) = batch.shape, batch.strides
    start, tokens, frames = batch.starts[b], batch.text_lengths[b], batch.speech_lengths[b]
    fits = 1 <= tokens <= batch.states.shape[1] and frames >= 1 and 0 <= start <= F - frames
    if not fits:
        start, tokens, frames = 0, 0, 0
    columns = np.empty(tokens, np.uint64)
    for i in range(tokens):
        state = batch.states[b, i]
        fits &= 0 <= state < M
        columns[i] = state * stride_m
    may_skip = len(batch.skippable) > 0
    skips = np.empty(tokens if may_skip else 0, np.bool_)
    low, high = np.empty(frames, np.int64), np.empty(frames, np.int64)
    needed = tokens
    for i in range(len(skips)):
        needed -= batch.skippable[b, i]
        skips[i] = i > 0 and batch.skippable[b, i - 1]
        fits &= not (skips[i] and batch.skippable[b, i])
    fits &= needed <= frames
    if fits:
        visitable(batch.skippable, b, tokens, needed, low, high)
    ends_early = may_skip and tokens > 1 and batch.skippable[b, tokens - 1]
    return fits, Item(batch.flat, start * stride_f, stride_f, columns, skips, low, high, ends_early)


@compiled
def visitable(skippable, b, tokens, needed, low, high):
    """Fills `low` and `high` of an `Item` whose tokens need at least `needed` frames."""
    first, before_next = 0, 1 - (len(skippable) > 0 and skippable[b, 0])
    end, before_end = 0, 0  # before: the frames that the tokens before need
    frames = len(low)
    for j in range(frames):
        while end < tokens and before_end <= j:
            before_end += 1 - (len(skippable) > 0 and skippable[b, end])
            end += 1
        while needed - before_next > frames - 1 - j:
            first += 1
            before_next += 1 - (len(skippable) > 0 and skippable[b, first])
        low[j], high[j] = first, end


@compiled
def advance(item, source, target, j0, j1, i0, i1, sizes):
    """Q of the tokens i0 to i1 - 1 at frame j1 - 1, into `target`. True if a NaN or +inf occurred.

    source: Q at frame j0 - 1; unused if j0 is 0.
    """
    reach = 2 if len(item.skips) else 1
    between = np.empty((2, len(item.columns)), np.float32)
    not_finite = False
    for j in range(j0, j1, sizes.block):
        end = min(j + sizes.block, j1)
        to = target if end == j1 else between[(j - j0) // sizes.block % 2]
        first, last = max(item.low[end - 1], i0 - reach * (j1 - end)), min(item.high[end - 1], i1)
        for i in range(first, last, sizes.slice):
            not_finite |= _advance_slice(item, source, to, j, end, i, min(i + sizes.slice, last))
        source = to
    return not_finite


@compiled
def _advance_slice(item, source, target, j0, j1, i0, i1):
    """As `advance`, for tokens and frames few enough for the cache."""
    reach = 2 if len(item.skips) else 1
    base = max(0, i0 - reach * (j1 - j0))
    scores, old, new = _columns(item, source, j0, base, i1)
    not_finite = False
    for j in range(j0, j1):
        begin, end = max(item.low[j], i0 - reach * (j1 - 1 - j)) - base, min(item.high[j], i1) - base
        _gather(item, j, base, begin, end, scores)
        if len(item.skips):
            not_finite |= _column_with_skips(scores, old, new, item.skips, base, begin, end)
        else:
            not_finite |= _column(scores, old, new, begin, end)
        old[1] = _NEG_INF
        old, new = new, old
    for i in range(max(i0, item.low[j1 - 1]), min(i1, item.high[j1 - 1])):
        target[i] = old[i - base + 2]
    return not_finite


@compiled
def follow_back(item, kept, distance, durations):
    """Counts the frames of each token in `durations`. False if the item has no path."""
    tokens, frames = len(item.columns), len(item.low)
    i_low, i = max(0, tokens - 2), tokens - 1
    for n in range(len(kept) - 1, -1, -1):
        j0 = n * distance
        i = _follow_stretch(item, kept[n], j0, min(j0 + distance, frames), i_low, i, durations)
        if i < 0:
            return False
        i_low = i
    return True


@compiled
def _follow_stretch(item, source, j0, j1, i_low, i, durations):
    """Follows the path back from frame j1 - 1 to j0, counting frames; gives its token at frame j0 - 1.

    The path is in token i at frame j1 - 1; at an item's last frame it may be in `i_low`, too, and gives -1 if
    there is no path. source: Q at frame j0 - 1; unused if j0 is 0.
    """
    reach = 2 if len(item.skips) else 1
    base = max(0, item.low[j0] - reach, i_low - reach * (j1 - j0))
    width = i + 1 - base
    scores, old, new = _columns(item, source, j0, base, i + 1)
    steps = np.empty((j1 - j0) * width, np.uint8)
    not_finite = False
    for j in range(j0, j1):
        begin, end = max(item.low[j], i_low - reach * (j1 - 1 - j)) - base, min(item.high[j], i + 1) - base
        _gather(item, j, base, begin, end, scores)
        at = (j - j0) * width
        if len(item.skips):
            not_finite |= _steps_with_skips(scores, old, new, item.skips, base, begin, end, steps, at)
        else:
            not_finite |= _steps(scores, old, new, begin, end, steps, at)
        old[1] = _NEG_INF
        old, new = new, old
    if j1 == len(item.low):
        if item.ends_early and old[width + 1] < old[width]:
            i -= 1
        if not_finite or not old[i - base + 2] > _NEG_INF:
            return -1
    for j in range(j1 - 1, j0 - 1, -1):
        durations[i] += 1
        if j > 0:
            i -= steps[(j - j0) * width + i - base]
    return i


@compiled
def _columns(item, source, j0, base, end):
    """Room for the scores of a frame, and two columns of Q, for the tokens from `base` to `end`.

    The columns begin with room for the two tokens before `base`. The first is that of frame j0 - 1. Before
    the first frame, every path is in the token before the first. Tokens that no path can be in yet are -inf
    in both. Those too early to reach the end may hold anything: no path leads from them to those that can.
    """
    scores = np.empty(end - base, np.float32)
    old, new = np.full(end - base + 2, _NEG_INF), np.full(end - base + 2, _NEG_INF)
    if j0 == 0:
        old[1] = 0.0
    else:
        for i in range(base, min(end, item.high[j0 - 1])):
            old[i - base + 2] = source[i]
    return scores, old, new


# The loops over tokens. Unsigned indices spare them the check for negative ones, which would keep the
# compiler from vectorising; `begin` and `end` count from `base`.


@compiled
def _gather(item, j, base, begin, end, scores):
    """The scores of frame j."""
    at, base = np.uint64(item.at + j * item.stride), np.uint64(base)
    for i in range(np.uint64(begin), np.uint64(end)):
        scores[i] = item.flat[at + item.columns[base + i]]


@compiled
def _column(scores, old, new, begin, end):
    """Q of one frame from that of the frame before. True if a NaN or +inf occurred."""
    not_finite = False
    for i in range(np.uint64(begin), np.uint64(end)):
        stay, move = old[i + np.uint64(2)], old[i + np.uint64(1)]
        q = (move if stay < move else stay) + scores[i]
        new[i + np.uint64(2)] = q
        not_finite |= not q < np.float32(np.inf)
    return not_finite


@compiled
def _column_with_skips(scores, old, new, skips, base, begin, end):
    """As `_column`."""
    not_finite = False
    base = np.uint64(base)
    for i in range(np.uint64(begin), np.uint64(end)):
        stay, move, skip = old[i + np.uint64(2)], old[i + np.uint64(1)], old[i]
        best = move if stay < move else stay
        skip = skip if skips[base + i] else _NEG_INF
        q = (skip if best < skip else best) + scores[i]
        new[i + np.uint64(2)] = q
        not_finite |= not q < np.float32(np.inf)
    return not_finite


@compiled
def _steps(scores, old, new, begin, end, steps, at):
    """As `_column`, and the step to each token: 0 stay, 1 move."""
    not_finite = False
    at = np.uint64(at)
    for i in range(np.uint64(begin), np.uint64(end)):
        stay, move = old[i + np.uint64(2)], old[i + np.uint64(1)]
        q = (move if stay < move else stay) + scores[i]
        new[i + np.uint64(2)] = q
        steps[at + i] = np.uint8(stay < move)
        not_finite |= not q < np.float32(np.inf)
    return not_finite


@compiled
def _steps_with_skips(scores, old, new, skips, base, begin, end, steps, at):
    """As `_steps`; 2 skip."""
    not_finite = False
    base, at = np.uint64(base), np.uint64(at)
    for i in range(np.uint64(begin), np.uint64(end)):
        stay, move, skip = old[i + np.uint64(2)], old[i + np.uint64(1)], old[i]
        moves = stay < move
        best = move if moves else stay
        skip = skip if skips[base + i] else _NEG_INF
        jumps = best < skip
        q = (skip if jumps else best) + scores[i]
        new[i + np.uint64(2)] = q
        steps[at + i] = np.uint8(2) if jumps else np.uint8(moves)
        not_finite |= not q < np.float32(np.inf)
    return not_finite
