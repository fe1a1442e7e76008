"""The public search: checks its arguments, picks a backend, says which items could not be aligned.

B batch, T text tokens, S speech frames. Every backend is one function,
`durations(scores [B, T, S], text_lengths, speech_lengths, skippable) -> [B, T] int64`,
that never raises for what is in the tensors: an item that has no path gets a row of -1.
"""

from typing import Literal

import torch
from torch import Tensor

Layout = Literal["BTS", "BST"]
Backend = Literal["reference", "cpu", "triton", "hopper"]

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
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

    scores: `[B, T, S]`, or `[B, S, T]` with `layout="BST"`; float32, float16 or bfloat16 (float64 is rounded to
        float32), any strides; sums are float32 whatever comes in. Never written to.
    text_lengths, speech_lengths: `[B]` integers, the tokens and frames of each item. What lies beyond them is
        neither looked at nor, in the result, anything but 0.
    skippable: `[B, T]` bool, tokens that may get no frame (optional pauses); no two of them may be neighbours.
    backend: by default the fastest one that serves `scores.device`; see `available_backends`.
    check: on a GPU, costs one word read back. Without it nothing waits for the GPU (CUDA graphs need that), and an
        item that cannot be aligned yields a row of -1 instead of an error.

    Durations of one item sum to its speech length, and every token that is not skippable gets at least one frame.
    The result is the same bit for bit on every backend; `mas/reference.py` defines it, ties included.

    Raises ValueError for wrong shapes and types, and, if `check`, for items that cannot be aligned, naming them: a
    length of 0 or beyond the scores, more tokens than frames, neighbouring skippable tokens, or a best score that is
    not finite (NaN or +inf in the scores, -inf on every path).

    Source: Kim et al., "Glow-TTS", 2020, section 3.2 and algorithm 1; code jaywalnut310/glow-tts monotonic_align.
    """
    if layout == "BST":
        scores = scores.transpose(1, 2) if scores.dim() == 3 else scores
    elif layout != "BTS":
        raise ValueError(
            f'layout {layout!r}: use "BTS" ([batch, text, speech]) or "BST" ([batch, speech, text])'
        )
    _check_arguments(scores, text_lengths, speech_lengths, skippable)
    device = scores.device
    if text_lengths.device != device:
        text_lengths = text_lengths.to(device)
    if speech_lengths.device != device:
        speech_lengths = speech_lengths.to(device)
    return torch.ops.mas.search(
        scores.detach(), text_lengths, speech_lengths, skippable, layout, backend or "", check
    )


def available_backends(device: torch.device | str) -> list[str]:
    """Backends that serve scores on `device`, fastest first."""
    device = torch.device(device)
    if device.type == "cpu":
        return ["cpu", "reference"] + (["triton"] if _triton_interprets() else [])
    if device.type == "cuda":
        return [
            *(["hopper"] if _hopper_serves(device) else []),
            *(["triton"] if _has_triton() else []),
            "reference",
        ]
    return ["reference"]


def _check_arguments(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None
) -> None:
    """What shapes and types alone tell; costs no synchronisation. scores: `[B, T, S]`."""
    if scores.dim() != 3:
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}; three axes are needed: batch, text, speech"
        )
    if scores.dtype not in _FLOATS:
        raise ValueError(f"scores are {scores.dtype}; use float32, float16 or bfloat16")
    B, T, _ = scores.shape
    for name, lengths in (("text_lengths", text_lengths), ("speech_lengths", speech_lengths)):
        if lengths.shape != (B,):
            raise ValueError(f"{name} has shape {tuple(lengths.shape)}; one length an item is needed: ({B},)")
        if lengths.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"{name} is {lengths.dtype}; lengths are int64 or int32")
    if skippable is not None:
        if skippable.shape != (B, T):
            raise ValueError(
                f"skippable has shape {tuple(skippable.shape)}; the scores' batch and text: ({B}, {T})"
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
    layout: str,
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
    if check:
        if scores.is_cuda and torch.cuda.is_current_stream_capturing():
            raise ValueError("mas.search inside a CUDA graph needs check=False")
        if int(durations[:, 0].amin()) < 0:
            raise ValueError(_explain(scores, text_lengths, speech_lengths, skippable, layout, durations))
    return durations


def _durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None, backend: str
) -> Tensor:
    backend = backend or available_backends(scores.device)[0]
    if backend == "reference":
        from mas import reference

        return reference.durations(scores, text_lengths, speech_lengths, skippable)
    if backend == "cpu" and scores.device.type == "cpu":
        from mas import cpu

        return cpu.durations(scores, text_lengths, speech_lengths, skippable)
    if backend == "triton" and (scores.is_cuda or _triton_interprets()):
        from mas import gpu

        return gpu.durations(scores, text_lengths, speech_lengths, skippable)
    if backend == "hopper" and scores.is_cuda:
        from mas import hopper

        return hopper.durations(scores, text_lengths, speech_lengths, skippable)
    raise ValueError(
        f"backend {backend!r} does not serve {scores.device}; use {available_backends(scores.device)}"
    )


def _explain(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    layout: str,
    durations: Tensor,
) -> str:
    """What is wrong with the items whose durations are -1, and what to change."""
    bad = (durations[:, 0] < 0).nonzero()[:, 0].tolist()
    reasons = [
        f"item {b}: "
        + _why(
            scores[b],
            int(text_lengths[b]),
            int(speech_lengths[b]),
            None if skippable is None else skippable[b],
        )
        for b in bad[:_NAMED_ITEMS]
    ]
    more = f"; and {len(bad) - _NAMED_ITEMS} more" if len(bad) > _NAMED_ITEMS else ""
    message = f"mas: {len(bad)} of {scores.shape[0]} items cannot be aligned: " + "; ".join(reasons) + more
    return message + _swap_hint(scores, text_lengths, speech_lengths, layout)


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
    return "the best path's score is not a finite float32 (-inf on every path, or scores too large to add up)"


def _swap_hint(scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, layout: str) -> str:
    _, T, S = scores.shape
    text, speech = int(text_lengths.max()), int(speech_lengths.max())
    if (text > T or speech > S) and text <= S and speech <= T:
        return f'. The lengths fit the other axis order: pass layout="{"BST" if layout == "BTS" else "BTS"}"'
    if bool((text_lengths > speech_lengths).all()):
        return ". Every text is longer than its speech: text_lengths and speech_lengths may be swapped"
    return ""


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def _triton_interprets() -> bool:
    """Whether Triton runs its kernels on the CPU, as tests on machines without a card do."""
    if not _has_triton():
        return False
    import triton

    return bool(triton.knobs.runtime.interpret) if hasattr(triton, "knobs") else False


def _hopper_serves(device: torch.device) -> bool:
    try:
        from mas import hopper
    except ImportError:
        return False
    return hopper.serves(device)


_library = torch.library.Library("mas", "DEF")
_library.define(
    "search(Tensor scores, Tensor text_lengths, Tensor speech_lengths, Tensor? skippable, str layout, str backend, "
    "bool check) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_library.impl("search", _search_op, "CPU")
_library.impl("search", _search_op, "CUDA")


@torch.library.register_fake("mas::search")
def _search_fake(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    layout: str,
    backend: str,
    check: bool,
) -> Tensor:
    return scores.new_empty(scores.shape[:2], dtype=torch.int64)
