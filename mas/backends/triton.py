"""The search in plain Triton: right on every card Triton serves, and in its interpreter on a CPU.

B batch, T text tokens, S speech frames; i counts tokens, j frames. Q as in reference.py.

One program an item holds a column of Q in registers and walks the frames. It writes which way each cell was
entered, a bit a cell (two where tokens may be skipped), and a second kernel walks back through those.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


def durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """Scores `[B, T, S]` of any strides -> int64 `[B, T]`, as `mas.reference.durations`; waits for nothing.

    Memory: `B * T * S` bits, twice that with `skippable`.
    """
    if scores.dtype == torch.float64:
        scores = scores.float()
    B, T, S = scores.shape
    frames_a_word = 32 if skippable is None else 16
    words = triton.cdiv(S, frames_a_word)
    steps = torch.empty((B, words, T), dtype=torch.int32, device=scores.device)
    last = torch.empty(B, dtype=torch.int32, device=scores.device)
    result = torch.empty((B, T), dtype=torch.int64, device=scores.device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    may_skip = scores if skippable is None else skippable.contiguous()
    block = triton.next_power_of_2(T)
    with torch.cuda.device_of(scores):
        _forward[(B,)](
            scores, *scores.stride(), text_lengths, speech_lengths, may_skip, T, S, steps, words, last,
            result, BLOCK=block, SKIPS=skippable is not None, WORD=frames_a_word,
            num_warps=min(16, max(1, block // 128)),
        )  # fmt: skip
        _backward[(B,)](
            steps, words, last, speech_lengths, T, result,
            WORD=frames_a_word, SKIPS=skippable is not None, num_warps=1,
        )  # fmt: skip
    return result


@triton.jit
def _forward(
    scores, stride_b, stride_i, stride_j, text_lengths, speech_lengths, skippable, T, S, steps, words, last,
    result, BLOCK: tl.constexpr, SKIPS: tl.constexpr, WORD: tl.constexpr,
):  # fmt: skip
    """Writes `steps` `[B, words, T]`, the `last` token `[B]` (-1: no path), 0 or -1 to `result`."""
    NEVER: tl.constexpr = float("-inf")
    b = tl.program_id(0).to(tl.int64)
    tokens = tl.load(text_lengths + b)
    frames = tl.load(speech_lengths + b)
    fits = (tokens >= 1) & (tokens <= T) & (frames >= 1) & (frames <= S)
    tokens = tl.where(fits, tokens, 0).to(tl.int32)
    frames = tl.where(fits, frames, 0).to(tl.int32)
    i = tl.arange(0, BLOCK)
    spoken = i < tokens

    starts = i == 0
    if SKIPS:
        may_skip = tl.load(skippable + b * T + i, mask=spoken, other=0) != 0
        skips = tl.load(skippable + b * T + i - 1, mask=spoken & (i > 0), other=0) != 0  # over token i-1
        needs = (spoken & ~may_skip).to(tl.int32)
        needed = tl.sum(needs)
        before = tl.cumsum(needs) - needs
        after = needed - before - needs
        neighbours = tl.sum((may_skip & skips).to(tl.int32))
        fits = fits & (neighbours == 0) & (needed <= frames)
        ends_early = tl.sum((may_skip & (i == tokens - 1) & (i > 0)).to(tl.int32)) > 0
        starts = starts | (skips & (i == 1))
    else:
        before = i
        after = tokens - 1 - i
        fits = fits & (tokens <= frames)
        ends_early = False
    frames = tl.where(fits, frames, 0)

    cell = scores + b * stride_b + i.to(tl.int64) * stride_i
    Q = tl.load(cell, mask=spoken & starts & (after < frames), other=NEVER).to(tl.float32)
    column = steps + b * words * T + i
    stride_j = tl.full([], 1, tl.int64) * stride_j  # an argument of 1 arrives as a constant
    word = tl.zeros([BLOCK], tl.int32)
    x = tl.load(cell + stride_j, mask=spoken & (before <= 1) & (after < frames - 1), other=NEVER).to(
        tl.float32
    )
    for j in range(1, frames):
        next_visitable = spoken & (before <= j + 1) & (after < frames - 1 - j)
        x_next = tl.load(cell + (j + 1) * stride_j, mask=next_visitable, other=NEVER).to(tl.float32)
        move = _shifted(Q, 1, i)
        best = tl.maximum(Q, move, propagate_nan=tl.PropagateNan.ALL)
        word |= (move > Q).to(tl.int32) << (j % WORD)
        if SKIPS:
            skip = tl.where(skips, _shifted(Q, 2, i), NEVER)
            word |= (best < skip).to(tl.int32) << (WORD + j % WORD)
            best = tl.maximum(best, skip, propagate_nan=tl.PropagateNan.ALL)
        Q = best + x
        x = x_next
        if (j % WORD == WORD - 1) | (j == frames - 1):
            tl.store(column + (j // WORD) * T, word, mask=spoken)
            word = tl.zeros([BLOCK], tl.int32)

    end = tokens - 1
    q = tl.sum(tl.where(i == end, Q, 0.0))
    if SKIPS:
        q_before = tl.sum(tl.where(i == end - 1, Q, 0.0))
        q_before = tl.where(ends_early, q_before, NEVER)
        end = tl.where(q < q_before, end - 1, end)
        q = tl.maximum(q, q_before, propagate_nan=tl.PropagateNan.ALL)
    fits = fits & (q > NEVER) & (q < -NEVER)
    tl.store(last + b, tl.where(fits, end, -1))
    tl.store(result + b * T + i, tl.where(fits, 0, -1) + tl.zeros([BLOCK], tl.int64), mask=i < T)


@triton.jit
def _shifted(Q, by: tl.constexpr, i):
    """Q of the token `by` before each."""
    return tl.where(i >= by, tl.gather(Q, tl.maximum(i - by, 0), 0), float("-inf"))


@triton.jit
def _backward(steps, words, last, speech_lengths, T, result, WORD: tl.constexpr, SKIPS: tl.constexpr):
    """Writes into `result` `[B, T]`, filled by `_forward`, the frames of the tokens that have any."""
    b = tl.program_id(0).to(tl.int64)
    i = tl.load(last + b)
    steps += b * words * T
    result += b * T
    if i >= 0:
        run = 1
        for j in range(tl.load(speech_lengths + b).to(tl.int32) - 1, 0, -1):
            word = tl.load(steps + (j // WORD) * T + i) >> (j % WORD)
            step = word & 1
            if SKIPS:
                step = tl.where((word >> WORD) & 1 != 0, 2, step)
            if step != 0:
                tl.store(result + i, run)
                run = 0
                i -= step
            run += 1
        tl.store(result + i, run)


def dense_path(durations: Tensor, n_frames: int, speech_first: bool, dtype: torch.dtype) -> Tensor:
    """As `mas.dense_path`: one launch that writes every element once and reads next to nothing."""
    B, T = durations.shape
    shape = (B, n_frames, T) if speech_first else (B, T, n_frames)
    path = torch.empty(shape, dtype=dtype, device=durations.device)
    if path.numel() == 0:
        return path
    durations = durations.contiguous()
    with torch.cuda.device_of(durations):
        if speech_first:
            _path_speech_first[(triton.cdiv(n_frames, 16), B)](
                durations, path, T, n_frames, FRAMES=16, TOKENS=256
            )
        else:
            _path_text_first[(triton.cdiv(T, 4), B)](
                durations, path, T, n_frames, ALL=triton.next_power_of_2(T), TOKENS=4, FRAMES=1024
            )
    return path


@triton.jit
def _path_text_first(
    durations, path, T, S, ALL: tl.constexpr, TOKENS: tl.constexpr, FRAMES: tl.constexpr
):  # fmt: skip
    """A few tokens' whole rows."""
    b = tl.program_id(1).to(tl.int64)
    i0 = tl.program_id(0) * TOKENS
    every = tl.arange(0, ALL)
    earlier = tl.load(durations + b * T + every, mask=every < i0, other=0).to(tl.int32)
    i = i0 + tl.arange(0, TOKENS)
    own = tl.maximum(tl.load(durations + b * T + i, mask=i < T, other=0).to(tl.int32), 0)
    ends = tl.sum(tl.maximum(earlier, 0)) + tl.cumsum(own)
    starts = ends - own
    rows = path + (b * T + i)[:, None] * S
    for j0 in range(0, S, FRAMES):
        j = j0 + tl.arange(0, FRAMES)[None, :]
        inside = (j >= starts[:, None]) & (j < ends[:, None])
        tl.store(rows + j, inside.to(path.dtype.element_ty), mask=(i < T)[:, None] & (j < S))


@triton.jit
def _path_speech_first(durations, path, T, S, FRAMES: tl.constexpr, TOKENS: tl.constexpr):
    """A few frames' whole rows."""
    b = tl.program_id(1).to(tl.int64)
    j = tl.program_id(0) * FRAMES + tl.arange(0, FRAMES)
    rows = path + (b * S + j)[:, None] * T
    start = 0
    for i0 in range(0, T, TOKENS):
        i = i0 + tl.arange(0, TOKENS)
        own = tl.maximum(tl.load(durations + b * T + i, mask=i < T, other=0).to(tl.int32), 0)
        ends = start + tl.cumsum(own)
        inside = (j[:, None] >= (ends - own)[None, :]) & (j[:, None] < ends[None, :])
        tl.store(
            rows + i[None, :], inside.to(path.dtype.element_ty), mask=(j < S)[:, None] & (i < T)[None, :]
        )
        start += tl.sum(own)
