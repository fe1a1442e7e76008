"""Argument checks, and the error message for items without a path.

B batch, T text tokens, S speech frames, F packed frames, M states.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Lengths = Tensor | Sequence[int] | NDArray[Any]  # one an item
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
INTEGERS = (torch.int64, torch.int32)
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


def check_lengths(scores: Tensor, text_lengths: Lengths, speech_lengths: Lengths) -> tuple[Tensor, Tensor]:
    """Checked lengths, as tensors on the device of the scores.

    Args:
        scores: The scores, or any tensor whose first axis is the batch.
        text_lengths: `[B]` integers.
        speech_lengths: `[B]` integers.

    Raises:
        TypeError: Neither a tensor nor a list, a tuple or a NumPy array.
        ValueError: A wrong shape or type.
    """
    B, device = scores.shape[0], scores.device
    return (
        lengths_tensor("text_lengths", text_lengths, B, device),
        lengths_tensor("speech_lengths", speech_lengths, B, device),
    )


def lengths_tensor(name: str, lengths: Lengths, B: int, device: torch.device) -> Tensor:
    """One of the two of `check_lengths`. Errors call it `name`."""
    if isinstance(lengths, (list, tuple, np.ndarray)):
        try:
            lengths = torch.tensor(lengths, dtype=torch.int64 if len(lengths) == 0 else None)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name}: one integer an item is needed ({error})") from error
    if not isinstance(lengths, Tensor):
        kinds = "a torch.Tensor, a list or a NumPy array of integers"
        raise TypeError(f"{name}: {kinds} is needed, not {type(lengths).__name__}")
    if lengths.dim() != 1 or lengths.shape[0] != B:
        message = f"{name} has shape {tuple(lengths.shape)}; one length an item is needed: ({B},)"
        if lengths.dim() > 1:
            message += "; of a mask that is padded at its end, pass the number of its ones"
        raise ValueError(message)
    if lengths.dtype not in INTEGERS:
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
    if states.dtype not in INTEGERS:
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
    if starts.dtype not in INTEGERS:
        raise ValueError(f"starts is {starts.dtype}; rows are int64 or int32")
    return starts if starts.device == emissions.device else starts.to(emissions.device)


def check_may_wait(tensor: Tensor) -> None:
    """Refuse to check results inside a CUDA graph, in which nothing may wait, before anything is launched.

    Args:
        tensor: On the device of the results.

    Raises:
        ValueError: A CUDA graph is being captured.
    """
    if tensor.is_cuda and torch.cuda.is_current_stream_capturing():
        raise ValueError("mas: inside a CUDA graph pass check=False")


def any_failed(durations: Tensor) -> bool:
    """Whether some item has no path. This is the only place where `mas` waits for the GPU.

    Args:
        durations: `[B, T]`, with a row of -1 for an item without a path; with no tokens no item has one.

    Raises:
        ValueError: A CUDA graph is being captured, in which nothing may wait.
    """
    if durations.numel() == 0:
        return len(durations) > 0
    check_may_wait(durations)
    return durations.select(1, 0).amin().item() < 0


def explain(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    durations: Tensor,
    caller: str,
    added: Callable[[int, Tensor], Tensor] | None = None,
) -> str:
    """The error message for items without a path: which items, why, and what to change.

    Args:
        scores: `[B, T, S]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        durations: `[B, T]`; rows of -1 mark the items to explain.
        caller: A `Caller`. If the axes seem to be swapped, the advice depends on it.
        added: Given an item's place and scores, the scores that were searched, with bias and noise.
    """
    _, T, S = scores.shape

    def why(b: int, tokens: int, frames: int) -> str:
        if caller.startswith("maximum_path") and not (tokens and frames):
            return "it has no tokens or no frames (a mask is padded after an item, not before it)"
        if not 1 <= tokens <= T:
            return f"text length {tokens} is not within the scores' 1 to {T} tokens"
        if not 1 <= frames <= S:
            return f"speech length {frames} is not within the scores' 1 to {S} frames"
        used = scores[b, :tokens, :frames]
        what = "scores"
        if added is not None:
            used, what = added(b, used), "scores, bias and noise together"
        return _why_not_fitting(skippable, b, tokens, frames) or why_not_finite(used, what)

    message = named(why, text_lengths, speech_lengths, durations)
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
        return _why_not_fitting(skippable, b, tokens, frames) or why_not_finite(used)

    message = named(why, text_lengths, speech_lengths, durations)
    if _texts_are_longer(text_lengths, speech_lengths):
        message += ". Most texts are longer than their speech; are the two lengths swapped?"
    return message


def named(
    why: Callable[[int, int, int], str], text_lengths: Tensor, speech_lengths: Tensor, durations: Tensor
) -> str:
    """Names the items without a path, each with its reason: why(b, tokens, frames)."""
    bad = (durations[:, :1] < 0).all(1).nonzero()[:, 0].tolist()
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


def why_not_finite(used: Tensor, what: str = "scores") -> str:
    """Why the scores of an item, of any shape, give no path."""
    if bool(used.isnan().any()):
        return f"{what} hold NaN"
    if bool(used.isposinf().any()):
        return f"{what} hold +inf"
    return "the best path's score is not finite in float32 (-inf on every path, or too large to add up)"
