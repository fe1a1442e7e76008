"""Drop-in replacements for `maximum_path` and `b_mas` of existing trainers: only the import changes.

B batch, T text tokens, S speech frames.

- Glow-TTS, Grad-TTS, Matcha-TTS, StyleTTS2, Coqui, the package `monotonic-alignment-search`, `[B, T, S]`:
  `from mas.compat import glow_tts as monotonic_align`, or `from mas import maximum_path`
- VITS, VITS2, PITS, piper, Bert-VITS2, NeMo's VITS, ESPnet's VITS, `[B, S, T]`:
  `from mas.compat import vits as monotonic_align`
- Super-MAS, `[B, T, S]`: `from mas.compat import super_mas as super_monotonic_align`
- NeMo's aligner, FastPitch, numpy `[B, 1, S, T]`: `from mas.compat import b_mas`

Three things always differ from theirs. No input is written to. Sums are float32 for every type of the scores,
and stay right below -1e9. More tokens than frames, NaN, and axes in the wrong order raise ValueError instead
of giving a wrong path. All else is equal, ties included.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.checks import GLOW_TTS_IMPORT, VITS_IMPORT, Caller, Layout, explain
from mas.path import dense_path
from mas.search import search_for


def maximum_path(
    value: Tensor,
    mask: Tensor,
    *,
    layout: Layout = "BTS",
    dtype: torch.dtype | None = None,
    check: bool = True,
) -> Tensor:
    """The best monotonic path as 0/1, shaped like `value`.

    Args:
        value: Scores `[B, T, S]` as in Glow-TTS, Matcha-TTS and Coqui, or `[B, S, T]` with `layout="BST"` as
            in VITS and its family; any float type.
        mask: The same shape, 1 within the lengths of an item and 0 elsewhere; any type. Only its first row
            and first column are read.
        layout: The order of the axes of `value` and `mask`.
        dtype: The type of the result; by default the type of `value`.
        check: As in `mas.search`; without it, an item that cannot be aligned gets a path of zeros.

    Raises:
        ValueError: As `mas.search`, and if the mask does not fit.

    Source: jaywalnut310/glow-tts and jaywalnut310/vits, monotonic_align/__init__.py.
    """
    if value.shape != mask.shape or value.dim() != 3:
        message = (
            f"value has shape {tuple(value.shape)}, mask {tuple(mask.shape)}; the same three axes are needed"
        )
        if max(value.dim(), mask.dim()) == 4:
            message += "; drop the second axis with squeeze(1)"
        elif value.dim() == mask.dim() == 3 and value.shape == mask.mT.shape:
            other_import = VITS_IMPORT if layout == "BTS" else GLOW_TTS_IMPORT
            message += f". In one of them text and speech are swapped; for value's order, {other_import}"
        raise ValueError(message)
    lengths = _count(mask[:, :, 0]), _count(mask[:, 0, :])
    text_lengths, speech_lengths = lengths if layout == "BTS" else lengths[::-1]
    caller: Caller = "maximum_path BTS" if layout == "BTS" else "maximum_path BST"
    durations = search_for(caller, value, text_lengths, speech_lengths, layout=layout, check=check)
    n_frames = value.shape[2 if layout == "BTS" else 1]
    return dense_path(durations, n_frames, layout=layout, dtype=dtype or value.dtype)


class glow_tts:
    """Replaces the module `monotonic_align` of Glow-TTS and its descendants: `[B, T, S]`."""

    @staticmethod
    def maximum_path(value: Tensor, mask: Tensor) -> Tensor:
        """0/1 in value's type. value, mask: `[B, T, S]`. See `mas.maximum_path`."""
        return maximum_path(value, mask)


class vits:
    """Replaces the module `monotonic_align` of VITS and its descendants: `[B, S, T]`."""

    @staticmethod
    def maximum_path(neg_cent: Tensor, mask: Tensor) -> Tensor:
        """0/1 in neg_cent's type. neg_cent, mask: `[B, S, T]`. See `mas.maximum_path`."""
        return maximum_path(neg_cent, mask, layout="BST")


class super_mas:
    """Replaces the module `super_monotonic_align`: `[B, T, S]`. Leaves `value` as it is."""

    @staticmethod
    def maximum_path(value: Tensor, mask: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """0/1 in `dtype`. value, mask: `[B, T, S]`. See `mas.maximum_path`."""
        return maximum_path(value, mask, dtype=dtype)


def b_mas(
    b_log_attn_map: NDArray[Any], in_lens: NDArray[Any], out_lens: NDArray[Any], width: int = 1
) -> NDArray[Any]:
    """The best path as 0/1 in the type and shape of the scores, on the CPU; on a tie it moves on.

    Args:
        b_log_attn_map: log-probabilities `[B, 1, S, T]`.
        in_lens: `[B]`, tokens of each item.
        out_lens: `[B]`, frames of each item.
        width: Must be 1.

    Raises:
        ValueError: As `mas.search`, and for another width than 1.

    Source: NVIDIA/NeMo nemo/collections/tts/parts/utils/helpers.py.
    """
    from mas.backends import cpu

    if width != 1:
        raise ValueError(f"b_mas: width {width}; only 1 is there")
    if b_log_attn_map.ndim != 4 or b_log_attn_map.shape[1] != 1:
        raise ValueError(
            f"b_mas: scores have shape {b_log_attn_map.shape}; [batch, 1, speech, text] is needed"
        )
    scores = torch.from_numpy(b_log_attn_map[:, 0]).mT
    tokens, frames = torch.from_numpy(np.asarray(in_lens)), torch.from_numpy(np.asarray(out_lens))
    durations = cpu.durations(scores, tokens, frames, ties_move=True)
    if bool((durations < 0).any()):
        raise ValueError(explain(scores, tokens, frames, None, durations, "b_mas"))
    path = dense_path(durations, scores.shape[2], layout="BST", dtype=scores.dtype)
    return path[:, None].numpy()


def _count(mask: Tensor) -> Tensor:
    """Number of set elements in each row, exact for every type; bfloat16 cannot count beyond 256."""
    return (mask != 0).sum(1)
