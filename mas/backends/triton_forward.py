"""The forward sum in Triton, for every GPU that Triton serves, and for its interpreter on a CPU.

B items, T text tokens, S speech frames, F packed frames, M states; i counts tokens, j counts frames. alpha, u
and gamma as in reference_forward.py, numbers as in triton_numbers.py.

The kernels, and how they work, are in triton_forward_kernels.py.
"""

import functools
import math
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from mas.backends.triton_forward_kernels import columns_kernel, stretches_kernel, sums_kernel

_BLOCK = 4096  # tokens
_DISTANCE = 512  # frames, for texts of several blocks
_SCRATCH_BYTES = 64 << 20  # for alpha of the stretches that are worked on
_LEAST_PROGRAMS = 32  # however much of that each needs
_WARPS_AT_ONCE = 12  # on a multiprocessor: more find no registers there, so that they would only take memory


class _Items(NamedTuple):
    """Frame j of item b scores scale * scores[at[b] + j * stride + columns[b, i]] in token i."""

    scores: Tensor
    at: Tensor  # int64 [B]
    stride: int
    columns: Tensor  # int64 [B, T]
    scale: float
    tokens: Tensor  # int32 [B]
    frames: Tensor  # int32 [B]: 0 if the item has no path, whatever its scores
    before: Tensor  # int32 [B, T]: frames needed before the token
    after: Tensor  # int32 [B, T]: and behind it
    skips: Tensor  # bool [B, T + 2]: may be reached from the last token but one
    may_skip: bool
    most_frames: int


class _Target(NamedTuple):
    """Where posteriors times weights[b] are added: at flat[at[b] + j * stride + columns[b, i]]."""

    flat: Tensor
    at: Tensor
    stride: int
    columns: Tensor
    weights: Tensor
    shared: bool  # whether two tokens or items may have one place


def log_sums(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """The log-sum over all paths `[B]`, as `reference_forward.log_sums`. Never waits for the GPU.

    Args:
        scores: `[B, T, S]`, any float type and strides.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
    """
    items = _dense_items(scores, text_lengths, speech_lengths, skippable)
    return _columns(items, 1).log_sums.to(_own_type(scores))


def add_gradient(
    gradient: Tensor,
    weights: Tensor,
    scores: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
) -> None:
    """Adds the posteriors `[B, T, S]`, times weights `[B]`, to `gradient`, as the reference.

    Args:
        gradient: `[B, T, S]`, float32 or, for float64 scores, float64.
        weights: `[B]`.
        scores: As in `log_sums`.
        text_lengths: As in `log_sums`.
        speech_lengths: As in `log_sums`.
        skippable: As in `log_sums`.
    """
    items = _dense_items(scores, text_lengths, speech_lengths, skippable)
    at, columns = _places(gradient)
    target = _Target(gradient, at, gradient.stride(2), columns, weights, shared=False)
    _stretches(items, _columns(items, 2), target, None)


def state_log_sums(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
    scale: float = 1.0,
) -> Tensor:
    """The log-sum over all paths `[B]`, as `reference_forward.state_log_sums`. Never waits for the GPU.

    Args:
        emissions: `[F, M]`, any float type and strides.
        starts: `[B]`.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F. Memory depends on it.
        scale: Of the emissions.
    """
    items = _state_items(
        emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    )
    return _columns(items, 1).log_sums.to(_own_type(emissions))


def add_state_gradient(
    gradient: Tensor,
    gradient_starts: Tensor,
    weights: Tensor,
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
    scale: float = 1.0,
) -> None:
    """Adds the posteriors of the states, times weights `[B]`, to `gradient` `[F', M]`, as the reference.

    They are added up by atomic operations, so that sums of several tokens differ in the last bits from
    call to call.

    Args:
        gradient: `[F', M]`, contiguous, float32 or, for float64 emissions, float64.
        gradient_starts: `[B]`, the row of each item's first frame in `gradient`.
        weights: `[B]`.
        emissions: As in `state_log_sums`.
        starts: As in `state_log_sums`.
        states: As in `state_log_sums`.
        text_lengths: As in `state_log_sums`.
        speech_lengths: As in `state_log_sums`.
        skippable: As in `state_log_sums`.
        most_frames: As in `state_log_sums`.
        scale: As in `state_log_sums`.
    """
    items = _state_items(
        emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    )
    M = gradient.shape[1]
    target = _Target(gradient, gradient_starts.long() * M, M, states.long(), weights, shared=True)
    _stretches(items, _columns(items, 2), target, None)


def boundary_moments(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
    scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The log-sums `[B]`, and what `reference_forward.boundary_moments` says, float64 `[B, 3, T]`.

    Args:
        emissions: As in `state_log_sums`.
        starts: As in `state_log_sums`.
        states: As in `state_log_sums`.
        text_lengths: As in `state_log_sums`.
        speech_lengths: As in `state_log_sums`.
        skippable: As in `state_log_sums`.
        most_frames: As in `state_log_sums`.
        scale: As in `state_log_sums`.
    """
    items = _state_items(
        emissions, starts, states, text_lengths, speech_lengths, skippable, most_frames, scale
    )
    B, T = states.shape
    moments = torch.zeros((B, 3, T), dtype=torch.float64, device=states.device)
    kept = _columns(items, 2)
    _stretches(items, kept, None, moments)
    return kept.log_sums, moments


def _dense_items(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None
) -> _Items:
    _, T, S = scores.shape
    fits = (text_lengths >= 1) & (text_lengths <= T) & (speech_lengths >= 1) & (speech_lengths <= S)
    at, columns = _places(scores)
    return _items(
        scores, at, scores.stride(2), columns, 1.0, fits, text_lengths, speech_lengths, skippable, S
    )


def _places(values: Tensor) -> tuple[Tensor, Tensor]:
    """`at` and `columns` of values `[B, T, S]`."""
    B, T, _ = values.shape
    at = torch.arange(B, device=values.device) * values.stride(0)
    return at, (torch.arange(T, device=values.device) * values.stride(1)).expand(B, T)


def _state_items(
    emissions: Tensor,
    starts: Tensor,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    most_frames: int | None,
    scale: float,
) -> _Items:
    (F, M), T = emissions.shape, states.shape[1]
    most = F if most_frames is None else max(1, min(F, most_frames))
    starts, states = starts.long(), states.long()
    fits = (text_lengths >= 1) & (text_lengths <= T) & (speech_lengths >= 1)
    fits &= speech_lengths <= (F if most_frames is None else most_frames)
    fits &= (starts >= 0) & (starts <= F - speech_lengths)
    behind = torch.arange(T, device=states.device) >= text_lengths[:, None]
    fits &= (((states >= 0) & (states < M)) | behind).all(1)
    columns = states * emissions.stride(1)
    at = starts * emissions.stride(0)
    return _items(
        emissions,
        at,
        emissions.stride(0),
        columns,
        scale,
        fits,
        text_lengths,
        speech_lengths,
        skippable,
        most,
    )


def _items(
    scores: Tensor,
    at: Tensor,
    stride: int,
    columns: Tensor,
    scale: float,
    fits: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None,
    most_frames: int,
) -> _Items:
    B, T = columns.shape
    spoken = torch.arange(T, device=columns.device) < text_lengths[:, None]
    needs = spoken if skippable is None else spoken & ~skippable
    up_to = needs.cumsum(1, dtype=torch.int32)
    skips = torch.zeros((B, T + 2), dtype=torch.bool, device=columns.device)
    fits = fits & (up_to[:, -1] <= speech_lengths)
    if skippable is not None:
        own = skippable & spoken
        skips[:, 1:-1] = own
        fits &= ~(own[:, 1:] & own[:, :-1]).any(1)
    frames = torch.where(fits, speech_lengths, 0).int()
    return _Items(
        scores, at, stride, columns.contiguous(), scale, text_lengths.int(), frames, up_to - needs.int(),
        up_to[:, -1:] - up_to, skips, skippable is not None, most_frames,
    )  # fmt: skip


class _Kept(NamedTuple):
    """What the first kernel leaves.

    Args:
        columns: Numbers `[2, B, n, T]`, 8 bytes each: alpha at a stretch's last frame, u at its first.
        totals: Numbers `[2, B]`: the sum over all paths; in the second row, for EXACT.
        log_sums: float64 `[B]`.
        status: int32 `[B]`.
        distance: Frames of a stretch.
    """

    columns: Tensor
    totals: Tensor
    log_sums: Tensor
    status: Tensor
    distance: int


def _launches(items: _Items) -> tuple[bool, ...]:
    """EXACT, for each launch."""
    return (True,) if items.scores.dtype == torch.float64 else (False, True)


def _columns(items: _Items, directions: int) -> _Kept:
    """The first kernel. directions: 1, forwards only, or 2."""
    (B, T), device = items.columns.shape, items.columns.device
    block = min(_BLOCK, triton.next_power_of_2(T))
    # A stretch is as long as the frames would take with one program for each, but for a factor.
    several = block < T
    distance = _DISTANCE if several else 16 * math.ceil(math.sqrt(items.most_frames) / 32)
    n = triton.cdiv(items.most_frames, distance)
    kept = _Kept(
        torch.empty((directions, B, n, T), dtype=torch.float64, device=device),
        torch.empty((2, B), dtype=torch.float64, device=device),
        torch.empty(B, dtype=torch.float64, device=device),
        torch.full((B,), 1, dtype=torch.int32, device=device),
        distance,
    )
    halo = distance * (2 if items.may_skip else 1) if several else 0
    blocks = triton.cdiv(T, block - halo)
    largest = torch.zeros((2, B), device=device)  # for each launch
    not_finite = torch.zeros((2, B), dtype=torch.int32, device=device)
    with torch.cuda.device_of(items.scores):
        for exact in _launches(items):
            for first in range(n) if several else (0,):
                columns_kernel[(B, directions, blocks)](
                    items.scores, items.at, items.stride, items.columns, items.scale, items.tokens,
                    items.frames, items.before, items.after, items.skips, T, kept.columns, n, distance,
                    kept.totals, kept.log_sums, kept.status, largest[int(exact)], not_finite[int(exact)],
                    first, first + 1 if several else n, BLOCK=block, SKIPS=items.may_skip, EXACT=exact,
                    num_warps=min(16, max(1, block // 128)),
                )  # fmt: skip
            sums_kernel[(B,)](
                items.tokens, items.frames, items.skips, T, kept.columns, n, distance, kept.totals,
                kept.log_sums, kept.status, largest[int(exact)], not_finite[int(exact)], EXACT=exact,
                num_warps=1,
            )  # fmt: skip
    return kept


def _stretches(items: _Items, kept: _Kept, target: _Target | None, moments: Tensor | None) -> None:
    """The second kernel. One of `target` and `moments` is None."""
    (B, T), n = items.columns.shape, kept.columns.shape[2]
    block = min(_BLOCK, triton.next_power_of_2(T))
    halo = kept.distance * (2 if items.may_skip else 1) if block < T else 0
    blocks = triton.cdiv(T, block - 2 * halo)
    warps = min(16, max(1, block // 128))
    at_once = _processors(items.columns.device) * max(1, _WARPS_AT_ONCE // warps)
    fitting = min(at_once, _SCRATCH_BYTES // (8 * kept.distance * block))
    programs = min(B * n * blocks, max(_LEAST_PROGRAMS, fitting))
    scratch = torch.empty((programs, kept.distance, block), dtype=torch.float64, device=items.columns.device)
    if target is None:
        target = _Target(scratch, items.at, 0, items.columns, scratch, shared=False)
    with torch.cuda.device_of(items.scores):
        for exact in _launches(items):
            stretches_kernel[(programs,)](
                items.scores, items.at, items.stride, items.columns, items.scale, items.tokens, items.frames,
                items.before, items.after, items.skips, T, kept.columns, n, kept.distance, kept.totals,
                kept.log_sums, kept.status, scratch, target.flat, target.at, target.stride,
                target.columns.contiguous(), target.weights.contiguous(),
                scratch if moments is None else moments, B, blocks, halo,
                BLOCK=block, SKIPS=items.may_skip, EXACT=exact, MOMENTS=moments is not None,
                SHARED=target.shared, num_warps=warps,
            )  # fmt: skip


@functools.cache
def _processors(device: torch.device) -> int:
    """Multiprocessors of a GPU. On a CPU, for Triton's interpreter, as many as the largest GPU has."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 200


def _own_type(scores: Tensor) -> torch.dtype:
    return torch.float64 if scores.dtype == torch.float64 else torch.float32
