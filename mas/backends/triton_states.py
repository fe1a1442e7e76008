"""The search over states' emissions in Triton, for texts and speech of any length.

Up to a bound of memory, triton_rows.py does it. This is what comes beyond.

B items, T text tokens, F packed frames, M states; i counts tokens, j counts an item's frames. Q as in
reference.py.

One program searches one item, twice. The first time it keeps a column of Q every `distance` frames. The
second time, from the last to the first, it searches each stretch between two such columns again and keeps
a step for each cell; then it follows the path through the stretch. Nothing depends on how long an item is,
which only the GPU knows. A text of more than `_BLOCK` tokens is cut into blocks: within a stretch a token
depends on at most `distance` tokens before it, twice as many with skips, so that a block begins that much
earlier than what it gives. The second time one block is enough, that before the token the stretch ends in.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from mas.backends.packed_emissions import packed
from mas.backends.triton_rows import memory_bytes, row_durations

_BY_ROWS_BYTES = 64 << 20  # up to which triton_rows.py, which keeps all decisions, does the search
_BLOCK = 4096  # tokens
_DISTANCE = 512  # frames, for texts of several blocks
_WORD = 16  # frames in a word of steps


def state_durations(
    emissions: Tensor,
    starts: Tensor | None,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.state_durations`. Never waits for the GPU.

    Memory: that of `row_durations` where it is at most 64 MB. Beyond, 2 to 3 bytes times `sqrt(F) * B * T`;
    for texts of more than 4096 tokens `B * T * F / 128` bytes.

    Args:
        emissions: `[F, M]`, or `[B, S, M]` without starts; any float type and strides.
        starts: `[B]`, or None.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F. Memory depends on it.
    """
    emissions, starts = packed(emissions, starts)
    (B, T), F, device = (
        states.shape,
        max(1, len(emissions) if most_frames is None else most_frames),
        states.device,
    )
    if memory_bytes(B, T, F, skippable is not None) <= _BY_ROWS_BYTES:
        if emissions.dtype == torch.float64:
            emissions = emissions.float()
        return row_durations(emissions, text_lengths, speech_lengths, skippable, states, starts, F)
    starts = starts if most_frames is None else starts.where(speech_lengths <= most_frames, -1)
    block = min(_BLOCK, triton.next_power_of_2(T))
    # As many bytes for columns, 4 a token and stretch, as for steps, 4 a token and word of a stretch.
    distance = _DISTANCE if block < T else 16 * math.ceil(math.sqrt(F * 16) / 16)
    kept = torch.empty((B, -(-F // distance), T), dtype=torch.float32, device=device)
    steps = torch.empty((B, distance // _WORD, block), dtype=torch.int32, device=device)
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    before, after, frames = _plan(emissions, starts, states, text_lengths, speech_lengths, skippable)
    with torch.cuda.device_of(states):
        _search_states_kernel[(B,)](
            emissions, *emissions.stride(), starts.contiguous(), states.contiguous(),
            text_lengths.contiguous(), frames, before, after,
            states if skippable is None else skippable.contiguous(), T, kept, kept.shape[1], distance, steps,
            result, BLOCK=block, SKIPS=skippable is not None, WORD=_WORD,
            num_warps=min(16, max(1, block // 128)),
        )  # fmt: skip
    return result


def _plan(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What each token needs and each item has: frames before and after the token `[B, T]`, frames `[B]`.

    int32. 0 frames: the item has no path, whatever its scores.
    """
    F, M = emissions.shape
    T = states.shape[1]
    spoken = torch.arange(T, device=states.device) < text_lengths[:, None]
    needs = spoken if skippable is None else spoken & ~skippable
    up_to = needs.cumsum(1, dtype=torch.int32)
    before = up_to - needs.int()
    after = up_to[:, -1:] - up_to
    fits = (
        (text_lengths >= 1) & (text_lengths <= T) & (speech_lengths >= 1) & (up_to[:, -1] <= speech_lengths)
    )
    fits &= (starts >= 0) & (starts <= F - speech_lengths)
    fits &= (((states >= 0) & (states < M)) | ~spoken).all(1)
    if skippable is not None:
        fits &= ~(skippable[:, 1:] & skippable[:, :-1] & spoken[:, 1:]).any(1)
    return before, after, torch.where(fits, speech_lengths, 0).int()


# Not compiled anew for numbers and addresses that are multiples of 16, or for strides of 1.
_ANY_VALUE = [
    "emissions", "stride_f", "stride_m", "starts", "states", "text_lengths", "frames_of", "before", "after",
    "skippable", "T", "kept", "n_kept", "distance", "steps", "result",
]  # fmt: skip


@triton.jit(do_not_specialize=_ANY_VALUE)
def _search_states_kernel(
    emissions, stride_f, stride_m, starts, states, text_lengths, frames_of, before, after, skippable, T, kept,
    n_kept, distance, steps, result, BLOCK: tl.constexpr, SKIPS: tl.constexpr, WORD: tl.constexpr,
):  # fmt: skip
    """Writes durations to `result` `[B, T]`, or -1.

    kept: `[B, n_kept, T]`; the n-th row is Q at the last frame of the n-th stretch. What two blocks of the
    first search write there is read after a barrier.
    """
    REACH: tl.constexpr = 2 if SKIPS else 1
    b = tl.program_id(0).to(tl.int64)
    T64 = tl.full([], 1, tl.int64) * T  # of rows of `kept`, whose places may need 64 bits
    tokens = tl.load(text_lengths + b).to(tl.int32)
    frames = tl.load(frames_of + b)
    emissions += tl.load(starts + b).to(tl.int64) * stride_f
    states, before, after, skippable = states + b * T, before + b * T, after + b * T, skippable + b * T
    kept += b * n_kept * T
    steps += b * (distance // WORD) * BLOCK
    result += b * T
    lane = tl.arange(0, BLOCK)
    halo = tl.where(T > BLOCK, REACH * distance, 0)
    stretches = (frames + distance - 1) // distance
    blocks = tl.where(frames > 0, (tokens + BLOCK - halo - 1) // (BLOCK - halo), 0)

    for n in range(stretches):
        for block in range(blocks):
            base = block * (BLOCK - halo) - halo
            Q = _stretch(
                emissions, stride_f, stride_m, states, before, after, skippable, tokens, frames, kept, T64, n,
                distance, base, steps, BLOCK, SKIPS, WORD, False,
            )  # fmt: skip
            token = base + lane
            tl.store(kept + n * T64 + token, Q, mask=(lane >= halo) & (token >= 0) & (token < tokens))
        tl.debug_barrier()

    i = tokens - 1
    found = frames > 0
    if found:
        last = kept + (stretches - 1) * T64
        q = tl.load(last + i)
        if SKIPS:
            may_end_early = (i > 0) & (tl.load(skippable + i) != 0)
            q_before = tl.load(last + i - 1, mask=may_end_early, other=float("-inf"))
            i = tl.where(q < q_before, i - 1, i)
            q = tl.maximum(q, q_before, propagate_nan=tl.PropagateNan.ALL)
        found = (q > float("-inf")) & (q < float("inf"))
    value = tl.where(found, 0, -1) + tl.zeros([BLOCK], tl.int64)
    for base in range(0, T, BLOCK):
        tl.store(result + base + lane, value, mask=base + lane < T)
    tl.debug_barrier()
    if found:
        run = 0
        for n in range(stretches - 1, -1, -1):
            base = tl.maximum(0, i + 1 - BLOCK)
            _stretch(
                emissions, stride_f, stride_m, states, before, after, skippable, tokens, frames, kept, T64, n,
                distance, base, steps, BLOCK, SKIPS, WORD, True,
            )  # fmt: skip
            tl.debug_barrier()
            j0 = n * distance
            for k in range(tl.minimum(distance, frames - j0) - 1, -1, -1):
                run += 1
                word = tl.load(steps + (k // WORD) * BLOCK + i - base) >> (2 * (k % WORD))
                step = tl.where(j0 + k > 0, word & 3, 0)
                if step != 0:
                    tl.store(result + i, run)
                    run = 0
                    i -= step
            tl.debug_barrier()
        tl.store(result + i, run)


@triton.jit
def _stretch(
    emissions, stride_f, stride_m, states, before, after, skippable, tokens, frames, kept, T64, n, distance,
    base, steps, BLOCK: tl.constexpr, SKIPS: tl.constexpr, WORD: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Q of the tokens from `base` on at the last frame of stretch n. With STEPS also writes the steps there.

    Tokens that no path can be in have -inf.
    """
    NEG_INF: tl.constexpr = float("-inf")
    lane = tl.arange(0, BLOCK)
    token = base + lane
    inside = (token >= 0) & (token < tokens)
    column = tl.load(states + token, mask=inside, other=0).to(tl.int64) * stride_m
    needs_before = tl.load(before + token, mask=inside, other=0)
    needs_after = tl.load(after + token, mask=inside, other=0)
    begins = token == 0
    if SKIPS:
        skips = tl.load(skippable + token - 1, mask=inside & (token > 0), other=0) != 0  # over the one before
        begins = begins | ((token == 1) & skips)
    j0 = n * distance
    j1 = tl.minimum(j0 + distance, frames)
    visited = inside & (needs_before < j0) & (needs_after <= frames - j0)
    Q = tl.load(kept + (n - 1) * T64 + token, mask=visited, other=NEG_INF)
    word = tl.zeros([BLOCK], tl.int32)
    row = emissions + j0.to(tl.int64) * stride_f
    x = tl.load(
        row + column, mask=inside & (needs_before <= j0) & (needs_after < frames - j0), other=NEG_INF
    ).to(tl.float32)
    for j in range(j0, j1):
        row += stride_f
        visitable = inside & (needs_before <= j + 1) & (needs_after < frames - j - 1) & (j + 1 < j1)
        x_next = tl.load(row + column, mask=visitable, other=NEG_INF).to(tl.float32)
        move = shifted(Q, 1, lane)
        best = tl.maximum(Q, move, propagate_nan=tl.PropagateNan.ALL)
        step = (move > Q).to(tl.int32)
        if SKIPS:
            skip = tl.where(skips, shifted(Q, 2, lane), NEG_INF)
            step = tl.where(best < skip, 2, step)
            best = tl.maximum(best, skip, propagate_nan=tl.PropagateNan.ALL)
        best = tl.where((j == 0) & begins, 0.0, best)
        Q = best + x
        x = x_next
        if STEPS:
            k = j - j0
            word |= step << (2 * (k % WORD))
            if (k % WORD == WORD - 1) | (j == j1 - 1):
                tl.store(steps + (k // WORD) * BLOCK + lane, word)
                word = tl.zeros([BLOCK], tl.int32)
    return Q


@triton.jit
def shifted(Q, by: tl.constexpr, lane):
    """For each lane, Q of the lane `by` places before it; -inf for the first."""
    return tl.where(lane >= by, tl.gather(Q, tl.maximum(lane - by, 0), 0), float("-inf"))
