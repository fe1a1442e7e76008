"""The search in Triton by rows: many small programs for an item, each with some of its tokens.

B batch, T text tokens, S speech frames, M states; i counts tokens (rows), j counts frames (columns). Q as in
reference.py.

Rows. A program is one warp with `LANES * R` neighbouring rows, R a lane. A column of Q stays in registers as R
vectors, so that but one value a lane has to come from another lane. A program begins at the first column that a
path can be in, and ends at the last one.

Scores. K columns are read while the K before them are worked on. `LAYOUT` says which elements are neighbours in
memory, so that a lane reads four at once.

Messages. At each column the program needs the last row of the program above. That one writes it to memory,
column by column, and this one reads K at a time, one block ahead. No value says -1 as an integer: that is what
is there before. Programs take numbers in the order in which they begin, so that none waits for one that has
not begun.

Decisions. For each row and K columns one word: bit K-1-k says that the best path to the k-th column came from
another row; with skippable tokens the same bit of the upper half says that it then came from two rows above.

Way back. One program an item follows the words from the end. It reads those of K columns, in all rows that the
path can reach, while it follows those of the K before.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

FRAMES, ANY, TOKENS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)  # neighbours in memory
SHIFTED = tl.constexpr(3)  # frames, but rows begin at any place
_LANES = tl.constexpr(32)
_NOTHING_YET = tl.constexpr(-1)
_NEVER = tl.constexpr(1 << 30)

_ATOMIC = torch.version.hip is not None  # there, caches of several parts of a card do not see each other's stores


class Shape(NamedTuple):
    """Constants of the kernels."""

    rows: int = 4  # a lane
    fours: int = 4  # of columns in a block
    ahead: int = 1  # blocks whose scores are under way
    look: bool = True  # the way back reads the word of the next row before it is needed
    any_layout: bool = False  # for tests: as if no elements were neighbours


def row_durations(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    states: Tensor | None = None,
    starts: Tensor | None = None,
    most_frames: int | None = None,
    shape: Shape = Shape(),
) -> Tensor:
    """Durations int64 `[B, T]`. Never waits for the GPU.

    Args:
        scores: `[B, T, S]`; with states emissions `[F, M]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        states: `[B, T]` or None.
        starts: `[B]`, with states.
        most_frames: Of an item, with states.
        shape: Constants of the kernels.
    """
    B, T = text_lengths.shape[0], scores.shape[1] if states is None else states.shape[1]
    S = scores.shape[2] if states is None else scores.shape[0]
    most_frames = max(1, S if most_frames is None else most_frames)
    if states is None:
        stride_b, stride_i, stride_j = scores.stride()
    else:
        stride_b, (stride_j, stride_i) = 0, scores.stride()
    R, G = shape.rows, shape.fours
    layout = ANY.value if states is not None or shape.any_layout else _layout(scores, R)
    K, rows, reach = 4 * G, _LANES.value * R, 1 if skippable is None else 2
    programs, n_blocks, device = triton.cdiv(T, rows), triton.cdiv(most_frames, K), scores.device
    bits = {8: torch.int8, 16: torch.int16, 32: torch.int32}[K * reach]
    words = torch.empty((B, n_blocks, programs * rows), dtype=bits, device=device)
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    found = torch.empty((3, B), dtype=torch.float32, device=device)
    fit, ends = found[0].view(torch.int32), found[1:]
    n_messages = B * programs * reach * n_blocks * K if programs > 1 else 0
    messages = torch.full((n_messages + 1,), -1, dtype=torch.int32, device=device) if n_messages else words
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    may_skip = scores if skippable is None else skippable.contiguous()
    with torch.cuda.device_of(scores):
        rows_kernel[(B * programs,)](
            scores, scores.data_ptr() // scores.element_size() % 4, stride_b, stride_i, stride_j, scores if states is None else states.contiguous(),
            scores if starts is None else starts.contiguous(), text_lengths, speech_lengths, may_skip, B, T,
            S, scores.shape[1], programs, words, n_blocks, programs * rows, messages, n_blocks * K,
            messages[n_messages:], fit, ends, R=R, G=G, AHEAD=shape.ahead, LAYOUT=layout, SKIPS=skippable is not None,
            STATES=states is not None, SEVERAL=programs > 1, ATOMIC=_ATOMIC, num_warps=1,
            enable_fp_fusion=False,
        )  # fmt: skip
        way_back_kernel[(B,)](
            words, n_blocks, programs * rows, fit, ends, text_lengths, speech_lengths, may_skip, T, result,
            K=K, SKIPS=skippable is not None, LOOK=shape.look, num_warps=1,
        )  # fmt: skip
    return result


def _layout(scores: Tensor, rows: int) -> int:
    """Which elements are neighbours in memory, so that they can be read at once."""
    size = scores.element_size()
    stride_b, stride_i, stride_j = scores.stride()
    if stride_j == 1:
        aligned = all(n % 4 == 0 for n in (stride_b, stride_i, scores.data_ptr() // size))
        return FRAMES.value if aligned else SHIFTED.value
    if stride_i == 1 and all(n % rows == 0 for n in (stride_b, stride_j)):
        if scores.data_ptr() % (rows * size) == 0:
            return TOKENS.value
    return ANY.value


_ANY_VALUE = [
    "scores", "shift", "stride_b", "stride_i", "stride_j", "states", "starts", "text_lengths", "speech_lengths",
    "skippable", "B", "T", "S", "M", "programs", "words", "n_blocks", "pitch", "messages", "message_pitch",
    "ticket", "fit", "ends",
]  # fmt: skip


@triton.jit(do_not_specialize=_ANY_VALUE)
def rows_kernel(
    scores, shift, stride_b, stride_i, stride_j, states, starts, text_lengths, speech_lengths, skippable, B, T, S, M,
    programs, words, n_blocks, pitch, messages, message_pitch, ticket, fit, ends, R: tl.constexpr,
    G: tl.constexpr, AHEAD: tl.constexpr, LAYOUT: tl.constexpr, SKIPS: tl.constexpr, STATES: tl.constexpr,
    SEVERAL: tl.constexpr, ATOMIC: tl.constexpr,
):  # fmt: skip
    """Writes `words` `[B, n_blocks, pitch]`, `fit` `[B]`, and `ends` `[B, 2]`: Q of the last row and the one before.

    STATES: S counts packed frames, and item b begins at `starts[b]`. SEVERAL: an item has several programs;
    then `messages` `[B, programs, REACH, message_pitch]` and `ticket` are all ones before. ATOMIC: messages
    are exchanged by atomic operations.
    """
    K: tl.constexpr = 4 * G
    ROWS: tl.constexpr = _LANES * R
    REACH: tl.constexpr = 2 if SKIPS else 1
    NEG_INF: tl.constexpr = float("-inf")
    word_size: tl.constexpr = words.dtype.element_ty.primitive_bitwidth // 8
    number = tl.program_id(0)
    if SEVERAL:
        number = tl.atomic_add(ticket, 1, sem="relaxed") - _NOTHING_YET
    p = number // B
    b = (number % B).to(tl.int64)
    T64 = tl.full([], 1, tl.int64) * T
    lane = tl.arange(0, _LANES)
    top = p * ROWS

    tokens = tl.load(text_lengths + b)
    frames = tl.load(speech_lengths + b)
    fits = (tokens >= 1) & (tokens <= T) & (frames >= 1) & (frames <= S)
    origin = scores + b * stride_b
    if STATES:
        start = tl.load(starts + b).to(tl.int64)
        fits = fits & (start >= 0) & (start + frames <= S)
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
        tl.store(fit + b, fits.to(tl.int32))

    cells, shifts, row, first, skips, begins, until = _rows(
        origin, shift, stride_i, states, skippable + b * T64, tokens, top, needed_above, R, LAYOUT, SKIPS, STATES
    )  # fmt: skip
    # Columns of the first row, of the last one, and those of the program above that matter here.
    block0 = needed_above // K
    block1 = tl.minimum(frames - needed + until + 1, frames - 1) // K + 1
    block1 = tl.where(fits & (top < tokens), block1, 0)
    above1 = tl.minimum(frames - needed + needed_above, frames - 1) // K + 1
    above1 = tl.where(p > 0, above1, 0)
    gives = top + ROWS < tokens

    Q = ()
    for r in tl.static_range(R):
        Q = Q + (tl.full([_LANES], NEG_INF, tl.float32),)
    step = tl.full([], 1, tl.int64) * stride_j
    column = words + b * n_blocks * pitch + top
    inbox = messages + ((b * programs + p - 1) * REACH) * message_pitch
    outbox = inbox + REACH * message_pitch
    coming = ()
    for n in tl.static_range(AHEAD):
        coming = coming + (
            _fetch(cells, shifts, (block0 + n) * K, step, frames, row, tokens, R, G, LAYOUT),
        )
    message, message2 = lane, lane
    if SEVERAL:
        message = _take(inbox, block0, above1, lane, K, ATOMIC)
        if SKIPS:
            message2 = _take(inbox + message_pitch, block0, above1, lane, K, ATOMIC)
    for block in range(block0, block1):
        j = block * K
        here = coming[0]
        last = _fetch(cells, shifts, j + AHEAD * K, step, frames, row, tokens, R, G, LAYOUT)
        later = ()
        for n in tl.static_range(1, AHEAD):
            later = later + (coming[n],)
        coming = later + (last,)
        above, above2 = tl.full([_LANES], NEG_INF, tl.float32), tl.full([_LANES], NEG_INF, tl.float32)
        if SEVERAL:
            while tl.max((message == _NOTHING_YET).to(tl.int32)) != 0:
                message = _take(inbox, block, above1, lane, K, ATOMIC)
            above = message.to(tl.float32, bitcast=True)
            message = _take(inbox, block + 1, above1, lane, K, ATOMIC)
            if SKIPS:
                while tl.max((message2 == _NOTHING_YET).to(tl.int32)) != 0:
                    message2 = _take(inbox + message_pitch, block, above1, lane, K, ATOMIC)
                above2 = message2.to(tl.float32, bitcast=True)
                message2 = _take(inbox + message_pitch, block + 1, above1, lane, K, ATOMIC)
        if (j > 0) & (j >= until) & (j + K <= frames):
            Q, leaves, leaps = _advance(
                Q, here, shifts, above, above2, skips, begins, first, j, frames, lane, outbox, message_pitch, gives,
                R, G, LAYOUT, SKIPS, SEVERAL, ATOMIC, False,
            )  # fmt: skip
        else:
            Q, leaves, leaps = _advance(
                Q, here, shifts, above, above2, skips, begins, first, j, frames, lane, outbox, message_pitch, gives,
                R, G, LAYOUT, SKIPS, SEVERAL, ATOMIC, True,
            )  # fmt: skip
        word = _joined(leaves, R)
        if SKIPS:
            word |= _joined(leaps, R) << K
        lanes_rows = lane[:, None] * R + tl.arange(0, R)[None, :]
        to = column + block * pitch.to(tl.int64) + lanes_rows
        to = tl.max_contiguous(tl.multiple_of(to, (1, R * word_size)), (1, R))
        tl.store(to, word.to(words.dtype.element_ty))

    for r in tl.static_range(R):
        tl.store(ends + 2 * b + lane * 0, Q[r], mask=fits & (row[r] == tokens - 1))
        tl.store(ends + 2 * b + 1 + lane * 0, Q[r], mask=fits & (row[r] == tokens - 2))


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
    origin, shift, stride_i, states, skippable, tokens, top, needed_above, R: tl.constexpr,
    LAYOUT: tl.constexpr, SKIPS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    """What each row of a program is: where its scores are, which row, its first column, how paths get there.

    Also the column from which on all rows can be visited.
    """
    lane = tl.arange(0, _LANES)
    cells, shifts, row, first, skips, begins, needs = (), (), (), (), (), (), ()
    all_needs = tl.zeros([_LANES], tl.int32)
    for r in tl.static_range(R):
        i = top + lane * R + r
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
        if LAYOUT == FRAMES or LAYOUT == SHIFTED:
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
        i = top + lane[:, None] * R + tl.arange(0, R)[None, :]
        cells = (origin + i,)
    before = needed_above + tl.cumsum(all_needs) - all_needs
    last = before * 0
    for r in tl.static_range(R):
        last = tl.where(row[r] < tokens, before, last)
        first = first + (tl.where(row[r] < tokens, before, _NEVER),)
        before += needs[r]
    return cells, shifts, row, first, skips, begins, tl.max(last)


@triton.jit
def _fetch(
    cells, shifts, j, step, frames, row, tokens, R: tl.constexpr, G: tl.constexpr, LAYOUT: tl.constexpr,
):  # fmt: skip
    """Scores of 4 * G columns from j on, as `_column` takes them."""
    size: tl.constexpr = cells[0].dtype.element_ty.primitive_bitwidth // 8
    tiles = ()
    if LAYOUT == FRAMES:
        for r in tl.static_range(R):
            for g in tl.static_range(G):
                at = cells[r] + (j + 4 * g)
                at = tl.max_contiguous(tl.multiple_of(at, (1, 4 * size)), (1, 4))  # lost if in a function
                tiles = tiles + (tl.load(at, mask=j + 4 * g < frames, other=0.0),)
    elif LAYOUT == SHIFTED:
        for r in tl.static_range(R):
            for g in tl.static_range(G + 1):
                at = cells[r] + (j + 4 * g)
                at = tl.max_contiguous(tl.multiple_of(at, (1, 4 * size)), (1, 4))
                some = (j + 4 * g < frames + shifts[r])[:, None]
                tiles = tiles + (tl.load(at, mask=some, other=0.0),)
    elif LAYOUT == TOKENS:
        inside = (row[0] < tokens)[:, None]
        for k in tl.static_range(4 * G):
            at = cells[0] + (j + k) * step
            at = tl.max_contiguous(tl.multiple_of(at, (1, R * size)), (1, R))
            tiles = tiles + (tl.load(at, mask=inside & (j + k < frames), other=0.0),)
    else:
        for r in tl.static_range(R):
            for k in tl.static_range(4 * G):
                tiles = tiles + (tl.load(cells[r] + (j + k) * step, mask=j + k < frames, other=0.0),)
    return tiles


@triton.jit
def _group(tiles, shifts, g: tl.constexpr, R: tl.constexpr, G: tl.constexpr, LAYOUT: tl.constexpr):
    """Of four columns, one after the other, the scores of the R rows of each lane."""
    scores = ()
    if LAYOUT == FRAMES:
        fours = ()
        for r in tl.static_range(R):
            fours = fours + (_split4(tiles[r * G + g]),)
        for k in tl.static_range(4):
            for r in tl.static_range(R):
                scores = scores + (fours[r][k].to(tl.float32),)
    elif LAYOUT == SHIFTED:
        rows = ()
        for r in tl.static_range(R):
            v = _split4(tiles[r * (G + 1) + g]) + _split4(tiles[r * (G + 1) + g + 1])
            t = ()
            for k in tl.static_range(5):
                t = t + (tl.where((shifts[r] & 2) != 0, v[k + 2], v[k]),)
            for k in tl.static_range(4):
                rows = rows + (tl.where((shifts[r] & 1) != 0, t[k + 1], t[k]),)
        for k in tl.static_range(4):
            for r in tl.static_range(R):
                scores = scores + (rows[4 * r + k].to(tl.float32),)
    elif LAYOUT == TOKENS:
        for k in tl.static_range(4):
            column = _split(tiles[4 * g + k], R)
            for r in tl.static_range(R):
                scores = scores + (column[r].to(tl.float32),)
    else:
        for k in tl.static_range(4):
            for r in tl.static_range(R):
                scores = scores + (tiles[(r * G + g) * 4 + k].to(tl.float32),)
    return scores


@triton.jit
def _advance(
    Q, tiles, shifts, above, above2, skips, begins, first, j0, frames, lane, outbox, message_pitch, gives,
    R: tl.constexpr, G: tl.constexpr, LAYOUT: tl.constexpr, SKIPS: tl.constexpr, SEVERAL: tl.constexpr,
    ATOMIC: tl.constexpr, EDGE: tl.constexpr,
):  # fmt: skip
    """Q after the columns of a block, and its decisions.

    EDGE: some rows cannot be visited yet, it is the first column, or the item ends within the block.
    """
    NEG_INF: tl.constexpr = float("-inf")
    leaves, leaps = (), ()
    for r in tl.static_range(R):
        leaves = leaves + (tl.zeros([_LANES], tl.uint32),)
        leaps = leaps + (tl.zeros([_LANES], tl.uint32),)
    for g in tl.static_range(G):
        scores = _group(tiles, shifts, g, R, G, LAYOUT)
        for k in tl.static_range(4):
            if SEVERAL:
                _give(outbox + (j0 + 4 * g + k), Q[R - 1], gives, lane, ATOMIC)
                if SKIPS:
                    _give(outbox + message_pitch + (j0 + 4 * g + k), Q[(R - 2) % R], gives, lane, ATOMIC)
            up = _from_above(Q[R - 1], above, 4 * g + k, lane, SEVERAL)
            up2 = up
            if SKIPS:
                up2 = _from_above(Q[(R - 2) % R], above2, 4 * g + k, lane, SEVERAL)
            new_Q, new_leaves, new_leaps = (), (), ()
            for r in tl.static_range(R):
                leave = Q[r - 1] if r > 0 else up
                if SKIPS:
                    leap = Q[r - 2] if r > 1 else (up if r == 1 else up2)
                    leap = tl.where(skips[r], leap, NEG_INF)
                    # The sign of a difference of floats is that of their order.
                    sign = (leave - leap).to(tl.uint32, bitcast=True) >> 31
                    new_leaps = new_leaps + ((leaps[r] << 1) | sign,)
                    leave = tl.maximum(leave, leap, propagate_nan=tl.PropagateNan.ALL)
                sign = (Q[r] - leave).to(tl.uint32, bitcast=True) >> 31
                new_leaves = new_leaves + ((leaves[r] << 1) | sign,)
                best = tl.maximum(Q[r], leave, propagate_nan=tl.PropagateNan.ALL)
                x = scores[k * R + r]
                if EDGE:
                    best = tl.where(begins[r] & (j0 + 4 * g + k == 0), 0.0, best)
                    x = tl.where(first[r] <= j0 + 4 * g + k, x, NEG_INF)
                    new_Q = new_Q + (tl.where(j0 + 4 * g + k < frames, best + x, Q[r]),)
                else:
                    new_Q = new_Q + (best + x,)
            Q, leaves = new_Q, new_leaves
            if SKIPS:
                leaps = new_leaps
    return Q, leaves, leaps


@triton.jit
def _from_above(q, above, column: tl.constexpr, lane, SEVERAL: tl.constexpr):
    """For each lane q of the lane before; for the first that of the program above."""
    up = tl.gather(q, tl.maximum(lane - 1, 0), 0)
    if SEVERAL:
        return tl.where(lane == 0, tl.gather(above, lane * 0 + column, 0), up)
    else:
        return tl.where(lane == 0, float("-inf"), up)


@triton.jit
def _give(to, q, gives, lane, ATOMIC: tl.constexpr):
    """Writes q of the last lane."""
    bits = tl.minimum(q.to(tl.uint32, bitcast=True), 0xFFFFFFFE).to(tl.int32, bitcast=True)
    mask = gives & (lane == _LANES - 1)
    if ATOMIC:
        tl.atomic_xchg(to + lane * 0, bits, mask=mask, sem="relaxed")
    else:
        tl.store(to + lane * 0, bits, mask=mask, cache_modifier=".cg")


@triton.jit
def _take(inbox, block, until, lane, K: tl.constexpr, ATOMIC: tl.constexpr):
    """The message for a block, column k in lane k: bits of floats, or `_NOTHING_YET`. -inf where none comes."""
    mask = (lane < K) & (block < until)
    at = inbox + block * K + lane
    if ATOMIC:
        bits = tl.where(mask, tl.atomic_or(at, 0, mask=mask, sem="relaxed"), -8388608)
    else:
        bits = tl.load(at, mask=mask, other=-8388608, volatile=True)
    return bits


@triton.jit
def _split4(tile):
    even, odd = tl.split(tl.reshape(tile, [_LANES, 2, 2]))
    x0, x2 = tl.split(even)
    x1, x3 = tl.split(odd)
    return x0, x1, x2, x3


@triton.jit
def _split(tile, R: tl.constexpr):
    if R == 1:
        return (tl.reshape(tile, [_LANES]),)
    elif R == 2:
        return tl.split(tile)
    elif R == 4:
        return _split4(tile)
    else:
        even, odd = tl.split(tl.reshape(tile, [_LANES, 4, 2]))
        x0, x2, x4, x6 = _split4(even)
        x1, x3, x5, x7 = _split4(odd)
        return x0, x1, x2, x3, x4, x5, x6, x7


@triton.jit
def _joined(x, R: tl.constexpr):
    """`[LANES, R]` of R vectors."""
    if R == 1:
        return tl.reshape(x[0], [_LANES, 1])
    elif R == 2:
        return tl.join(x[0], x[1])
    elif R == 4:
        return _join4(x[0], x[1], x[2], x[3])
    else:
        even, odd = _join4(x[0], x[2], x[4], x[6]), _join4(x[1], x[3], x[5], x[7])
        return tl.reshape(tl.join(even, odd), [_LANES, 8])


@triton.jit
def _join4(x0, x1, x2, x3):
    return tl.reshape(tl.join(tl.join(x0, x2), tl.join(x1, x3)), [_LANES, 4])


_BACK_ANY_VALUE = [
    "words", "n_blocks", "pitch", "fit", "ends", "text_lengths", "speech_lengths", "skippable", "T", "result",
]  # fmt: skip


@triton.jit(do_not_specialize=_BACK_ANY_VALUE)
def way_back_kernel(
    words, n_blocks, pitch, fit, ends, text_lengths, speech_lengths, skippable, T, result, K: tl.constexpr,
    SKIPS: tl.constexpr, LOOK: tl.constexpr,
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
    found = tl.load(fit + b) != 0
    end = tl.load(text_lengths + b).to(tl.int32) - 1
    frames = tl.load(speech_lengths + b).to(tl.int32)
    q = tl.load(ends + 2 * b, mask=found, other=NEG_INF)
    if SKIPS:
        may_end_early = tl.load(skippable + b * T64 + end, mask=found & (end > 0), other=0) != 0
        q_before = tl.load(ends + 2 * b + 1, mask=may_end_early, other=NEG_INF)
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
            # The next block's rows depend on where the path is at the end of this one, at most.
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
                if LOOK:
                    word = tl.where(leaves != 0, tl.where(step == 2, two_above, one_above), word)
                    one_above = tl.gather(window, (place - 1) & (WINDOW - 1), 0)
                    if SKIPS:
                        two_above = tl.gather(window, (place - 2) & (WINDOW - 1), 0)
                else:
                    word = tl.gather(window, place & (WINDOW - 1), 0)
            i = base + place
            window, base = next_window, next_base
        tl.store(result + i, until.to(tl.int64), mask=lane == 0)


@triton.jit
def _window(words, pitch, block, base, frames, slot, K: tl.constexpr, SKIPS: tl.constexpr):
    """The words of a block for rows from `base` on, without decisions at the first column or behind the last."""
    at = words + block * pitch.to(tl.int64) + base + slot
    word = tl.load(at, mask=(block >= 0) & (base + slot >= 0), other=0).to(tl.int32)
    open_ = tl.where(block == 0, (1 << (K - 1)) - 1, (1 << K) - 1)
    beyond = tl.maximum((block + 1) * K - frames, 0)
    open_ = (open_ >> beyond) << beyond
    if SKIPS:
        return word & (open_ | (-1 << K))
    else:
        return word & open_
