"""The way back of the search by rows (triton_rows.py): durations from its decisions.

One program, one warp, follows the path of one item from the end, K frames at a time. It reads the words of
the next K frames, for all rows that the path can have reached by then, while it follows those before.
"""

import triton
import triton.language as tl

_LANES = tl.constexpr(32)

_BACK_ANY_VALUE = [
    "words", "notes", "text_lengths", "speech_lengths", "skippable", "result", "n_blocks", "pitch",
    "n_messages", "B", "T",
]  # fmt: skip


@triton.jit(do_not_specialize=_BACK_ANY_VALUE)
def way_back_kernel(
    words, notes, text_lengths, speech_lengths, skippable, result, n_blocks, pitch, n_messages, B, T,
    K: tl.constexpr, SKIPS: tl.constexpr,
):  # fmt: skip
    """Writes durations to `result` `[B, T]`, or -1."""
    NEG_INF: tl.constexpr = float("-inf")
    WINDOW: tl.constexpr = 2 * _LANES if SKIPS else _LANES  # rows a path can move down in 2 * K columns
    b = tl.program_id(0).to(tl.int64)
    T64 = tl.full([], 1, tl.int64) * T
    lane = tl.arange(0, _LANES)
    slot = tl.arange(0, WINDOW)
    result += b * T64
    words += b * n_blocks * pitch
    fit = notes + tl.full([], 1, tl.int64) * n_messages + 1
    ends = fit + B + 2 * b
    found = tl.load(fit + b) != 0
    end = tl.load(text_lengths + b).to(tl.int32) - 1
    frames = tl.load(speech_lengths + b).to(tl.int32)
    q = tl.load(ends, mask=found, other=0).to(tl.float32, bitcast=True)
    if SKIPS:
        may_end_early = tl.load(skippable + b * T64 + end, mask=found & (end > 0), other=0) != 0
        q_before = tl.load(ends + 1, mask=may_end_early, other=0).to(tl.float32, bitcast=True)
        q_before = tl.where(may_end_early, q_before, NEG_INF)
        end = tl.where(q < q_before, end - 1, end)
        q = tl.maximum(q, q_before, propagate_nan=tl.PropagateNan.ALL)
    found = found & (q > NEG_INF) & (q < -NEG_INF)
    for base in range(0, T, 256):
        place = base + tl.arange(0, 256)
        tl.store(result + place, tl.where(found, 0, -1) + tl.zeros([256], tl.int64), mask=place < T)
    tl.debug_barrier()
    if found:
        i = end + lane * 0
        block = (frames - 1) // K
        base = end - (WINDOW - 1)
        window = _window(words, pitch, block, base, frames, slot, K, SKIPS)
        until = frames + lane * 0
        for back in range(block + 1):
            n = block - back
            # The path moves down K rows at most in this block, and K in the next one.
            next_base = tl.max(i) - (WINDOW - 1)
            next_window = _window(words, pitch, n - 1, next_base, frames, slot, K, SKIPS)
            place = i - base
            word = tl.gather(window, place, 0)
            one_above = tl.gather(window, (place - 1) & (WINDOW - 1), 0)
            two_above = one_above
            if SKIPS:
                two_above = tl.gather(window, (place - 2) & (WINDOW - 1), 0)
            for k in tl.static_range(K):
                leaves = (word >> k) & 1
                step = leaves
                if SKIPS:
                    step += leaves & (word >> (K + k))
                j = n * K + (K - 1 - k)
                tl.store(result + base + place, (until - j).to(tl.int64), mask=(leaves != 0) & (lane == 0))
                until = tl.where(leaves != 0, j, until)
                place -= step
                word = tl.where(leaves != 0, tl.where(step == 2, two_above, one_above), word)
                one_above = tl.gather(window, (place - 1) & (WINDOW - 1), 0)
                if SKIPS:
                    two_above = tl.gather(window, (place - 2) & (WINDOW - 1), 0)
            i = base + place
            window, base = next_window, next_base
        tl.store(result + i, until.to(tl.int64), mask=lane == 0)


@triton.jit
def _window(words, pitch, block, base, frames, slot, K: tl.constexpr, SKIPS: tl.constexpr):
    """Words of a block for rows from `base` on, without decisions at the first column or behind the last."""
    at = words + block * pitch.to(tl.int64) + base + slot
    word = tl.load(at, mask=(block >= 0) & (base + slot >= 0), other=0).to(tl.int32)
    open_ = tl.where(block == 0, (1 << (K - 1)) - 1, (1 << K) - 1)
    beyond = tl.maximum((block + 1) * K - frames, 0)
    open_ = (open_ >> beyond) << beyond
    if SKIPS:
        return word & (open_ | (-1 << K))
    else:
        return word & open_
