"""Dense 0/1 paths from durations.

B batch, T text tokens, S speech frames.
"""

import torch
from torch import Tensor

from mas.checks import Layout, check_layout, check_tensors
from mas.devices import implement


def dense_path(
    durations: Tensor, n_frames: int, *, layout: Layout = "BTS", dtype: torch.dtype = torch.float32
) -> Tensor:
    """Path as 0/1, `[B, T, n_frames]` or `[B, n_frames, T]`: 1 where a frame belongs to a token.

    Args:
        durations: `[B, T]` integers, as from `mas.search`. A row of -1 gives a path of zeros.
        n_frames: The number of frames of the result. Frames beyond it are cut off.
        layout: The order of the axes of the result: batch, text, speech or batch, speech, text.
        dtype: The type of the result.

    Raises:
        TypeError: Durations are no tensor, or n_frames is no integer.
        ValueError: An unknown layout, fewer than no frames, or durations of another shape or type.
    """
    check_layout(layout)
    check_tensors(durations=durations)
    if durations.dim() != 2:
        message = f"durations have shape {tuple(durations.shape)}; batch and text are needed"
        raise ValueError(message + "; drop the second axis with squeeze(1)" * (durations.dim() == 3))
    if durations.is_floating_point() or durations.is_complex() or durations.dtype == torch.bool:
        raise ValueError(
            f"durations are {durations.dtype}; whole numbers of frames are integers: use .long()"
        )
    if not isinstance(n_frames, (int, torch.SymInt)):
        raise TypeError(f"n_frames: an integer is needed, not {type(n_frames).__name__}")
    if n_frames < 0:
        raise ValueError(f"n_frames is {n_frames}; a path has 0 frames or more")
    return torch.ops.mas.dense_path(durations, n_frames, layout == "BST", dtype)


def _dense_path(durations: Tensor, n_frames: int, speech_first: bool, dtype: torch.dtype) -> Tensor:
    """`torch.ops.mas.dense_path` where there is no Triton."""
    B, T = durations.shape
    ends = durations.clamp(min=0).cumsum(1)
    frames = torch.arange(n_frames, device=durations.device).expand(B, n_frames).contiguous()
    token = torch.searchsorted(ends, frames, right=True)  # [B, S]; T for padding
    ones = (token < T).to(dtype)
    token = token.clamp(max=T - 1)
    shape = (B, n_frames, T) if speech_first else (B, T, n_frames)
    path = torch.zeros(shape, dtype=dtype, device=durations.device)
    if T == 0:
        return path
    if speech_first:
        return path.scatter_(2, token[:, :, None], ones[:, :, None])
    return path.scatter_(1, token[:, None, :], ones[:, None, :])


def _dense_path_cuda(durations: Tensor, n_frames: int, speech_first: bool, dtype: torch.dtype) -> Tensor:
    try:
        from mas.backends import triton_path
    except ImportError:
        return _dense_path(durations, n_frames, speech_first, dtype)
    return triton_path.dense_path(durations, n_frames, speech_first, dtype)


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "dense_path(Tensor durations, int n_frames, bool speech_first, ScalarType dtype) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
implement(_library, "dense_path", _dense_path, _dense_path_cuda)


@torch.library.register_fake("mas::dense_path")
def _dense_path_fake(durations: Tensor, n_frames: int, speech_first: bool, dtype: torch.dtype) -> Tensor:
    B, T = durations.shape
    return durations.new_empty((B, n_frames, T) if speech_first else (B, T, n_frames), dtype=dtype)
