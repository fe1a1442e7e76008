"""The search in Triton, for every GPU that Triton serves, and for its interpreter on a CPU.

B batch, T text tokens, S speech frames; i counts tokens, j counts frames. Q as in reference.py.

Scores are searched by triton_rows.py. Where bias or noise is added to them, the kernels below do it.

The forward kernel has one program for each item. It holds a column of Q in registers and goes through the
frames. For each cell it writes one bit, stay or move (two bits where tokens may be skipped). The backward
kernel follows those bits from the end.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from mas.added import Added
from mas.backends.triton_added import read_scores, row_keys
from mas.backends.triton_launch import launch
from mas.backends.triton_rows import row_durations
from mas.backends.triton_states import shifted, state_durations

__all__ = ["durations", "state_durations"]


def durations(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    *,
    added: Added | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.durations`. Never waits for the GPU.

    Memory: 1.5 times `B * T * S` bits, with `added` once; twice that with `skippable`.

    Args:
        scores: `[B, T, S]`, any float type and strides.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        added: What is added to the scores, or None.
    """
    if scores.dtype == torch.float64:
        scores = scores.float()
    if added is None:
        return row_durations(scores, text_lengths, speech_lengths, skippable)
    bias, bias_scale, noise_scale, seed = added
    # Where there is none, any address: it is not read. Triton has no kernels that read float64 as float32.
    of_bias = scores if bias is None else bias.float() if bias.dtype == torch.float64 else bias
    B, T, S = scores.shape
    frames_a_word = 32 if skippable is None else 16
    words = triton.cdiv(S, frames_a_word)
    steps = torch.empty((B, words, T), dtype=torch.int32, device=scores.device)
    last = torch.empty(B, dtype=torch.int32, device=scores.device)
    result = torch.empty((B, T), dtype=torch.int64, device=scores.device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    may_skip = scores if skippable is None else skippable.contiguous()
    block = triton.next_power_of_2(T)
    launch(
        _search_forward_kernel, (B, 1, 1),
        (scores, text_lengths, speech_lengths, may_skip, steps, last, result, of_bias,
         scores if bias_scale is None else bias_scale, scores if noise_scale is None else noise_scale,
         scores if seed is None else seed),
        (*scores.stride(), T, S, words, *of_bias.stride()),
        BLOCK=block, SKIPS=skippable is not None, WORD=frames_a_word, BIAS=bias is not None,
        NOISE=noise_scale is not None, num_warps=min(16, max(1, block // 128)), enable_fp_fusion=False,
    )  # fmt: skip
    launch(
        _search_backward_kernel, (B, 1, 1), (steps, last, speech_lengths, result), (words, T),
        WORD=frames_a_word, SKIPS=skippable is not None, num_warps=1,
    )  # fmt: skip
    return result


@triton.jit
def _search_forward_kernel(
    scores, text_lengths, speech_lengths, skippable, steps, last, result, bias, bias_scales, noise_scales,
    seed, stride_b, stride_i, stride_j, T, S, words, bias_stride_b, bias_stride_i, bias_stride_j,
    BLOCK: tl.constexpr, SKIPS: tl.constexpr, WORD: tl.constexpr, BIAS: tl.constexpr, NOISE: tl.constexpr,
):  # fmt: skip
    """Writes `steps` `[B, words, T]`, the `last` token `[B]` (-1: no path), 0 or -1 to `result`."""
    NEG_INF: tl.constexpr = float("-inf")
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
    bias_cell = bias + b * bias_stride_b + i.to(tl.int64) * bias_stride_i
    stride_j = tl.full([], 1, tl.int64) * stride_j  # an argument of 1 arrives as a constant
    bias_stride_j = tl.full([], 1, tl.int64) * bias_stride_j
    bias_scale, noise_scale, keys = 1.0, 0.0, i
    if BIAS:
        bias_scale = tl.load(bias_scales + b)
    if NOISE:
        noise_scale = tl.load(noise_scales + b)
        keys = row_keys(tl.load(seed), b, i)
    mask = spoken & starts & (after < frames)
    Q = read_scores(cell, bias_cell, mask, bias_scale, noise_scale, keys, 0, BIAS, NOISE)
    column = steps + b * words * T + i
    word = tl.zeros([BLOCK], tl.int32)
    mask = spoken & (before <= 1) & (after < frames - 1)
    x = read_scores(
        cell + stride_j, bias_cell + bias_stride_j, mask, bias_scale, noise_scale, keys, 1, BIAS, NOISE
    )  # fmt: skip
    for j in range(1, frames):
        mask = spoken & (before <= j + 1) & (after < frames - 1 - j)
        x_next = read_scores(
            cell + (j + 1) * stride_j, bias_cell + (j + 1) * bias_stride_j, mask, bias_scale, noise_scale,
            keys, j + 1, BIAS, NOISE,
        )  # fmt: skip
        move = shifted(Q, 1, i)
        best = tl.maximum(Q, move, propagate_nan=tl.PropagateNan.ALL)
        word |= (move > Q).to(tl.int32) << (j % WORD)
        if SKIPS:
            skip = tl.where(skips, shifted(Q, 2, i), NEG_INF)
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
        q_before = tl.where(ends_early, q_before, NEG_INF)
        end = tl.where(q < q_before, end - 1, end)
        q = tl.maximum(q, q_before, propagate_nan=tl.PropagateNan.ALL)
    fits = fits & (q > NEG_INF) & (q < -NEG_INF)
    tl.store(last + b, tl.where(fits, end, -1))
    tl.store(result + b * T + i, tl.where(fits, 0, -1) + tl.zeros([BLOCK], tl.int64), mask=i < T)


@triton.jit
def _search_backward_kernel(
    steps, last, speech_lengths, result, words, T, WORD: tl.constexpr, SKIPS: tl.constexpr
):
    """Stores the frames of each token that has any in `result` `[B, T]`, already filled."""
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
