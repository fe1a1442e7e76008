"""Replaces resemble-ai's package `monotonic_align`, which StyleTTS and StyleTTS2 import: `[B, T, S]`.

B batch, T text tokens (there: S, symbols), S speech frames (there: T).
"""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.checks import Lengths
from mas.compat import paths

_SAME_PATHS = ("1-step", "1-step-alt")


def maximum_path(
    value: Tensor,
    mask: Tensor | None = None,
    topology: str = "1-step",
    output_scores: bool = False,
    *,
    check: paths.Check = "lengths",
) -> Tensor:
    """The best monotonic path as 0/1 in value's type. See `mas.maximum_path`.

    Args:
        value: Scores `[B, T, S]`, any float type.
        mask: The same shape, as from `mask_from_lens`; by default all ones.
        topology: "1-step" or "1-step-alt", which have the same paths.
        output_scores: Must be False.
        check: As in `mas.maximum_path`.

    Raises:
        ValueError: As `mas.maximum_path`, and for other topologies or `output_scores`.

    Source: the interface is resemble-ai/monotonic_align, monotonic_align/mas.py.
    """
    if topology not in _SAME_PATHS:
        raise ValueError(f"topology {topology!r}: use one of {_SAME_PATHS}, or mas.search with `skippable`")
    if output_scores:
        raise ValueError("output_scores: the sums over paths are not kept")
    mask = torch.ones_like(value, dtype=torch.bool) if mask is None else mask
    return paths.maximum_path(value, mask, dtype=value.dtype, check=check)


def maximum_path_c(
    path: NDArray[Any],
    value: NDArray[Any],
    t_x: NDArray[Any],
    t_y: NDArray[Any],
    *,
    check: paths.Check = "lengths",
) -> None:
    """Writes the best paths as 0/1 to `path`, as `monotonic_align.core`, on the CPU. Leaves `value` as it is.

    Args:
        path: `[B, T, S]`, zeros; any type.
        value: Scores `[B, T, S]`, any float type.
        t_x: `[B]` integers, tokens of each item.
        t_y: `[B]` integers, frames of each item.
        check: As in `mas.maximum_path`.

    Raises:
        ValueError: As `mas.maximum_path`.
    """
    if path.shape != value.shape:
        raise ValueError(f"path has shape {path.shape}, value {value.shape}; the same is needed")
    found = paths.path_of_lengths(torch.tensor(value), t_x, t_y, check=check, dtype=torch.uint8)
    path[:] = found.numpy()


def mask_from_lens(similarity: Tensor, symbol_lens: Lengths, mel_lens: Lengths) -> Tensor:
    """A mask `[B, T, S]` in similarity's type: 1 within the lengths of each item.

    Args:
        similarity: `[B, T, S]`; only its shape, type and device matter.
        symbol_lens: `[B]` integers, tokens of each item.
        mel_lens: `[B]` integers, frames of each item.
    """
    tokens = mask_from_len(symbol_lens, similarity.shape[1])
    frames = mask_from_len(mel_lens, similarity.shape[2])
    return (tokens[:, :, None] & frames[:, None, :]).to(similarity)


def mask_from_len(lens: Lengths, max_len: int | None = None) -> Tensor:
    """A mask `[B, max_len]`, bool: True within the length of each item.

    Args:
        lens: `[B]` integers.
        max_len: By default the longest of them.
    """
    lens = torch.as_tensor(lens)
    longest = int(lens.max()) if max_len is None else max_len
    return torch.arange(longest, device=lens.device) < lens[:, None]
