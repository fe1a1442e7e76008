"""Dense 0/1 paths from durations, in Triton.

B batch, T text tokens, S speech frames; i counts tokens, j counts frames. BTS and BST name the path's axes.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from mas.backends.triton_launch import launch


def dense_path(durations: Tensor, n_frames: int, speech_first: bool, dtype: torch.dtype) -> Tensor:
    """As `mas.dense_path`: one kernel launch, which writes each element once and reads only the durations.

    Args:
        durations: `[B, T]` integers.
        n_frames: S.
        speech_first: Whether the path is `[B, S, T]`, not `[B, T, S]`.
        dtype: The type of the path.
    """
    B, T = durations.shape
    shape = (B, n_frames, T) if speech_first else (B, T, n_frames)
    path = torch.empty(shape, dtype=dtype, device=durations.device)
    if path.numel() == 0:
        return path
    durations = durations.contiguous()
    if speech_first:
        launch(
            _dense_path_bst_kernel, (-(-n_frames // 16), B, 1), (durations, path), (T, n_frames), FRAMES=16,
            TOKENS=256,
        )  # fmt: skip
    else:
        launch(
            _dense_path_bts_kernel, (-(-T // 4), B, 1), (durations, path), (T, n_frames),
            ALL=1 << (T - 1).bit_length(), TOKENS=4, FRAMES=1024,
        )  # fmt: skip
    return path


@triton.jit
def _dense_path_bts_kernel(
    durations, path, T, S, ALL: tl.constexpr, TOKENS: tl.constexpr, FRAMES: tl.constexpr
):  # fmt: skip
    """Whole rows of a few tokens."""
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
def _dense_path_bst_kernel(durations, path, T, S, FRAMES: tl.constexpr, TOKENS: tl.constexpr):
    """Whole rows of a few frames."""
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
