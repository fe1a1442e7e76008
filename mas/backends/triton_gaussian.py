"""gaussian_search on a GPU, in Triton.

B batch, T text tokens, S speech frames, C channels; i counts tokens, j counts frames.

A kernel computes the scores tile by tile, only where a path can pass. Then the search runs over them. As many
items as fit into a fixed memory are processed at a time.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_TOKENS, _FRAMES, _CHANNELS = 64, 128, 32  # of a tile
_MEMORY_BYTES = 64 << 20  # for scores; those of one item are always held whole


def gaussian_durations(
    mean: Tensor,
    log_scale: Tensor | None,
    speech: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    precision: str,
    backend: str,
) -> Tensor:
    """Durations int64 `[B, T]`, with a row of -1 for an item without a path.

    Args:
        mean: float32 `[B, T, C]`, on a GPU, as all others.
        log_scale: float32 `[B, T, C]`, natural log of the standard deviation; None is unit variance.
        speech: float32 `[B, S, C]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        precision: "ieee", "tf32x3" or "tf32", as in `mas.gaussian_search`.
        backend: Of the search; "" is the default one.
    """
    B, T, _ = mean.shape
    S = speech.shape[1]
    padded = triton.cdiv(S, 4) * 4  # rows that begin at 16 bytes are read faster
    items = min(B, max(1, _MEMORY_BYTES // (4 * T * padded)))
    scores = torch.empty((items, T, padded), dtype=torch.float32, device=mean.device)[:, :, :S]
    found = []
    for b in range(0, B, items):
        group = slice(b, min(B, b + items))
        own = scores[: group.stop - group.start]
        lengths = text_lengths[group], speech_lengths[group]
        scale = None if log_scale is None else log_scale[group]
        _fill_scores(own, mean[group], scale, speech[group], *lengths, precision)
        found.append(torch.ops.mas.search(own, *lengths, None, "gaussian_search", backend, False))
    return found[0] if len(found) == 1 else torch.cat(found)


def _fill_scores(
    scores: Tensor,
    mean: Tensor,
    log_scale: Tensor | None,
    speech: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    precision: str,
) -> None:
    """Writes `log_likelihood` into `scores` `[B, T, S]` where a path can pass; the rest stays as it is."""
    B, T, C = mean.shape
    S = speech.shape[1]
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    grid = (triton.cdiv(S, _FRAMES), triton.cdiv(T, _TOKENS), B)
    with torch.cuda.device_of(mean):
        _gaussian_scores_kernel[grid](
            mean, *mean.stride(), log_scale, *(mean if log_scale is None else log_scale).stride(),
            speech, *speech.stride(), text_lengths, speech_lengths, scores, *scores.stride()[:2],
            T, S, C, -0.5 * C * math.log(2 * math.pi),
            HAS_SCALE=log_scale is not None, PRECISION=precision,
            TOKENS=_TOKENS, FRAMES=_FRAMES, CHANNELS=_CHANNELS, num_warps=4, num_stages=2,
        )  # fmt: skip


@triton.jit
def _gaussian_scores_kernel(
    mean, mean_b, mean_i, mean_c, log_scale, scale_b, scale_i, scale_c, speech, speech_b, speech_j, speech_c,
    text_lengths, speech_lengths, scores, scores_b, scores_i, T, S, C, constant,
    HAS_SCALE: tl.constexpr, PRECISION: tl.constexpr,
    TOKENS: tl.constexpr, FRAMES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(2).to(tl.int64)
    first_i, first_j = tl.program_id(1) * TOKENS, tl.program_id(0) * FRAMES
    tokens, frames = tl.load(text_lengths + b), tl.load(speech_lengths + b)
    too_early = first_j + FRAMES - 1 < first_i
    too_late = first_j > frames - tokens + first_i + TOKENS - 1
    if too_early | too_late | (first_i >= tokens) | (first_j >= frames):
        return
    i, j = first_i + tl.arange(0, TOKENS), first_j + tl.arange(0, FRAMES)
    i64, j64 = i.to(tl.int64), j.to(tl.int64)
    sums = tl.zeros([TOKENS, FRAMES], tl.float32)
    of_token = tl.zeros([TOKENS], tl.float32)
    of_frame = tl.zeros([FRAMES], tl.float32)
    for c0 in range(0, C, CHANNELS):
        c = c0 + tl.arange(0, CHANNELS)
        here = (i < T)[:, None] & (c < C)[None, :]
        m = tl.load(mean + b * mean_b + i64[:, None] * mean_i + c[None, :] * mean_c, mask=here, other=0.0).to(
            tl.float32
        )
        z = tl.load(
            speech + b * speech_b + j64[None, :] * speech_j + c[:, None] * speech_c,
            mask=(j < S)[None, :] & (c < C)[:, None], other=0.0,
        ).to(tl.float32)  # fmt: skip
        if HAS_SCALE:
            s = tl.load(
                log_scale + b * scale_b + i64[:, None] * scale_i + c[None, :] * scale_c, mask=here, other=0.0
            ).to(tl.float32)
            inverse = tl.exp(-2.0 * s)
            weighted = m * inverse
            of_token -= tl.sum(s + 0.5 * m * weighted, 1)
            sums = tl.dot(weighted, z, sums, input_precision=PRECISION)
            sums = tl.dot(-0.5 * inverse, z * z, sums, input_precision=PRECISION)
        else:
            of_token -= 0.5 * tl.sum(m * m, 1)
            of_frame -= 0.5 * tl.sum(z * z, 0)
            sums = tl.dot(m, z, sums, input_precision=PRECISION)
    sums += (of_token + constant)[:, None] + of_frame[None, :]
    place = scores + b * scores_b + i64[:, None] * scores_i + j64[None, :]
    tl.store(place, sums, mask=(i < T)[:, None] & (j < S)[None, :])
