"""Argument checks, and the error message for items without a path.

B batch, T text tokens, S speech frames.
"""

from typing import Literal

import torch
from torch import Tensor

Layout = Literal["BTS", "BST"]
# Which public function was called, with which layout. It decides what an error advises about swapped axes.
Caller = Literal[
    "search BTS", "search BST", "maximum_path BTS", "maximum_path BST", "gaussian_search", "b_mas"
]

GLOW_TTS_IMPORT = "use `from mas.compat import glow_tts as monotonic_align` ([batch, text, speech])"
VITS_IMPORT = "use `from mas.compat import vits as monotonic_align` ([batch, speech, text])"
_ADVICE_IF_SWAPPED: dict[str, str] = {
    "search BTS": 'pass layout="BST"',
    "search BST": 'pass layout="BTS"',
    "maximum_path BTS": VITS_IMPORT,
    "maximum_path BST": GLOW_TTS_IMPORT,
    "gaussian_search": "swap mean and speech",
    "b_mas": "pass [batch, 1, speech, text]",
}

_INTEGERS = (torch.int64, torch.int32)
_NAMED_ITEMS = 8  # an error names at most this many items, so that it stays readable


def check_layout(layout: str) -> None:
    """Raises ValueError unless `layout` is "BTS" or "BST"."""
    if layout not in ("BTS", "BST"):
        raise ValueError(f'layout {layout!r}: use "BTS" (batch, text, speech) or "BST" (batch, speech, text)')


def check_lengths(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Checked lengths, moved to the device of the scores.

    Args:
        scores: The scores, or any tensor whose first axis is the batch.
        text_lengths: `[B]`, int64 or int32.
        speech_lengths: `[B]`, int64 or int32.

    Raises:
        ValueError: A wrong shape or type.
    """
    B, device = scores.shape[0], scores.device
    return (
        _check_lengths("text_lengths", text_lengths, B, device),
        _check_lengths("speech_lengths", speech_lengths, B, device),
    )


def _check_lengths(name: str, lengths: Tensor, B: int, device: torch.device) -> Tensor:
    if lengths.dim() != 1 or lengths.shape[0] != B:
        raise ValueError(f"{name} has shape {tuple(lengths.shape)}; one length an item is needed: ({B},)")
    if lengths.dtype not in _INTEGERS:
        raise ValueError(f"{name} is {lengths.dtype}; lengths are int64 or int32")
    return lengths if lengths.device == device else lengths.to(device)


def check_skippable(scores: Tensor, skippable: Tensor | None) -> None:
    """Raises ValueError unless `skippable` is None or bool `[B, T]` on the device of the scores.

    Args:
        scores: The scores, or any tensor whose first two axes are batch and text.
        skippable: The argument to be checked.
    """
    if skippable is None:
        return
    if skippable.shape != scores.shape[:2]:
        raise ValueError(
            f"skippable has shape {tuple(skippable.shape)}; batch and text are {tuple(scores.shape[:2])}"
        )
    if skippable.dtype != torch.bool:
        raise ValueError(f"skippable is {skippable.dtype}; use bool")
    if skippable.device != scores.device:
        raise ValueError(f"skippable is on {skippable.device}, the scores are on {scores.device}")


def any_failed(durations: Tensor) -> bool:
    """Whether some item has no path. This is the only place where `mas` waits for the GPU.

    Args:
        durations: `[B, T]`, with a row of -1 for an item without a path; B and T are at least 1.

    Raises:
        ValueError: A CUDA graph is being captured, in which nothing may wait.
    """
    if durations.is_cuda and torch.cuda.is_current_stream_capturing():
        raise ValueError("mas: inside a CUDA graph pass check=False")
    return durations.select(1, 0).amin().item() < 0


def explain(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    durations: Tensor,
    caller: str,
) -> str:
    """The error message for items without a path: which items, why, and what to change.

    Args:
        scores: `[B, T, S]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        durations: `[B, T]`; rows of -1 mark the items to explain.
        caller: A `Caller`. If the axes seem to be swapped, the advice depends on it.
    """
    bad = (durations[:, 0] < 0).nonzero()[:, 0].tolist()
    reasons = []
    for b in bad[:_NAMED_ITEMS]:
        may_skip = None if skippable is None else skippable[b]
        why = _why(scores[b], int(text_lengths[b]), int(speech_lengths[b]), may_skip)
        reasons.append(f"item {b}: {why}")
    if len(bad) > _NAMED_ITEMS:
        reasons.append(f"and {len(bad) - _NAMED_ITEMS} more")
    message = f"mas: {len(bad)} of {scores.shape[0]} items cannot be aligned: " + "; ".join(reasons)
    _, T, S = scores.shape
    advice = _ADVICE_IF_SWAPPED[caller]
    text, speech = int(text_lengths.max()), int(speech_lengths.max())
    if (text > T or speech > S) and text <= S and speech <= T:
        message += f". The lengths fit the other axis order: {advice}"
    elif int((text_lengths > speech_lengths).sum()) * 2 > scores.shape[0]:
        message += f". Most texts are longer than their speech; if text and speech are swapped, {advice}"
    return message


def _why(scores: Tensor, tokens: int, frames: int, skippable: Tensor | None) -> str:
    """Why one item, scores `[T, S]`, has no path."""
    T, S = scores.shape
    if not 1 <= tokens <= T:
        return f"text length {tokens} is not within the scores' 1 to {T} tokens"
    if not 1 <= frames <= S:
        return f"speech length {frames} is not within the scores' 1 to {S} frames"
    needed = tokens
    if skippable is not None:
        skippable = skippable[:tokens]
        if bool((skippable[1:] & skippable[:-1]).any()):
            return "two neighbouring tokens are skippable; merge them into one"
        needed = tokens - int(skippable.sum())
    if needed > frames:
        return f"{needed} tokens cannot share {frames} frames (each needs at least one)"
    used = scores[:tokens, :frames]
    if bool(used.isnan().any()):
        return "scores hold NaN"
    if bool(used.isposinf().any()):
        return "scores hold +inf"
    return "the best path's score is not finite in float32 (-inf on every path, or too large to add up)"
