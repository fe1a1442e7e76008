"""Argument checks, and the error message for items without a path.

B batch, T text tokens, S speech frames, F packed frames, M states.
"""

from collections.abc import Callable
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

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INTEGERS = (torch.int64, torch.int32)
_NAMED_ITEMS = 8  # an error names at most this many items, so that it stays readable


def check_layout(layout: str) -> None:
    """Raises ValueError unless `layout` is "BTS" or "BST"."""
    if layout not in ("BTS", "BST"):
        raise ValueError(f'layout {layout!r}: use "BTS" (batch, text, speech) or "BST" (batch, speech, text)')


def check_tensors(**arguments: object) -> None:
    """Raises TypeError unless all are tensors.

    Args:
        **arguments: What was given, by the argument's name.
    """
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: a torch.Tensor is needed, not {type(value).__name__}")


def check_lengths(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Checked lengths, moved to the device of the scores.

    Args:
        scores: The scores, or any tensor whose first axis is the batch.
        text_lengths: `[B]`, int64 or int32.
        speech_lengths: `[B]`, int64 or int32.

    Raises:
        ValueError: A wrong shape or type.
    """
    check_tensors(text_lengths=text_lengths, speech_lengths=speech_lengths)
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
    check_tensors(skippable=skippable)
    if skippable.shape != scores.shape[:2]:
        raise ValueError(
            f"skippable has shape {tuple(skippable.shape)}; batch and text are {tuple(scores.shape[:2])}"
        )
    if skippable.dtype != torch.bool:
        raise ValueError(f"skippable is {skippable.dtype}; use bool")
    if skippable.device != scores.device:
        raise ValueError(f"skippable is on {skippable.device}, the scores are on {scores.device}")


def check_states(emissions: Tensor, states: Tensor, starts: Tensor | None) -> Tensor | None:
    """Checked starts, moved to the device of the emissions.

    Args:
        emissions: `[B, S, M]`, or `[F, M]` with `starts`.
        states: `[B, T]`, int64 or int32.
        starts: `[B]`, int64 or int32, or None.

    Raises:
        TypeError: One of the three is no tensor.
        ValueError: A wrong shape, type or device of any of them.
    """
    check_tensors(emissions=emissions, states=states)
    if emissions.dtype not in FLOATS:
        raise ValueError(f"emissions are {emissions.dtype}; use float32, float16 or bfloat16")
    if states.dim() != 2:
        raise ValueError(f"states have shape {tuple(states.shape)}; batch and text are needed")
    if states.dtype not in _INTEGERS:
        raise ValueError(f"states are {states.dtype}; use int64 or int32")
    if states.device != emissions.device:
        raise ValueError(f"states are on {states.device}, the emissions are on {emissions.device}")
    B = states.shape[0]
    if starts is None:
        if emissions.dim() == 2:
            raise ValueError("packed emissions [F, M] need starts: the row of each item's first frame")
        if emissions.dim() != 3 or emissions.shape[0] != B:
            raise ValueError(
                f"emissions have shape {tuple(emissions.shape)}; {B} items, frames and states are needed, "
                "or packed emissions [F, M] with starts"
            )
        return None
    check_tensors(starts=starts)
    if emissions.dim() != 2:
        raise ValueError(f"emissions have shape {tuple(emissions.shape)}; with starts, use [F, M]")
    if starts.shape != (B,):
        raise ValueError(f"starts has shape {tuple(starts.shape)}; one row an item is needed: ({B},)")
    if starts.dtype not in _INTEGERS:
        raise ValueError(f"starts is {starts.dtype}; rows are int64 or int32")
    return starts if starts.device == emissions.device else starts.to(emissions.device)


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
    _, T, S = scores.shape

    def why(b: int, tokens: int, frames: int) -> str:
        if not 1 <= tokens <= T:
            return f"text length {tokens} is not within the scores' 1 to {T} tokens"
        if not 1 <= frames <= S:
            return f"speech length {frames} is not within the scores' 1 to {S} frames"
        return _why_not_fitting(skippable, b, tokens, frames) or _why_not_finite(scores[b, :tokens, :frames])

    message = _named(why, text_lengths, speech_lengths, durations)
    advice = _ADVICE_IF_SWAPPED[caller]
    text, speech = int(text_lengths.max()), int(speech_lengths.max())
    if (text > T or speech > S) and text <= S and speech <= T:
        message += f". The lengths fit the other axis order: {advice}"
    elif _texts_are_longer(text_lengths, speech_lengths):
        message += f". Most texts are longer than their speech; if text and speech are swapped, {advice}"
    return message


def explain_states(
    emissions: Tensor,
    starts: Tensor | None,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    most_frames: int | None,
    skippable: Tensor | None,
    durations: Tensor,
) -> str:
    """As `explain`, for `search_states`.

    Args:
        emissions: `[B, S, M]`, or `[F, M]` with `starts`.
        starts: `[B]` or None.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        most_frames: An int or None.
        skippable: Bool `[B, T]` or None.
        durations: `[B, T]`; rows of -1 mark the items to explain.
    """
    T = states.shape[1]
    S, M = emissions.shape[-2:]

    def why(b: int, tokens: int, frames: int) -> str:
        if not 1 <= tokens <= T:
            return f"text length {tokens} is not within the states' 1 to {T} tokens"
        start = 0 if starts is None else int(starts[b])
        if starts is None and not 1 <= frames <= S:
            return f"speech length {frames} is not within the emissions' 1 to {S} frames"
        if frames < 1:
            return f"speech length {frames}; at least 1 frame is needed"
        if most_frames is not None and frames > most_frames:
            return f"speech length {frames} is more than most_frames, {most_frames}"
        if not 0 <= start <= S - frames:
            return f"start {start} and speech length {frames} are not within the emissions' {S} rows"
        own = states[b, :tokens]
        outside = ((own < 0) | (own >= M)).nonzero()
        if len(outside):
            i = int(outside[0])
            return f"state {int(own[i])} of token {i} is no column of the emissions (0 to {M - 1})"
        rows = emissions[b] if starts is None else emissions
        # Not the score of every token: of a chapter that would be 40 GB.
        used = rows[start : start + frames].index_select(1, own.unique().long())
        return _why_not_fitting(skippable, b, tokens, frames) or _why_not_finite(used)

    message = _named(why, text_lengths, speech_lengths, durations)
    if _texts_are_longer(text_lengths, speech_lengths):
        message += ". Most texts are longer than their speech; are the two lengths swapped?"
    return message


def _named(
    why: Callable[[int, int, int], str], text_lengths: Tensor, speech_lengths: Tensor, durations: Tensor
) -> str:
    """Names the items without a path, each with its reason: why(b, tokens, frames)."""
    bad = (durations[:, 0] < 0).nonzero()[:, 0].tolist()
    reasons = [
        f"item {b}: {why(b, int(text_lengths[b]), int(speech_lengths[b]))}" for b in bad[:_NAMED_ITEMS]
    ]
    if len(bad) > _NAMED_ITEMS:
        reasons.append(f"and {len(bad) - _NAMED_ITEMS} more")
    return f"mas: {len(bad)} of {len(durations)} items cannot be aligned: " + "; ".join(reasons)


def _texts_are_longer(text_lengths: Tensor, speech_lengths: Tensor) -> bool:
    return int((text_lengths > speech_lengths).sum()) * 2 > len(text_lengths)


def _why_not_fitting(skippable: Tensor | None, b: int, tokens: int, frames: int) -> str | None:
    """Why the tokens of an item do not fit its frames; None if they do."""
    needed = tokens
    if skippable is not None:
        own = skippable[b, :tokens]
        if bool((own[1:] & own[:-1]).any()):
            return "two neighbouring tokens are skippable; merge them into one"
        needed = tokens - int(own.sum())
    if needed > frames:
        return f"{needed} tokens cannot share {frames} frames (each needs at least one)"
    return None


def _why_not_finite(used: Tensor) -> str:
    """Why the scores of an item, of any shape, give no path."""
    if bool(used.isnan().any()):
        return "scores hold NaN"
    if bool(used.isposinf().any()):
        return "scores hold +inf"
    return "the best path's score is not finite in float32 (-inf on every path, or too large to add up)"
