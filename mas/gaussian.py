"""Gaussian scores (the log-likelihood of each frame under each token), and the search over them.

B batch, T text tokens, S speech frames, C channels.
"""

import contextlib
import math
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mas.checks import Lengths, any_failed, check_lengths, check_may_wait, check_skippable, explain
from mas.devices import implement
from mas.search import Backend, available_backends

Precision = Literal["ieee", "bf16x3", "tf32x3", "tf32"]
_PRECISIONS = get_args(Precision)
_MEMORY_BYTES = 64 << 20  # for scores; those of one item are always held whole


def log_likelihood(mean: Tensor, log_scale: Tensor | None, speech: Tensor) -> Tensor:
    """Log density of each frame under the diagonal Gaussian of each token: `[B, T, S]`.

    Differentiable in all arguments. float64 is computed in float64, all other types in float32, also under
    autocast. The square is multiplied out, (z - m)^2 = z^2 - 2 z m + m^2, so that one matrix product does
    the work.

    Args:
        mean: `[B, T, C]`.
        log_scale: `[B, T, C]`, natural log of the standard deviation; None is unit variance.
        speech: `[B, S, C]`.

    Raises:
        ValueError: Shapes that do not fit.

    Source: Kim et al., "Glow-TTS", 2020, equation 3.
    """
    _check_shapes(mean, log_scale, speech)
    autocast = torch.amp.autocast_mode.is_autocast_available(mean.device.type)  # not for "meta"
    with torch.autocast(mean.device.type, enabled=False) if autocast else contextlib.nullcontext():
        if mean.dtype != torch.float64:
            mean, speech = mean.float(), speech.float()
            log_scale = None if log_scale is None else log_scale.float()
        constant = -0.5 * math.log(2 * math.pi) * mean.shape[2]
        if log_scale is None:
            of_token = constant - 0.5 * mean.square().sum(2, keepdim=True)
            of_frame = -0.5 * speech.square().sum(2)[:, None, :]
            return torch.matmul(mean, speech.mT) + of_token + of_frame
        precision = torch.exp(-2 * log_scale)
        weighted = mean * precision
        of_token = constant - (log_scale + 0.5 * mean * weighted).sum(2, keepdim=True)
        weights = torch.cat([weighted, -0.5 * precision], 2)
        return torch.matmul(weights, torch.cat([speech, speech.square()], 2).mT) + of_token


class GaussianAlignment(NamedTuple):
    """Result of `gaussian_search` with scores."""

    durations: Tensor  # int64 [B, T]
    score: Tensor  # float32 [B]: log-likelihood of the path
    token_scores: (
        Tensor  # float32 [B, T]: mean log-likelihood of each token's frames; 0 for tokens without any
    )


def gaussian_search(
    mean: Tensor,
    log_scale: Tensor | None,
    speech: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    skippable: Tensor | None = None,
    precision: Precision = "ieee",
    backend: Backend | None = None,
    check: bool = True,
    return_scores: bool = False,
) -> Tensor | GaussianAlignment:
    """Durations `[B, T]` of the best path under Gaussian scores: `search(log_likelihood(...), ...)`.

    No gradient is tracked.

    Args:
        mean: `[B, T, C]`.
        log_scale: `[B, T, C]`, natural log of the standard deviation; None is unit variance.
        speech: `[B, S, C]`.
        text_lengths: `[B]`, as in `search`.
        speech_lengths: `[B]`, as in `search`.
        skippable: `[B, T]` bool, as in `search`.
        precision: Of the matrix product on a GPU. "ieee" is float32 throughout. "tf32x3" and "bf16x3" split
            each factor into two parts, of 11 or 8 bits each, and are nearly as exact. "tf32" keeps 11 bits of
            each factor. "bf16x3" is the fast one on Hopper GPUs (the `hopper` backend), "tf32x3" on others.
            A CPU always computes "ieee".
        backend: As in `search`.
        check: As in `search`.
        return_scores: Return a `GaussianAlignment`. Its scores are computed after the search, along the path,
            from (z - m)^2 itself.

    Raises:
        ValueError: As `log_likelihood` and `search`, and for an unknown precision.
    """
    _check_shapes(mean, log_scale, speech)
    if precision not in _PRECISIONS:
        raise ValueError(f"precision {precision!r}: use one of {_PRECISIONS}")
    text_lengths, speech_lengths = check_lengths(mean, text_lengths, speech_lengths)
    check_skippable(mean, skippable)
    mean, speech = mean.detach(), speech.detach()
    log_scale = None if log_scale is None else log_scale.detach()
    durations = torch.ops.mas.gaussian_search(
        mean, log_scale, speech, text_lengths, speech_lengths, skippable, precision, backend or "", check
    )
    return path_scores(mean, log_scale, speech, durations) if return_scores else durations


def gaussian_likelihood(
    mean: Tensor,
    log_scale: Tensor | None,
    speech: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    skippable: Tensor | None = None,
    precision: Precision = "ieee",
    backend: Backend | None = None,
    check: bool = True,
) -> GaussianAlignment:
    """The best path, and the log-likelihood along it, differentiable in mean, log_scale and speech.

    What the training of Glow-TTS, VITS and Matcha-TTS takes from an alignment, without `[B, T, S]` for the
    path or for its gradient: beside the search, a few times `[B, S, C]`, of which nothing is kept for the
    backward pass. The path is found without a gradient, as there.

    Args:
        mean: As in `gaussian_search`, and so are all others.
        log_scale: `[B, T, C]` or None.
        speech: `[B, S, C]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: `[B, T]` bool or None.
        precision: Of the search. The likelihoods are computed from (z - m)^2 itself.
        backend: Of the search.
        check: As in `search`; without it, an item that cannot be aligned has scores of 0.

    Raises:
        ValueError: As `gaussian_search`.
    """
    durations = gaussian_search(
        mean, log_scale, speech, text_lengths, speech_lengths, skippable=skippable, precision=precision,
        backend=backend, check=check,
    )  # fmt: skip
    assert isinstance(durations, Tensor)
    return path_scores(mean, log_scale, speech, durations)


def path_scores(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, durations: Tensor
) -> GaussianAlignment:
    """Log-likelihoods along a path, differentiable once. Memory: a few times `[B, S, C]`, none of it kept.

    Args:
        mean: As in `log_likelihood`.
        log_scale: As in `log_likelihood`.
        speech: As in `log_likelihood`.
        durations: `[B, T]`, the path. Items whose durations are -1 get scores of 0.
    """
    B, T, _ = mean.shape
    S = speech.shape[1]
    frames_each = durations.clamp(min=0)
    frames = torch.arange(S, device=mean.device).expand(B, S).contiguous()
    token = torch.searchsorted(frames_each.cumsum(1), frames, right=True)  # [B, S]; T in the padding
    per_frame = _FrameScores.apply(mean, log_scale, speech, token)
    sums = per_frame.new_zeros((B, T + 1)).scatter_add(1, token, per_frame)[:, :T]
    return GaussianAlignment(durations, per_frame.sum(1), sums / frames_each.clamp(min=1))


class _FrameScores(torch.autograd.Function):
    """The log-likelihood `[B, S]` of each frame under its token; 0 for a token of T.

    The backward pass computes the differences again, so that nothing but the arguments is kept.
    """

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_scale: Tensor | None, speech: Tensor, token: Tensor) -> Tensor:
        ctx.save_for_backward(mean, log_scale, speech, token)
        z, s = _differences(mean, log_scale, speech, token)
        constant = -0.5 * math.log(2 * math.pi) * mean.shape[2]
        per_frame = constant - 0.5 * z.square().sum(2)
        if s is not None:
            per_frame -= s.sum(2)
        return per_frame.masked_fill_(token == mean.shape[1], 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        mean, log_scale, speech, token = ctx.saved_tensors
        B, T, C = mean.shape
        weights = weights.masked_fill(token == T, 0.0)[:, :, None]
        index = token.clamp(max=T - 1)[:, :, None].expand(B, speech.shape[1], C)
        z, s = _differences(mean, log_scale, speech, token)
        of_scale = None
        if s is not None and log_scale is not None:
            by_frame = (z.square() - 1).mul_(weights)
            of_scale = by_frame.new_zeros(mean.shape).scatter_add_(1, index, by_frame).to(log_scale.dtype)
            z.mul_(torch.exp(-s))
        by_frame = z.mul_(weights)
        of_mean = by_frame.new_zeros(mean.shape).scatter_add_(1, index, by_frame).to(mean.dtype)
        return of_mean, of_scale, by_frame.neg_().to(speech.dtype), None


def _differences(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, token: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Each frame's distance from the mean of its token, in standard deviations, and the log of these.

    float32 or float64 `[B, S, C]`; any token for a token of T, but 0 for its frames.
    """
    B, T, C = mean.shape
    dtype = torch.float64 if mean.dtype == torch.float64 else torch.float32
    index = token.clamp(max=T - 1)[:, :, None].expand(B, speech.shape[1], C)
    padding = (token == T)[:, :, None]  # may hold anything, NaN too
    z = (speech.to(dtype) - mean.to(dtype).gather(1, index)).masked_fill_(padding, 0.0)
    if log_scale is None:
        return z, None
    s = log_scale.to(dtype).gather(1, index).masked_fill_(padding, 0.0)
    return z.mul_(torch.exp(-s)), s


def _gaussian_search_op(
    mean: Tensor,
    log_scale: Tensor | None,
    speech: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    precision: str,
    backend: str,
    check: bool,
) -> Tensor:
    """`torch.ops.mas.gaussian_search`: one opaque operation, as `torch.ops.mas.search`."""
    if check:
        check_may_wait(mean)
    # cuBLAS computes ieee products: without tensor cores a kernel of our own is several times slower
    in_parts = precision != "ieee" and mean.is_cuda and backend != "reference" and skippable is None
    floats = mean.dtype == speech.dtype == torch.float32 and mean.numel() > 0 and speech.numel() > 0
    served = available_backends(mean.device)
    inputs = mean, log_scale, speech, text_lengths, speech_lengths
    on_hopper = in_parts and floats and precision == "bf16x3" and (backend or served[0]) == "hopper" in served
    if on_hopper and _hopper().serves(mean, speech):
        durations = _hopper().gaussian_durations(*inputs)
    elif in_parts and floats and "triton" in served:
        from mas.backends import triton_gaussian

        split = "tf32x3" if precision == "bf16x3" else precision
        durations = triton_gaussian.gaussian_durations(*inputs, split, backend)
    else:
        durations = _in_groups(*inputs, skippable, precision, backend)
    if check and any_failed(durations):
        scores = _score_matrix(mean, log_scale, speech, precision)
        raise ValueError(
            explain(scores, text_lengths, speech_lengths, skippable, durations, "gaussian_search")
        )
    return durations


def _in_groups(
    mean: Tensor,
    log_scale: Tensor | None,
    speech: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    precision: str,
    backend: str,
) -> Tensor:
    """Durations from whole score matrices; on a CPU, where this costs nothing, 64 MB of them at a time."""
    B, T, _ = mean.shape
    items = B if mean.is_cuda else min(B, max(1, _MEMORY_BYTES // (4 * max(1, T * speech.shape[1]))))
    found = []
    for b in range(0, max(1, B), max(1, items)):
        group = slice(b, b + items)
        scale = None if log_scale is None else log_scale[group]
        scores = _score_matrix(mean[group], scale, speech[group], precision)
        may_skip = None if skippable is None else skippable[group]
        lengths = text_lengths[group], speech_lengths[group]
        found.append(torch.ops.mas.search(scores, *lengths, may_skip, "gaussian_search", backend, False))
    return found[0] if len(found) == 1 else torch.cat(found)


def _hopper() -> ModuleType:
    """The kernels of `backends/hopper/gaussian.cu`, imported when first needed."""
    from mas.backends.hopper import gaussian

    return gaussian


def _score_matrix(mean: Tensor, log_scale: Tensor | None, speech: Tensor, precision: str) -> Tensor:
    """The whole matrix `[B, T, S]`, whatever precision the process has set for its own products."""
    if not mean.is_cuda:
        return log_likelihood(mean, log_scale, speech)
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        return log_likelihood(mean, log_scale, speech)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def _check_shapes(mean: Tensor, log_scale: Tensor | None, speech: Tensor) -> None:
    if mean.dim() != 3 or speech.dim() != 3 or mean.shape[::2] != speech.shape[::2]:
        raise ValueError(
            f"mean has shape {tuple(mean.shape)}, speech {tuple(speech.shape)}; [batch, text, channels] and "
            "[batch, speech, channels] of the same batch and channels are needed"
        )
    if log_scale is not None and log_scale.shape != mean.shape:
        raise ValueError(f"log_scale has shape {tuple(log_scale.shape)}, mean {tuple(mean.shape)}")


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "gaussian_search(Tensor mean, Tensor? log_scale, Tensor speech, Tensor text_lengths, "
    "Tensor speech_lengths, Tensor? skippable, str precision, str backend, bool check) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
implement(_library, "gaussian_search", _gaussian_search_op)


@torch.library.register_fake("mas::gaussian_search")
def _gaussian_search_fake(mean: Tensor, *_others: object) -> Tensor:
    return mean.new_empty(mean.shape[:2], dtype=torch.int64)
