"""`search`: checks its arguments and calls a backend. The contract is in README.md.

B batch, T text tokens, S speech frames.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from mas.added import Added, check_added
from mas.checks import (
    FLOATS,
    Caller,
    Layout,
    Lengths,
    any_failed,
    check_layout,
    check_lengths,
    check_may_wait,
    check_skippable,
    check_tensors,
    explain,
)
from mas.devices import implement

Backend = Literal["reference", "cpu", "triton", "hopper"]
_ADDS_NOTHING = ("hopper",)  # backends without bias and noise
# From so many tokens on "triton" is faster than "hopper" (NOTES.md): for half types that are not aligned, and
# for skippable tokens.
_HALF_TOKENS, _SKIPPING_TOKENS = 257, 1025


def search(
    scores: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    layout: Layout = "BTS",
    skippable: Tensor | None = None,
    bias: Tensor | None = None,
    bias_scale: float | Tensor = 1.0,
    noise_scale: float | Tensor = 0.0,
    seed: int | Tensor | None = None,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """Number of frames of each token on the best monotonic path: int64 durations `[B, T]`.

    The durations of an item sum to its speech length. Every token that is not skippable gets at least one
    frame. All backends give the same result, bit for bit; `backends/reference.py` defines it, ties included.

    Args:
        scores: `[B, T, S]`, or `[B, S, T]` with `layout="BST"`; float32, float16, bfloat16 or float64 (which
            is rounded to float32); any strides. Sums are float32 for all of them. Never written to.
        text_lengths: `[B]`, a tensor (int64 or int32), a list or a NumPy array: the tokens of each item.
            Scores beyond it are never read, and durations beyond it are 0.
        speech_lengths: `[B]`, as `text_lengths`: the frames of each item. Scores beyond it are never read.
        layout: The order of the axes of `scores`: batch, text, speech or batch, speech, text.
        skippable: `[B, T]` bool: tokens that may get no frame (optional pauses). No two may be neighbours.
        bias: Added to the scores as they are read, such as the log of a prior: of their shape, any float type
            and strides. It is never copied whole, unless it is float64.
        bias_scale: Multiplies `bias`: a number, or floats of no axis or `[B]`, for which nothing waits.
        noise_scale: The standard deviation, in units of the scores, of normal noise that is added to them, as
            VITS2 does: a number, or floats of no axis or `[B]`, as `0.01 * scores.std()`. Its schedule is the
            caller's; without noise, at the number 0, the search is as fast as ever.
        seed: Of the noise: an integer or an int64 tensor of one element. The same seed gives the same noise
            on every backend (`mas/added.py` defines it). By default one is drawn from torch's generator.
        backend: By default the fastest one that serves `scores.device`; see `available_backends`. "hopper"
            adds neither bias nor noise: with them, and where it is faster, the default is "triton".
        check: Raise an error for items that cannot be aligned. On a GPU this costs one word read back.
            Without it nothing waits for the GPU (CUDA graphs need that), and an item that cannot be aligned
            gets a row of -1.

    Raises:
        TypeError: Something other than tensors.
        ValueError: Wrong shapes or types. If `check`, also for items that cannot be aligned, which the error
            names: a length of 0 or beyond the scores, more tokens than frames, neighbouring skippable tokens,
            or a best score that is not finite (NaN or +inf in the scores, -inf on every path).

    Source: Kim et al., "Glow-TTS", 2020, section 3.2 and algorithm 1; jaywalnut310/glow-tts,
    monotonic_align.
    """
    caller: Caller = "search BTS" if layout == "BTS" else "search BST"
    scores = text_first(scores, layout)
    if bias is not None:
        check_tensors(bias=bias)
        bias = bias.transpose(1, 2) if layout == "BST" and bias.dim() == 3 else bias
    added = check_added(scores, bias, bias_scale, noise_scale, seed)
    return _searched(caller, scores, text_lengths, speech_lengths, skippable, added, backend, check)


def search_for(
    caller: Caller,
    scores: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    layout: Layout = "BTS",
    check: bool = True,
) -> Tensor:
    """As `search`, for another public function: errors advise what suits `caller`."""
    scores = text_first(scores, layout)
    return _searched(caller, scores, text_lengths, speech_lengths, None, None, None, check)


def text_first(scores: Tensor, layout: Layout) -> Tensor:
    """Checked scores, `[B, T, S]`.

    Args:
        scores: As in `search`.
        layout: As in `search`.

    Raises:
        TypeError: Something other than a tensor.
        ValueError: A wrong shape, type or layout.
    """
    check_layout(layout)
    check_tensors(scores=scores)
    if scores.dim() != 3:
        message = f"scores have shape {tuple(scores.shape)}; batch, text and speech are needed"
        if scores.dim() == 4 and scores.shape[1] == 1:
            message += "; drop the second axis with squeeze(1)"
        raise ValueError(message)
    if scores.dtype not in FLOATS:
        raise ValueError(f"scores are {scores.dtype}; use float32, float16 or bfloat16")
    return scores.transpose(1, 2) if layout == "BST" else scores


def _searched(
    caller: Caller,
    scores: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    skippable: Tensor | None,
    added: Added | None,
    backend: Backend | None,
    check: bool,
) -> Tensor:
    text_lengths, speech_lengths = check_lengths(scores, text_lengths, speech_lengths)
    check_skippable(scores, skippable)
    scores = scores.detach() if scores.requires_grad else scores
    return torch.ops.mas.search.default(
        scores, text_lengths, speech_lengths, skippable, caller, backend or "", check, *(added or ())
    )


def available_backends(device: torch.device | str) -> list[Backend]:
    """Backends that serve scores on a device, fastest first. "hopper" adds neither bias nor noise.

    Those of the CPU serve every other device ("mps", "xpu", ...), too: scores are copied to the CPU and
    durations back, which is said once. On "meta" there is nothing to search: results only have a shape.

    Args:
        device: Such as "cuda" or "cpu".
    """
    device = torch.device(device)
    if device.type == "cuda":
        return list(_cuda_backends(device))
    if device.type == "meta":
        return []
    return ["cpu", "triton", "reference"] if _triton_interprets() else ["cpu", "reference"]


@functools.cache
def _cuda_backends(device: torch.device) -> tuple[Backend, ...]:
    fast: tuple[Backend, ...] = ("hopper",) if _hopper_serves(device) else ()
    return (*fast, "triton", "reference") if _has_triton() else (*fast, "reference")


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def _triton_interprets() -> bool:
    """Whether Triton was set to run its kernels on the CPU, as tests without a GPU do."""
    triton = sys.modules.get("triton")
    return triton is not None and hasattr(triton, "knobs") and bool(triton.knobs.runtime.interpret)


def _hopper_serves(device: torch.device) -> bool:
    if not torch.cuda.is_available():
        return False
    try:
        from mas.backends import hopper
    except ImportError:
        return False
    return hopper.serves(device)


def default_backend(scores: Tensor, skippable: Tensor | None) -> str:
    """The backend of a search to which nothing is added.

    Args:
        scores: `[B, T, S]`, any float type.
        skippable: `[B, T]` or None.

    Returns:
        A `Backend`; "" is the fastest one that serves the device.
    """
    T = scores.shape[1]
    half = scores.dtype in (torch.float16, torch.bfloat16) and T >= _HALF_TOKENS
    skips = skippable is not None and T >= _SKIPPING_TOKENS
    if not (half or skips) or not scores.is_cuda:
        return ""
    available = available_backends(scores.device)
    if "triton" not in available or (not skips and "hopper" not in available):
        return ""
    return "triton" if skips or not imported("hopper", "reads_by_fours")(scores) else ""


def backend_function(
    device: torch.device, backend: str, name: str, adds: bool = False
) -> Callable[..., Tensor]:
    """A function of a backend, which is imported when it is first needed.

    Args:
        device: Where the scores are.
        backend: A `Backend`; "" is the fastest one that serves the device.
        name: Of the function, as in `backends/__init__.py`.
        adds: Whether it must take `added`.

    Raises:
        ValueError: The backend does not serve the device, or adds nothing.
    """
    if device.type == "cuda":
        return _cuda_function(device, backend, name, adds)
    return _function(device, backend, name, adds)


def _function(device: torch.device, backend: str, name: str, adds: bool) -> Callable[..., Tensor]:
    available = available_backends(device)
    usable = [name for name in available if not (adds and name in _ADDS_NOTHING)]
    if not backend:
        backend = usable[0]
    elif backend not in available:
        raise ValueError(f"backend {backend!r} does not serve {device}; use one of {available}")
    elif backend not in usable:
        raise ValueError(f"backend {backend!r} adds neither bias nor noise; use one of {usable}")
    return imported(backend, name)


_cuda_function = functools.cache(_function)  # what runs on a GPU does not change


@functools.cache
def imported(module: str, name: str) -> Callable[..., Any]:
    """A function of a module of `mas.backends`.

    Args:
        module: Its name.
        name: Of the function.
    """
    return getattr(importlib.import_module(f"mas.backends.{module}"), name)


def _search_op(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    caller: str,
    backend: str,
    check: bool,
    bias: Tensor | None = None,
    bias_scale: Tensor | None = None,
    noise_scale: Tensor | None = None,
    seed: Tensor | None = None,
) -> Tensor:
    """`torch.ops.mas.search`: one opaque operation, so that torch.compile need not look inside.

    The check is part of the operation. Outside, it would be a branch on a value of a tensor, which
    torch.compile(fullgraph=True) refuses; an operation of its own, without a result, could be dropped as
    unused. So `caller` comes in here: the error depends on it.
    """
    if check:
        check_may_wait(scores)
    B, T, S = scores.shape
    added = None
    if bias is not None or noise_scale is not None:
        added = Added(bias, bias_scale, noise_scale, seed)
    if B * T * S == 0:
        durations = torch.full((B, T), -1, dtype=torch.int64, device=scores.device)
    elif added is None:
        backend = backend or default_backend(scores, skippable)
        function = backend_function(scores.device, backend, "durations")
        durations = function(scores, text_lengths, speech_lengths, skippable)
    else:
        function = backend_function(scores.device, backend, "durations", adds=True)
        durations = function(scores, text_lengths, speech_lengths, skippable, added=added)
    if check and any_failed(durations):
        to_item = None if added is None else added.to_item
        raise ValueError(explain(scores, text_lengths, speech_lengths, skippable, durations, caller, to_item))
    return durations


_library = torch.library.Library("mas", "DEF")
_library.define(
    "search(Tensor scores, Tensor text_lengths, Tensor speech_lengths, Tensor? skippable, str caller, "
    "str backend, bool check, Tensor? bias=None, Tensor? bias_scale=None, Tensor? noise_scale=None, "
    "Tensor? seed=None) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
implement(_library, "search", _search_op)


@torch.library.register_fake("mas::search")
def _search_fake(scores: Tensor, *_others: object) -> Tensor:
    return scores.new_empty(scores.shape[:2], dtype=torch.int64)
