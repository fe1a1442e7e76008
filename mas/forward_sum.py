"""`forward_sum`: the log-sum over all monotonic paths, differentiable. The contract is in README.md.

B batch, T text tokens, S speech frames.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from mas.checks import (
    Caller,
    Layout,
    Lengths,
    any_failed,
    check_lengths,
    check_may_wait,
    check_skippable,
    explain,
)
from mas.devices import implement
from mas.search import Backend, available_backends, imported, text_first


def forward_sum(
    scores: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    layout: Layout = "BTS",
    skippable: Tensor | None = None,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """The logarithm of the sum over all monotonic paths of e^(score of the path): `[B]`, differentiable once.

    The paths are those of `search`. The gradient by a score is the posterior of its token at its frame, from
    0 to 1; those of a frame sum to 1. As a loss, take the negative, usually divided by the text lengths.

    Args:
        scores: `[B, T, S]`, or `[B, S, T]` with `layout="BST"`; float32, float16, bfloat16 or float64; any
            strides. The result is float32, and computed so that no length or range of scores underflows; that
            of float64 is float64, on the `cpu` and `reference` backends to its precision.
        text_lengths: `[B]`, as in `search`.
        speech_lengths: `[B]`, as in `search`.
        layout: The order of the axes of `scores`: batch, text, speech or batch, speech, text.
        skippable: `[B, T]` bool, as in `search`.
        backend: As in `search`; there is none in `hopper`.
        check: Raise an error for items without a path. Without it nothing waits for the GPU; an item without
            a path gives -inf and a gradient of 0, one with a NaN or +inf that some path can visit gives NaN
            for both.

    Raises:
        TypeError: Something other than tensors.
        ValueError: As `search`.

    Source: Shih et al., "RAD-TTS", 2021, section 2.2; Badlani et al., "One TTS alignment to rule them all",
    2021. Both have a blank between tokens: `ForwardSumLoss`.
    """
    caller: Caller = "search BTS" if layout == "BTS" else "search BST"
    scores = text_first(scores, layout)
    text_lengths, speech_lengths = check_lengths(scores, text_lengths, speech_lengths)
    check_skippable(scores, skippable)
    return torch.ops.mas.forward_sum.default(
        scores, text_lengths, speech_lengths, skippable, caller, backend or "", check
    )


def forward_function(device: torch.device, backend: str, name: str) -> Callable[..., Any]:
    """A function of the forward sum of a backend, which is imported when it is first needed.

    Args:
        device: Where the scores are.
        backend: A `Backend`; "" is the fastest one that serves the device and has a forward sum.
        name: Of the function, as in `backends/__init__.py`.

    Raises:
        ValueError: The backend does not serve the device, or has no forward sum.
    """
    available = [known for known in available_backends(device) if known != "hopper"]
    if not backend:
        backend = available[0]
    elif backend not in available:
        raise ValueError(f"backend {backend!r} has no forward sum on {device}; use one of {available}")
    return imported(f"{backend}_forward", name)


def sum_type(scores: Tensor) -> torch.dtype:
    """The type of log-sums and of what gradients are added up in.

    Args:
        scores: Of any float type.
    """
    return torch.float64 if scores.dtype == torch.float64 else torch.float32


def failed(log_sums: Tensor) -> Tensor | None:
    """A row `[B, 1]` of -1 for each item without a path, as `explain` takes it; None if there is none.

    Args:
        log_sums: `[B]`.
    """
    rows = torch.where(log_sums.isfinite(), 0, -1)[:, None]
    return rows if any_failed(rows) else None


def _forward_sum_op(
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    caller: str,
    backend: str,
    check: bool,
) -> Tensor:
    """`torch.ops.mas.forward_sum`: one opaque operation, as `torch.ops.mas.search`. scores: `[B, T, S]`."""
    if check:
        check_may_wait(scores)
    B, T, S = scores.shape
    if B == 0 or T == 0 or S == 0:
        log_sums = scores.new_full((B,), float("-inf"), dtype=sum_type(scores))
    else:
        function = forward_function(scores.device, backend, "log_sums")
        log_sums = function(scores, text_lengths, speech_lengths, skippable)
    rows = failed(log_sums) if check else None
    if rows is not None:
        raise ValueError(explain(scores, text_lengths, speech_lengths, skippable, rows, caller))
    return log_sums


def _gradient_op(
    weights: Tensor,
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    backend: str,
) -> Tensor:
    """`torch.ops.mas.forward_sum_gradient`: the posteriors `[B, T, S]`, times weights `[B]`."""
    gradient = torch.zeros_like(scores, dtype=sum_type(scores))
    if scores.numel():
        function = forward_function(scores.device, backend, "add_gradient")
        function(gradient, weights, scores, text_lengths, speech_lengths, skippable)
    return gradient.to(scores.dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    scores, text_lengths, speech_lengths, skippable, _, ctx.backend, _ = inputs
    ctx.save_for_backward(scores, text_lengths, speech_lengths, skippable)


def _backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
    gradient = torch.ops.mas.forward_sum_gradient.default(weights, *ctx.saved_tensors, ctx.backend)
    return gradient, None, None, None, None, None, None


def refuse_second_derivative(ctx: Any, *gradients: Tensor) -> NoReturn:
    """The backward of a gradient.

    Args:
        ctx: Not used.
        *gradients: Not used.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("mas: forward sums can be differentiated once, not twice (create_graph=True)")


def keep_nothing(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Of the forward of a gradient.

    Args:
        ctx: Not used.
        inputs: Not used.
        output: Not used.
    """


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "forward_sum(Tensor scores, Tensor text_lengths, Tensor speech_lengths, Tensor? skippable, str caller, "
    "str backend, bool check) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_library.define(
    "forward_sum_gradient(Tensor weights, Tensor scores, Tensor text_lengths, Tensor speech_lengths, "
    "Tensor? skippable, str backend) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
for _name, _operation in (("forward_sum", _forward_sum_op), ("forward_sum_gradient", _gradient_op)):
    implement(_library, _name, _operation)
torch.library.register_autograd("mas::forward_sum", _backward, setup_context=_keep, lib=_library)
torch.library.register_autograd(
    "mas::forward_sum_gradient", refuse_second_derivative, setup_context=keep_nothing, lib=_library
)


@torch.library.register_fake("mas::forward_sum")
def _forward_sum_fake(scores: Tensor, *_others: object) -> Tensor:
    return scores.new_empty(scores.shape[:1], dtype=sum_type(scores))


@torch.library.register_fake("mas::forward_sum_gradient")
def _gradient_fake(weights: Tensor, scores: Tensor, *_others: object) -> Tensor:
    return torch.empty_like(scores)
