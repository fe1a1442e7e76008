"""Drop-in replacements for `maximum_path` and `b_mas` of existing trainers: only the import changes.

B batch, T text tokens, S speech frames.

- Glow-TTS, Grad-TTS, Matcha-TTS, StyleTTS2, Coqui, the package `monotonic-alignment-search`, `[B, T, S]`:
  `from mas.compat import glow_tts as monotonic_align`, or `from mas import maximum_path`
- VITS, VITS2, PITS, piper, Bert-VITS2, NeMo's VITS, ESPnet's VITS, `[B, S, T]`:
  `from mas.compat import vits as monotonic_align`
- Super-MAS, `[B, T, S]`: `from mas.compat import super_mas as super_monotonic_align`
- NeMo's aligner, FastPitch, numpy `[B, 1, S, T]`: `from mas.compat import b_mas`

Three things always differ from theirs. No input is written to. Sums are float32 for every type of the scores,
and stay right below -1e9. More tokens than frames, NaN, +inf, and axes in the wrong order raise ValueError
instead of giving a wrong path. All else is equal: ties, the type of the result, and the path where every path
has a score of -inf (an overflow in float16, a probability of 0), which they find by rules of their own.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.checks import GLOW_TTS_IMPORT, VITS_IMPORT, Caller, Layout, any_failed, explain
from mas.ctc import forced_align as forced_align  # torchaudio's
from mas.path import dense_path
from mas.search import search_for

_CYTHON_INFEASIBLE = -1e9  # max_neg_val in Glow-TTS's and VITS's core.pyx


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
        dtype: The type of the result; by default that of `value * mask` as in Glow-TTS, which multiplies
            them (float32 for float16 scores and a float32 mask), and with `layout="BST"` that of `value`.
        check: As in `mas.search`; without it, an item that cannot be aligned gets a path of zeros.

    Raises:
        ValueError: As `mas.search` but for scores of -inf, and if the mask does not fit.

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
    durations = search_for(caller, value, text_lengths, speech_lengths, layout=layout, check=False)
    scores = value.detach() if layout == "BTS" else value.detach().transpose(1, 2)
    if check and scores.numel():
        durations = torch.ops.mas.repair(scores, text_lengths, speech_lengths, durations, caller)
    own_type = torch.result_type(value, mask) if layout == "BTS" else value.dtype
    n_frames = value.shape[2 if layout == "BTS" else 1]
    return dense_path(durations, n_frames, layout=layout, dtype=dtype or own_type)


class glow_tts:
    """Replaces the module `monotonic_align` of Glow-TTS and its descendants: `[B, T, S]`."""

    @staticmethod
    def maximum_path(value: Tensor, mask: Tensor) -> Tensor:
        """0/1 in the type of `value * mask`. value, mask: `[B, T, S]`. See `mas.maximum_path`."""
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
        durations = _repair(scores, tokens, frames, durations, "b_mas")
    path = dense_path(durations, scores.shape[2], layout="BST", dtype=scores.dtype)
    return path[:, None].numpy()


def _count(mask: Tensor) -> Tensor:
    """Number of set elements in each row, exact for every type; bfloat16 cannot count beyond 256."""
    return (mask != 0).sum(1)


def _repair(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, durations: Tensor, caller: str
) -> Tensor:
    """`torch.ops.mas.repair`: the durations, with the path that the replaced code finds where all have -inf.

    One operation, so that torch.compile need not look inside (as `mas.search`).

    Args:
        scores: `[B, T, S]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        durations: `[B, T]`, with a row of -1 for an item without a path.
        caller: As in `explain`.

    Raises:
        ValueError: An item cannot be aligned for another reason.
    """
    durations = durations.clone()
    if not any_failed(durations):
        return durations
    for b in (durations[:, 0] < 0).nonzero()[:, 0].tolist():
        tokens, frames = int(text_lengths[b]), int(speech_lengths[b])
        if 1 <= tokens <= min(frames, scores.shape[1]) and frames <= scores.shape[2]:
            own = scores[b, :tokens, :frames].float().cpu().numpy()
            path = _path_despite_infinity(own, moves_on_ties=caller == "b_mas")
            if path is not None:
                durations[b] = 0
                durations[b, :tokens] = torch.from_numpy(path)
    if any_failed(durations):
        raise ValueError(explain(scores, text_lengths, speech_lengths, None, durations, caller))
    return durations


def _path_despite_infinity(scores: NDArray[np.float32], moves_on_ties: bool) -> NDArray[np.int64] | None:
    """The durations `[T]` that the replaced code finds for scores `[T, S]`; None for NaN or +inf in them.

    The usual sums and comparisons. They differ from the search by what stands for "not possible": -1e9 in the
    Cython code, which -inf is less than, and -inf in NeMo's, which moves on ties.
    """
    T, S = scores.shape
    infeasible = np.float32(-np.inf if moves_on_ties else _CYTHON_INFEASIBLE)
    best = np.full((T, S), infeasible, np.float32)
    for s in range(S):
        low, high = max(0, T + s - S), min(T, s + 1)  # the tokens that a path can be in
        here = scores[low:high, s]
        if not (here < np.inf).all():
            return None
        stay, move = np.full((2, T), infeasible, np.float32)
        if s:
            stay[:s] = best[:s, s - 1]
            move[1:] = best[:-1, s - 1]
        else:
            move[0] = 0
        best[low:high, s] = np.maximum(stay, move)[low:high] + here
    durations = np.zeros(T, np.int64)
    t = T - 1
    for s in range(S - 1, -1, -1):
        durations[t] += 1
        if t and s:
            stay_score, move_score = best[t, s - 1], best[t - 1, s - 1]
            moves = move_score >= stay_score if moves_on_ties else stay_score < move_score
            t -= int(t == s or moves)
    return durations


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "repair(Tensor scores, Tensor text_lengths, Tensor speech_lengths, Tensor durations, str caller) "
    "-> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_library.impl("repair", _repair, "CPU")
_library.impl("repair", _repair, "CUDA")


@torch.library.register_fake("mas::repair")
def _repair_fake(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, durations: Tensor, caller: str
) -> Tensor:
    return torch.empty_like(durations)
