"""The public search: checks its arguments, picks a backend, says which items could not be aligned.

B batch, T text tokens, S speech frames. Every backend is a module with one function,
`durations(scores [B, T, S], text_lengths, speech_lengths, skippable) -> [B, T] int64`,
that never raises for what is in the tensors: an item that has no path gets a row of -1.
"""

import functools
import sys
from typing import Literal

import torch
from torch import Tensor

Layout = Literal["BTS", "BST"]
Backend = Literal["reference", "cpu", "triton", "hopper"]

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INTEGERS = (torch.int64, torch.int32)
_NAMED_ITEMS = 8  # an error names this many items at most


def search(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    *,
    layout: Layout = "BTS",
    skippable: Tensor | None = None,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """Frames each token gets on the best monotonic path: int64 durations `[B, T]`.

    scores: `[B, T, S]`, or `[B, S, T]` with `layout="BST"`; float32, float16 or bfloat16 (float64 is
        rounded to float32), any strides; sums are float32 whatever comes in. Never written to.
    text_lengths, speech_lengths: `[B]` integers, the tokens and frames of each item. What lies beyond
        them is never looked at; durations there are 0.
    skippable: `[B, T]` bool, tokens that may get no frame (optional pauses). No two may be neighbours.
    backend: by default the fastest one that serves `scores.device`; see `available_backends`.
    check: on a GPU, costs one word read back. Without it nothing waits for the GPU (CUDA graphs need
        that), and an item that cannot be aligned yields a row of -1 instead of an error.

    Durations of one item sum to its speech length, and every token that is not skippable gets at least
    one frame. The result is the same bit for bit on every backend; `mas/reference.py` defines it, ties
    included.

    Raises ValueError for wrong shapes and types, and, if `check`, for items that cannot be aligned,
    naming them: a length of 0 or beyond the scores, more tokens than frames, neighbouring skippable
    tokens, or a best score that is not finite (NaN or +inf in the scores, -inf on every path).

    Source: Kim et al., "Glow-TTS", 2020, section 3.2 and algorithm 1; jaywalnut310/glow-tts,
    monotonic_align.
    """
    if_swapped = 'pass layout="BST"' if layout == "BTS" else 'pass layout="BTS"'
    return search_with_advice(
        scores, text_lengths, speech_lengths, if_swapped, layout, skippable, backend, check
    )


def search_with_advice(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    if_swapped: str,
    layout: Layout = "BTS",
    skippable: Tensor | None = None,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """As `search`. if_swapped: what an error advises where text and speech seem to have changed places."""
    check_layout(layout)
    if scores.dim() != 3:
        raise ValueError(f"scores have shape {tuple(scores.shape)}; batch, text and speech are needed")
    if layout == "BST":
        scores = scores.transpose(1, 2)
    if scores.dtype not in _FLOATS:
        raise ValueError(f"scores are {scores.dtype}; use float32, float16 or bfloat16")
    text_lengths, speech_lengths = check_lengths(scores, text_lengths, speech_lengths)
    if skippable is not None:
        check_skippable(scores, skippable)
    if scores.requires_grad:
        scores = scores.detach()
    return torch.ops.mas.search.default(
        scores, text_lengths, speech_lengths, skippable, if_swapped, backend or "", check
    )


def available_backends(device: torch.device | str) -> list[Backend]:
    """Backends that serve scores on `device`, fastest first."""
    device = torch.device(device)
    if device.type == "cuda":
        return list(_cuda_backends(device))
    if device.type == "cpu":
        return ["cpu", "triton", "reference"] if _triton_interprets() else ["cpu", "reference"]
    return ["reference"]


@functools.cache
def _cuda_backends(device: torch.device) -> tuple[Backend, ...]:
    fast: tuple[Backend, ...] = ("hopper",) if _hopper_serves(device) else ()
    return (*fast, "triton", "reference") if _has_triton() else (*fast, "reference")


def check_layout(layout: str) -> None:
    if layout not in ("BTS", "BST"):
        raise ValueError(f'layout {layout!r}: use "BTS" (batch, text, speech) or "BST" (batch, speech, text)')


def check_lengths(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Both lengths, where the scores (or anything else whose first axis is the batch) are."""
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
    """scores: anything whose first two axes are batch and text."""
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


def _search_op(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    if_swapped: str,
    backend: str,
    check: bool,
) -> Tensor:
    """`torch.ops.mas.search`: one opaque operation, so that torch.compile need not look inside."""
    B, T, S = scores.shape
    if B == 0 or T == 0:
        return torch.zeros((B, T), dtype=torch.int64, device=scores.device)
    if S == 0:
        durations = torch.full((B, T), -1, dtype=torch.int64, device=scores.device)
    else:
        durations = _durations(scores, text_lengths, speech_lengths, skippable, backend)
    if check and any_failed(durations):
        raise ValueError(explain(scores, text_lengths, speech_lengths, skippable, durations, if_swapped))
    return durations


def _durations(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    backend: str,
) -> Tensor:
    available = available_backends(scores.device)
    if not backend:
        backend = available[0]
    elif backend not in available:
        raise ValueError(f"backend {backend!r} does not serve {scores.device}; use one of {available}")
    if backend == "cpu":
        from mas import cpu

        return cpu.durations(scores, text_lengths, speech_lengths, skippable)
    if backend == "triton":
        from mas import gpu

        return gpu.durations(scores, text_lengths, speech_lengths, skippable)
    if backend == "hopper":
        from mas import hopper

        return hopper.durations(scores, text_lengths, speech_lengths, skippable)
    from mas import reference

    return reference.durations(scores, text_lengths, speech_lengths, skippable)


def any_failed(durations: Tensor) -> bool:
    """Whether some item has no path: the one place where a GPU is waited for."""
    if durations.is_cuda and torch.cuda.is_current_stream_capturing():
        raise ValueError("mas: inside a CUDA graph pass check=False")
    return durations.select(1, 0).amin().item() < 0


def explain(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    durations: Tensor,
    if_swapped: str,
) -> str:
    """What is wrong with the items whose durations are -1, and what to change. scores: `[B, T, S]`."""
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
    text, speech = int(text_lengths.max()), int(speech_lengths.max())
    if (text > T or speech > S) and text <= S and speech <= T:
        message += f". The lengths fit the other axis order: {if_swapped}"
    elif int((text_lengths > speech_lengths).sum()) * 2 > scores.shape[0]:
        message += f". Most texts are longer than their speech; if text and speech are swapped, {if_swapped}"
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
    held = scores[:tokens, :frames]
    if bool(held.isnan().any()):
        return "scores hold NaN"
    if bool(held.isposinf().any()):
        return "scores hold +inf"
    return "the best path's score is not finite in float32 (-inf on every path, or too large to add up)"


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def _triton_interprets() -> bool:
    """Whether Triton was set to run its kernels on the CPU, as tests without a card do."""
    triton = sys.modules.get("triton")
    return triton is not None and hasattr(triton, "knobs") and bool(triton.knobs.runtime.interpret)


def _hopper_serves(device: torch.device) -> bool:
    if not torch.cuda.is_available():
        return False
    try:
        from mas import hopper
    except ImportError:
        return False
    return hopper.serves(device)


_library = torch.library.Library("mas", "DEF")
_library.define(
    "search(Tensor scores, Tensor text_lengths, Tensor speech_lengths, Tensor? skippable, str if_swapped, "
    "str backend, bool check) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_library.impl("search", _search_op, "CPU")
_library.impl("search", _search_op, "CUDA")


@torch.library.register_fake("mas::search")
def _search_fake(scores: Tensor, *_others: object) -> Tensor:
    return scores.new_empty(scores.shape[:2], dtype=torch.int64)
