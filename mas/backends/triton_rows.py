# mypy: disable-error-code="assignment"
# (in kernels, tuples grow in loops)

"""The search in Triton by rows: many small programs for an item, each with some of its tokens.

B batch, T text tokens, S speech frames, F packed frames, M states; i counts tokens (rows), j counts frames
(columns). Q as in reference.py.

Rows. A program is one warp with 64 neighbouring rows, two a lane. A column of Q stays in registers as two
vectors, so that but one value a lane has to come from another lane. A program begins at the first column that
a path can be in, and ends at the last one.

Scores. A block of K = 16 columns is read while the one before is worked on (triton_row_scores.py).

Messages. At each column the program needs the last row of the program above. That one writes it to memory,
and this one reads K at a time, one block ahead. No value says -1 as an integer: that is what is there before.
Programs take numbers in the order in which they begin, so that none waits for one that has not begun.

Decisions. For each row and block one word: bit K-1-k says that the best path to the k-th column came from
another row; with skippable tokens the same bit of the upper half says that it then came from two rows above.
triton_way_back.py follows them.

A loop holds as few loads and stores as it can: to each one, Triton's compiler looks at the whole loop.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from mas.backends.triton_launch import launch
from mas.backends.triton_row_messages import NOTHING_YET, from_above, give, take
from mas.backends.triton_row_scores import (
    ANY,
    FRAMES,
    LANES,
    ROWS_A_LANE,
    SHIFTED,
    TOKENS,
    fetch,
    four_columns,
    layout_of,
    nothing_fetched,
)
from mas.backends.triton_way_back import way_back_kernel

_FOURS = 4  # of columns in a block
_NEVER = tl.constexpr(1 << 30)
# On AMD's cards, caches of several parts do not see each other's stores.
_ATOMIC = torch.version.hip is not None


def row_durations(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    states: Tensor | None = None,
    starts: Tensor | None = None,
    most_frames: int | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.durations`; with states as `reference.state_durations`.

    Never waits for the GPU. Memory: `memory_bytes`.

    Args:
        scores: `[B, T, S]`, float32, float16 or bfloat16, any strides; with states emissions `[F, M]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        states: `[B, T]` or None.
        starts: `[B]`, with states.
        most_frames: With states: an item with more has no path.
    """
    if states is None:
        (B, T, S), (stride_b, stride_i, stride_j) = scores.shape, scores.stride()
        layout, F, M = layout_of(scores), 0, 0
    else:
        (B, T), (F, M), S = (
            states.shape,
            scores.shape,
            max(1, scores.shape[0] if most_frames is None else most_frames),
        )
        layout, stride_b, (stride_j, stride_i) = ANY.value, 0, scores.stride()
        states = states.contiguous()
    skips, device = skippable is not None, scores.device
    K, reach, programs, n_blocks = _sizes(T, S, skips)
    pitch = programs * LANES.value * ROWS_A_LANE.value
    # With strides, since `torch.empty` takes the host twice as long.
    shape, strides = (B, n_blocks, pitch), (n_blocks * pitch, pitch, 1)
    words = torch.empty_strided(shape, strides, dtype=torch.int32 if skips else torch.int16, device=device)
    result = torch.empty_strided((B, T), (T, 1), dtype=torch.int64, device=device)
    # Messages, the number of the next program, and of each item whether it fits and two last values of Q.
    n_messages = B * programs * reach * n_blocks * K if programs > 1 else 0
    notes = torch.full((n_messages + 1 + 3 * B,), -1, dtype=torch.int32, device=device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    # Where there is none, any address: it is not read.
    may_skip = scores if skippable is None else skippable.contiguous()
    launch(
        rows_kernel, (B * programs, 1, 1),
        (scores, scores if states is None else states, scores if starts is None else starts.contiguous(),
         text_lengths, speech_lengths, may_skip, words, notes),
        (scores.data_ptr() // scores.element_size() % 4, stride_b, stride_i, stride_j, B, T, S, F, M,
         programs, n_blocks, pitch, n_blocks * K, n_messages),
        G=_FOURS, LAYOUT=layout, SKIPS=skips, STATES=states is not None, SEVERAL=programs > 1,
        ATOMIC=_ATOMIC, num_warps=1, enable_fp_fusion=False,
    )  # fmt: skip
    launch(
        way_back_kernel, (B, 1, 1), (words, notes, text_lengths, speech_lengths, may_skip, result),
        (n_blocks, pitch, n_messages, B, T), K=K, SKIPS=skips, num_warps=1,
    )  # fmt: skip
    return result


def memory_bytes(B: int, T: int, S: int, skips: bool) -> int:
    """What `row_durations` takes: a bit a score for decisions, half a bit for messages; twice with skips.

    Args:
        B: Items.
        T: Text tokens.
        S: Speech frames.
        skips: Whether tokens may be skipped.
    """
    K, reach, programs, n_blocks = _sizes(T, S, skips)
    rows = LANES.value * ROWS_A_LANE.value
    return B * programs * n_blocks * reach * (2 * rows + (4 * K if programs > 1 else 0))


def _sizes(T: int, S: int, skips: bool) -> tuple[int, int, int, int]:
    """Columns in a block, tokens a step can reach, programs an item, blocks an item."""
    K, rows = 4 * _FOURS, LANES.value * ROWS_A_LANE.value
    return K, 2 if skips else 1, -(-T // rows), -(-S // K)  # triton.cdiv takes the host 3 us


_ANY_VALUE = [
    "scores", "states", "starts", "text_lengths", "speech_lengths", "skippable", "words", "notes", "shift",
    "stride_b", "stride_i", "stride_j", "B", "T", "S", "F", "M", "programs", "n_blocks", "pitch",
    "message_pitch", "n_messages",
]  # fmt: skip


@triton.jit(do_not_specialize=_ANY_VALUE)
def rows_kernel(
    scores, states, starts, text_lengths, speech_lengths, skippable, words, notes, shift, stride_b, stride_i,
    stride_j, B, T, S, F, M, programs, n_blocks, pitch, message_pitch, n_messages, G: tl.constexpr,
    LAYOUT: tl.constexpr, SKIPS: tl.constexpr, STATES: tl.constexpr, SEVERAL: tl.constexpr,
    ATOMIC: tl.constexpr,
):  # fmt: skip
    """Writes `words` `[B, n_blocks, pitch]` and, behind the messages of `notes`, `fit` `[B]` and `ends`
    `[B, 2]`: Q of the last row and the one before, as bits.

    STATES: item b begins at packed frame `starts[b]`. SEVERAL: an item has several programs; then messages
    `[B, programs, REACH, message_pitch]`, n_messages numbers, and a ticket behind them are all -1 before.
    ATOMIC: messages are exchanged by atomic operations.
    """
    K: tl.constexpr = 4 * G
    ROWS: tl.constexpr = LANES * ROWS_A_LANE
    REACH: tl.constexpr = 2 if SKIPS else 1
    NEG_INF: tl.constexpr = float("-inf")
    word_size: tl.constexpr = words.dtype.element_ty.primitive_bitwidth // 8
    number = tl.program_id(0)
    messages = notes
    notes += tl.full([], 1, tl.int64) * n_messages
    if SEVERAL:
        number = tl.atomic_add(notes, 1, sem="relaxed") - NOTHING_YET
    p = number // B
    b = (number % B).to(tl.int64)
    T64 = tl.full([], 1, tl.int64) * T
    lane = tl.arange(0, LANES)
    top = p * ROWS

    tokens = tl.load(text_lengths + b)
    frames = tl.load(speech_lengths + b)
    fits = (tokens >= 1) & (tokens <= T) & (frames >= 1) & (frames <= S)
    origin = scores + b * stride_b
    if STATES:
        start = tl.load(starts + b).to(tl.int64)
        fits = fits & (start >= 0) & (start + frames <= F)
        origin = scores + start * stride_j
        states += b * T64
    tokens = tl.where(fits, tokens, 0).to(tl.int32)
    frames = tl.where(fits, frames, 0).to(tl.int32)
    # Whether an element is the first of four neighbours depends on the address: shift is that of scores.
    shift = (shift + b * stride_b) & 3
    needed = tokens
    needed_above = top
    if SKIPS or STATES:
        needed, needed_above, good = _needs(skippable + b * T64, states, tokens, top, M, SKIPS, STATES)
        fits = fits & good
    fits = fits & (needed <= frames)
    frames = tl.where(fits, frames, 0)
    if p == 0:
        tl.store(notes + 1 + b, fits.to(tl.int32))

    cells, shifts, row, first, skips, begins, until = _rows(
        origin, shift, stride_i, states, skippable + b * T64, tokens, top, needed_above, LAYOUT, SKIPS, STATES
    )  # fmt: skip
    # Columns of the first row, of the last one, and those of the program above that matter here.
    works = fits & (top < tokens)
    block0 = tl.where(works, needed_above // K, 1)
    block1 = tl.where(works, tl.minimum(frames - needed + until + 1, frames - 1) // K + 1, 0)
    above1 = tl.minimum(frames - needed + needed_above, frames - 1) // K + 1
    above1 = tl.where(p > 0, above1, 0)
    gives = top + ROWS < tokens

    Q = ()
    for _ in tl.static_range(ROWS_A_LANE):
        Q = Q + (tl.full([LANES], NEG_INF, tl.float32),)
    step = tl.full([], 1, tl.int64) * stride_j
    column = words + b * n_blocks * pitch + top
    inbox = messages + ((b * programs + p - 1) * REACH) * message_pitch
    outbox = inbox + REACH * message_pitch
    message, message2 = lane, lane
    here = nothing_fetched(scores, G, LAYOUT)
    # The first turn only reads ahead.
    for block in range(block0 - 1, block1):
        j = block * K
        coming = fetch(cells, shifts, j + K, step, frames, row, tokens, G, LAYOUT)
        above, above2 = tl.full([LANES], NEG_INF, tl.float32), tl.full([LANES], NEG_INF, tl.float32)
        if SEVERAL:
            while tl.max((message == NOTHING_YET).to(tl.int32)) != 0:
                message = take(inbox, block, above1, lane, K, ATOMIC)
            above = message.to(tl.float32, bitcast=True)
            message = take(inbox, block + 1, above1, lane, K, ATOMIC)
            if SKIPS:
                while tl.max((message2 == NOTHING_YET).to(tl.int32)) != 0:
                    message2 = take(inbox + message_pitch, block, above1, lane, K, ATOMIC)
                above2 = message2.to(tl.float32, bitcast=True)
                message2 = take(inbox + message_pitch, block + 1, above1, lane, K, ATOMIC)
        if block >= block0:
            if (j > 0) & (j >= until) & (j + K <= frames):
                Q, leaves, leaps = _advance(
                    Q, here, shifts, above, above2, skips, begins, first, j, frames, lane, outbox,
                    message_pitch, gives, G, LAYOUT, SKIPS, SEVERAL, ATOMIC, False,
                )  # fmt: skip
            else:
                Q, leaves, leaps = _advance(
                    Q, here, shifts, above, above2, skips, begins, first, j, frames, lane, outbox,
                    message_pitch, gives, G, LAYOUT, SKIPS, SEVERAL, ATOMIC, True,
                )  # fmt: skip
            word = tl.join(leaves[0], leaves[1])
            if SKIPS:
                word |= tl.join(leaps[0], leaps[1]) << K
            lanes_rows = lane[:, None] * ROWS_A_LANE + tl.arange(0, ROWS_A_LANE)[None, :]
            to = column + block * pitch.to(tl.int64) + lanes_rows
            to = tl.max_contiguous(tl.multiple_of(to, (1, ROWS_A_LANE * word_size)), (1, ROWS_A_LANE))
            tl.store(to, word.to(words.dtype.element_ty))
        here = coming

    ends = notes + 1 + B + 2 * b + lane * 0
    for r in tl.static_range(ROWS_A_LANE):
        tl.store(ends, Q[r].to(tl.int32, bitcast=True), mask=fits & (row[r] == tokens - 1))
        tl.store(ends + 1, Q[r].to(tl.int32, bitcast=True), mask=fits & (row[r] == tokens - 2))


@triton.jit
def _needs(skippable, states, tokens, top, M, SKIPS: tl.constexpr, STATES: tl.constexpr):
    """How many tokens need a frame; how many of those are above row `top`; whether the text is in order."""
    lane = tl.arange(0, 256)
    needed, needed_above, wrong = tokens * 0, tokens * 0, tokens * 0
    for base in range(0, tokens, 256):
        i = base + lane
        inside = i < tokens
        needs = inside
        if SKIPS:
            may_skip = tl.load(skippable + i, mask=inside, other=0) != 0
            before = tl.load(skippable + i - 1, mask=inside & (i > 0), other=0) != 0
            wrong += tl.sum((may_skip & before).to(tl.int32))
            needs = inside & ~may_skip
        if STATES:
            state = tl.load(states + i, mask=inside, other=0)
            wrong += tl.sum(((state < 0) | (state >= M)).to(tl.int32))
        needed += tl.sum(needs.to(tl.int32))
        needed_above += tl.sum((needs & (i < top)).to(tl.int32))
    return needed, needed_above, wrong == 0


@triton.jit
def _rows(
    origin, shift, stride_i, states, skippable, tokens, top, needed_above,
    LAYOUT: tl.constexpr, SKIPS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    """What each row of a program is: where its scores are, which row, its first column, how paths get there.

    Also the column from which on all rows can be visited.
    """
    lane = tl.arange(0, LANES)
    cells, shifts, row, first, skips, begins, needs = (), (), (), (), (), (), ()
    all_needs = tl.zeros([LANES], tl.int32)
    for r in tl.static_range(ROWS_A_LANE):
        i = top + lane * ROWS_A_LANE + r
        inside = i < tokens
        place = tl.maximum(tl.minimum(i, tokens - 1), 0).to(tl.int64)  # what is behind the text is not used
        if STATES:
            place = tl.load(states + place, mask=inside, other=0).to(tl.int64)
        cell = origin + place * stride_i
        own_shift = lane
        if LAYOUT == SHIFTED:
            own_shift = ((shift + place * stride_i) & 3).to(tl.int32)
            cell -= own_shift
        shifts = shifts + (own_shift,)
        if LAYOUT == FRAMES or LAYOUT == SHIFTED:  # noqa: SIM109
            cells = cells + (cell[:, None] + tl.arange(0, 4)[None, :],)
        else:
            cells = cells + (cell,)
        row = row + (i,)
        begin = i == 0
        need = inside.to(tl.int32)
        skip = inside
        if SKIPS:
            may_skip = tl.load(skippable + i, mask=inside, other=0) != 0
            skip = tl.load(skippable + i - 1, mask=inside & (i > 0), other=0) != 0
            begin = begin | ((i == 1) & skip)
            need = (inside & ~may_skip).to(tl.int32)
        skips = skips + (skip,)
        begins = begins + (begin,)
        needs = needs + (need,)
        all_needs += need
    if LAYOUT == TOKENS:
        i = top + lane[:, None] * ROWS_A_LANE + tl.arange(0, ROWS_A_LANE)[None, :]
        cells = (origin + i,)
    before = needed_above + tl.cumsum(all_needs) - all_needs
    last = before * 0
    for r in tl.static_range(ROWS_A_LANE):
        last = tl.where(row[r] < tokens, before, last)
        first = first + (tl.where(row[r] < tokens, before, _NEVER),)
        before += needs[r]
    return cells, shifts, row, first, skips, begins, tl.max(last)


@triton.jit
def _advance(
    Q, tiles, shifts, above, above2, skips, begins, first, j0, frames, lane, outbox, message_pitch, gives,
    G: tl.constexpr, LAYOUT: tl.constexpr, SKIPS: tl.constexpr, SEVERAL: tl.constexpr, ATOMIC: tl.constexpr,
    EDGE: tl.constexpr,
):  # fmt: skip
    """Q after the columns of a block, and its decisions; gives the last rows to the program below.

    EDGE: some rows cannot be visited yet, it is the first column, or the item ends within the block.
    """
    NEG_INF: tl.constexpr = float("-inf")
    leaves, leaps = (), ()
    for _ in tl.static_range(ROWS_A_LANE):
        leaves = leaves + (tl.zeros([LANES], tl.uint32),)
        leaps = leaps + (tl.zeros([LANES], tl.uint32),)
    for g in tl.static_range(G):
        scores = four_columns(tiles, shifts, g, G, LAYOUT)
        gone, gone2 = (), ()
        for k in tl.static_range(4):
            up, last = from_above(Q[1], above, 4 * g + k, lane, SEVERAL)
            gone = gone + (last,)
            up2 = up
            if SKIPS:
                up2, last = from_above(Q[0], above2, 4 * g + k, lane, SEVERAL)
                gone2 = gone2 + (last,)
            new_Q, new_leaves, new_leaps = (), (), ()
            for r in tl.static_range(ROWS_A_LANE):
                leave = Q[0] if r == 1 else up
                if SKIPS:
                    leap = tl.where(skips[r], up if r == 1 else up2, NEG_INF)
                    # The sign of a difference of floats is that of their order.
                    sign = (leave - leap).to(tl.uint32, bitcast=True) >> 31
                    new_leaps = new_leaps + ((leaps[r] << 1) | sign,)
                    leave = tl.maximum(leave, leap, propagate_nan=tl.PropagateNan.ALL)
                sign = (Q[r] - leave).to(tl.uint32, bitcast=True) >> 31
                new_leaves = new_leaves + ((leaves[r] << 1) | sign,)
                best = tl.maximum(Q[r], leave, propagate_nan=tl.PropagateNan.ALL)
                x = scores[k * ROWS_A_LANE + r]
                if EDGE:
                    best = tl.where(begins[r] & (j0 + 4 * g + k == 0), 0.0, best)
                    x = tl.where(first[r] <= j0 + 4 * g + k, x, NEG_INF)
                    new_Q = new_Q + (tl.where(j0 + 4 * g + k < frames, best + x, Q[r]),)
                else:
                    new_Q = new_Q + (best + x,)
            Q, leaves = new_Q, new_leaves
            if SKIPS:
                leaps = new_leaps
        if SEVERAL:
            give(outbox + (j0 + 4 * g), gone, gives, lane, ATOMIC)
            if SKIPS:
                give(outbox + message_pitch + (j0 + 4 * g), gone2, gives, lane, ATOMIC)
    return Q, leaves, leaps
