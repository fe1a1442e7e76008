"""`maximum_path`, and what becomes of items whose scores allow no path. `mas.compat` says what differs.

B batch, T text tokens, S speech frames.
"""

import warnings
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.checks import (
    GLOW_TTS_IMPORT,
    VITS_IMPORT,
    Caller,
    Layout,
    Lengths,
    any_failed,
    check_lengths,
    check_tensors,
    explain,
    why_not_finite,
)
from mas.devices import implement
from mas.path import dense_path
from mas.search import search_for

Check = bool | Literal["lengths"]
_CYTHON_INFEASIBLE = -1e9  # max_neg_val in Glow-TTS's and VITS's core.pyx


def maximum_path(
    value: Tensor,
    mask: Tensor,
    *,
    layout: Layout = "BTS",
    dtype: torch.dtype | None = None,
    check: Check = "lengths",
) -> Tensor:
    """The best monotonic path as 0/1, shaped like `value`.

    Args:
        value: Scores `[B, T, S]` as in Glow-TTS, Matcha-TTS and Coqui, or `[B, S, T]` with `layout="BST"` as
            in VITS and its family; any float type.
        mask: The same shape, 1 within the lengths of an item and 0 after them; any type. Only its first row
            and first column are read.
        layout: The order of the axes of `value` and `mask`.
        dtype: The type of the result; by default that of `value * mask` as in Glow-TTS, which multiplies
            them (float32 for float16 scores and a float32 mask), and with `layout="BST"` that of `value`.
        check: "lengths" raises an error for items whose lengths allow no path. An item whose scores do not
            (NaN, +inf) gets the path that the replaced code finds, and a warning: one such step must not end
            a training run. True raises an error for these, too. On a GPU both cost one word read back. With
            False nothing waits for the GPU, and any such item gets a path of zeros.

    Raises:
        TypeError: Something other than tensors.
        ValueError: Value and mask do not fit each other, or have no tokens or no frames. If `check`, also for
            items that cannot be aligned, which the error names, as `mas.search`; but never for -inf.

    Source: jaywalnut310/glow-tts and jaywalnut310/vits, monotonic_align/__init__.py.
    """
    check_tensors(value=value, mask=mask)
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
    dtype = dtype or (torch.result_type(value, mask) if layout == "BTS" else value.dtype)
    if value.numel() == 0:
        if len(value):
            raise ValueError(f"value has shape {tuple(value.shape)}; an item needs tokens and frames")
        return torch.zeros(value.shape, dtype=dtype, device=value.device)
    lengths = _count(mask[:, :, 0]), _count(mask[:, 0, :])
    text_lengths, speech_lengths = lengths if layout == "BTS" else lengths[::-1]
    return path_of_lengths(value, text_lengths, speech_lengths, layout=layout, dtype=dtype, check=check)


def path_of_lengths(
    value: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    layout: Layout = "BTS",
    dtype: torch.dtype,
    check: Check,
) -> Tensor:
    """As `maximum_path`, with lengths `[B]` instead of a mask."""
    check_is_one(check)
    caller: Caller = "maximum_path BTS" if layout == "BTS" else "maximum_path BST"
    text_lengths, speech_lengths = check_lengths(value, text_lengths, speech_lengths)
    durations = search_for(caller, value, text_lengths, speech_lengths, layout=layout, check=False)
    scores = value.detach() if layout == "BTS" else value.detach().transpose(1, 2)
    if check:
        durations = torch.ops.mas.repair(
            scores, text_lengths, speech_lengths, durations, caller, check is True
        )
    return dense_path(durations, scores.shape[2], layout=layout, dtype=dtype)


def check_is_one(check: Check) -> None:
    """Raises ValueError unless `check` is one of those there are."""
    if check not in (True, False, "lengths"):
        raise ValueError(f'check {check!r}: use "lengths", True or False')


def _count(mask: Tensor) -> Tensor:
    """Number of set elements in each row, exact for every type; bfloat16 cannot count beyond 256."""
    return (mask != 0).sum(1)


def repaired(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    durations: Tensor,
    caller: str,
    check_scores: bool,
) -> Tensor:
    """`torch.ops.mas.repair`: durations with the path of the replaced code where the scores allow none.

    One operation, so that torch.compile need not look inside (as `mas.search`).

    Args:
        scores: `[B, T, S]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        durations: `[B, T]`, with a row of -1 for an item without a path.
        caller: As in `explain`.
        check_scores: Whether NaN or +inf is an error.

    Raises:
        ValueError: An item cannot be aligned for another reason.
    """
    durations = durations.clone()
    if not any_failed(durations):
        return durations
    warned = []
    for b in (durations[:, 0] < 0).nonzero()[:, 0].tolist():
        tokens, frames = int(text_lengths[b]), int(speech_lengths[b])
        if 1 <= tokens <= min(frames, scores.shape[1]) and frames <= scores.shape[2]:
            own = scores[b, :tokens, :frames].float().cpu().numpy()
            path, below_inf = _their_path(own, moves_on_ties=caller == "b_mas")
            if below_inf or not check_scores:
                durations[b] = 0
                durations[b, :tokens] = torch.from_numpy(path)
            if not below_inf:
                warned.append(f"item {b}: {why_not_finite(scores[b, :tokens, :frames])}")
    if any_failed(durations):
        raise ValueError(explain(scores, text_lengths, speech_lengths, None, durations, caller))
    if warned:
        warnings.warn(
            f"mas: {'; '.join(warned)}; such an item gets a path that means little. With check=True this is "
            "an error",
            stacklevel=2,
        )
    return durations


def _their_path(scores: NDArray[np.float32], moves_on_ties: bool) -> tuple[NDArray[np.int64], bool]:
    """The durations `[T]` that the replaced code finds for scores `[T, S]`; whether no NaN or +inf occurred.

    The usual sums and comparisons. They differ from the search by what stands for "not possible": -1e9 in the
    Cython code, which -inf is less than, and -inf in NeMo's, which moves on ties. A comparison with NaN is
    false.
    """
    T, S = scores.shape
    infeasible = np.float32(-np.inf if moves_on_ties else _CYTHON_INFEASIBLE)
    best = np.full((T, S), infeasible, np.float32)
    below_inf = True
    for s in range(S):
        low, high = max(0, T + s - S), min(T, s + 1)  # the tokens that a path can be in
        here = scores[low:high, s]
        below_inf &= bool((here < np.inf).all())
        stay, move = np.full((2, T), infeasible, np.float32)
        if s:
            stay[:s] = best[:s, s - 1]
            move[1:] = best[:-1, s - 1]
        else:
            move[0] = 0
        moves = move >= stay if moves_on_ties else stay < move
        with np.errstate(invalid="ignore", over="ignore"):
            best[low:high, s] = np.where(moves, move, stay)[low:high] + here
    durations = np.zeros(T, np.int64)
    t = T - 1
    for s in range(S - 1, -1, -1):
        durations[t] += 1
        if t and s:
            stay_score, move_score = best[t, s - 1], best[t - 1, s - 1]
            moves = move_score >= stay_score if moves_on_ties else stay_score < move_score
            t -= int(t == s or moves)
    return durations, below_inf


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "repair(Tensor scores, Tensor text_lengths, Tensor speech_lengths, Tensor durations, str caller, "
    "bool check_scores) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
implement(_library, "repair", repaired)


@torch.library.register_fake("mas::repair")
def _repair_fake(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, durations: Tensor, *_others: object
) -> Tensor:
    return torch.empty_like(durations)
