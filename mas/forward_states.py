"""Forward sums over states' emissions; posteriors of states and boundaries. The contract is in README.md.

B items, T text tokens, S speech frames, F packed frames (those of all items one after the other), M states.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mas.backends.packed_emissions import packed
from mas.checks import Lengths, check_lengths, check_may_wait, check_skippable, check_states, explain_states
from mas.devices import implement
from mas.forward_sum import failed, forward_function, keep_nothing, refuse_second_derivative, sum_type
from mas.search import Backend


def forward_sum_states(
    emissions: Tensor,
    states: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    starts: Tensor | None = None,
    most_frames: int | None = None,
    skippable: Tensor | None = None,
    scale: float = 1.0,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """`forward_sum` where a frame scores scale * its emission in state `states[b, i]` in token i: `[B]`.

    Differentiable once, by the emissions. The scores `[B, T, S]` are never held.

    Args:
        emissions: `[B, S, M]`, or packed, `[F, M]`, with `starts`; as in `search_states`.
        states: `[B, T]`, as in `search_states`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        starts: `[B]`, with packed emissions only, as in `search_states`.
        most_frames: As in `search_states`.
        skippable: `[B, T]` bool, as in `search`.
        scale: Below 1, a path counts more beside better ones (0.1 suits alignment: the frames of speech are
            not independent, so that their product is too sure).
        backend: As in `forward_sum`.
        check: As in `forward_sum`.

    Raises:
        TypeError: Something other than tensors.
        ValueError: As `search_states`.
    """
    starts, text_lengths, speech_lengths = _checked(
        emissions, states, text_lengths, speech_lengths, starts, skippable
    )
    return torch.ops.mas.forward_sum_states.default(
        emissions, states, starts, text_lengths, speech_lengths, most_frames, skippable, scale, backend or "",
        check,
    )  # fmt: skip


def state_posteriors(
    emissions: Tensor,
    states: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    starts: Tensor | None = None,
    most_frames: int | None = None,
    skippable: Tensor | None = None,
    scale: float = 1.0,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """The probability of each state at each frame, given all frames: shaped like `emissions`, 0 to 1.

    For forward-backward (Baum-Welch) training: what one state has of a frame. Where packed items overlap, a
    frame has the sum over them. For the number of frames of each state alone, `boundary_moments` needs no
    `[F, M]`. No gradient is tracked.

    Args:
        emissions: As in `forward_sum_states`, and so are all others. Those that no item has get 0.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        starts: `[B]` or None.
        most_frames: An int or None.
        skippable: `[B, T]` bool or None.
        scale: A factor of the emissions.
        backend: As in `forward_sum`.
        check: As in `forward_sum`; without it, an item without a path gets 0, one with NaN gets NaN.

    Raises:
        TypeError: Something other than tensors.
        ValueError: As `search_states`.
    """
    arguments = emissions.detach() if isinstance(emissions, Tensor) else emissions, states
    if check:
        forward_sum_states(
            *arguments, text_lengths, speech_lengths, starts=starts, most_frames=most_frames,
            skippable=skippable, scale=scale, backend=backend,
        )  # fmt: skip
    starts, text_lengths, speech_lengths = _checked(
        *arguments, text_lengths, speech_lengths, starts, skippable
    )
    ones = torch.ones(len(states), dtype=sum_type(emissions), device=states.device)
    return torch.ops.mas.forward_sum_states_gradient.default(
        ones, *arguments, starts, text_lengths, speech_lengths, most_frames, skippable, scale, backend or ""
    )


class BoundaryMoments(NamedTuple):
    """What all paths together say of the boundaries of each item.

    A token ends at j if the first j frames of the item are its own and those of the tokens before it. So
    `mean` begins the next token, `mean.diff` are the expected durations, and adding these up by state gives
    the occupancy of each. A skippable token has an end, too: the probability that it was skipped counts with
    the end of the token before it.
    """

    log_sum: Tensor  # float64 [B], as `forward_sum_states`
    mean: Tensor  # float64 [B, T]: the mean of the frame at which a token ends, 0 to the speech length
    spread: Tensor  # float64 [B, T]: the standard deviation of it, in frames


def boundary_moments(
    emissions: Tensor,
    states: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    starts: Tensor | None = None,
    most_frames: int | None = None,
    skippable: Tensor | None = None,
    scale: float = 1.0,
    backend: Backend | None = None,
    check: bool = True,
) -> BoundaryMoments:
    """The mean and the spread of the end of each token over all paths, each by its probability.

    Neither `[B, T, S]` nor `[F, M]` is held: README.md states the memory. No gradient is tracked.

    Args:
        emissions: As in `forward_sum_states`, and so are all others.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        starts: `[B]` or None.
        most_frames: An int or None.
        skippable: `[B, T]` bool or None. A pause that was decided before is left out of `states`, or is not
            skippable.
        scale: A factor of the emissions.
        backend: As in `forward_sum`.
        check: As in `forward_sum`; without it, an item without a path has a `log_sum` of -inf or NaN and NaN
            for the rest. Behind the text length all is 0.

    Raises:
        TypeError: Something other than tensors.
        ValueError: As `search_states`.
    """
    starts, text_lengths, speech_lengths = _checked(
        emissions, states, text_lengths, speech_lengths, starts, skippable
    )
    log_sum, moments = torch.ops.mas.boundary_moments.default(
        emissions.detach(), states, starts, text_lengths, speech_lengths, most_frames, skippable, scale,
        backend or "", check,
    )  # fmt: skip
    spoken = torch.arange(states.shape[1], device=states.device) < text_lengths[:, None]
    total = torch.where(log_sum.isfinite()[:, None], moments[:, 0], torch.nan)
    mean = moments[:, 1] / total
    variance = moments[:, 2] / total - mean.square()
    return BoundaryMoments(log_sum, mean.where(spoken, 0.0), variance.clamp(min=0).sqrt().where(spoken, 0.0))


def _checked(
    emissions: Tensor,
    states: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    starts: Tensor | None,
    skippable: Tensor | None,
) -> tuple[Tensor | None, Tensor, Tensor]:
    starts = check_states(emissions, states, starts)
    text_lengths, speech_lengths = check_lengths(states, text_lengths, speech_lengths)
    check_skippable(states, skippable)
    return starts, text_lengths, speech_lengths


def _explained(
    log_sums: Tensor,
    emissions: Tensor,
    starts: Tensor | None,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    most_frames: int | None,
    skippable: Tensor | None,
) -> None:
    """Raises ValueError, which names them, if there are items without a path."""
    rows = failed(log_sums)
    if rows is not None:
        raise ValueError(
            explain_states(
                emissions, starts, states, text_lengths, speech_lengths, most_frames, skippable, rows
            )
        )


def _most(emissions: Tensor, most_frames: int | None) -> int:
    return emissions.shape[-2] if most_frames is None else min(most_frames, emissions.shape[-2])


def _forward_sum_states_op(
    emissions: Tensor,
    states: Tensor,
    starts: Tensor | None,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    most_frames: int | None,
    skippable: Tensor | None,
    scale: float,
    backend: str,
    check: bool,
) -> Tensor:
    """`torch.ops.mas.forward_sum_states`: one opaque operation, as `torch.ops.mas.search`."""
    if check:
        check_may_wait(states)
    B, T = states.shape
    rows, row_starts = packed(emissions, starts)
    if B == 0 or T == 0 or rows.numel() == 0:
        log_sums = emissions.new_full((B,), float("-inf"), dtype=sum_type(emissions))
    else:
        function = forward_function(states.device, backend, "state_log_sums")
        most = _most(emissions, most_frames)
        log_sums = function(rows, row_starts, states, text_lengths, speech_lengths, skippable, most, scale)
    if check:
        _explained(log_sums, emissions, starts, states, text_lengths, speech_lengths, most_frames, skippable)
    return log_sums


def _gradient_op(
    weights: Tensor,
    emissions: Tensor,
    states: Tensor,
    starts: Tensor | None,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    most_frames: int | None,
    skippable: Tensor | None,
    scale: float,
    backend: str,
) -> Tensor:
    """`torch.ops.mas.forward_sum_states_gradient`: posteriors like `emissions`, times weights `[B]`."""
    gradient = torch.zeros(emissions.shape, dtype=sum_type(emissions), device=emissions.device)
    if states.numel() and emissions.numel():
        rows, row_starts = packed(emissions, starts)
        gradient_rows, gradient_starts = packed(gradient, starts)
        forward_function(states.device, backend, "add_state_gradient")(
            gradient_rows, gradient_starts, weights, rows, row_starts, states, text_lengths, speech_lengths,
            skippable, _most(emissions, most_frames), scale,
        )  # fmt: skip
    return gradient.to(emissions.dtype)


def _boundary_moments_op(
    emissions: Tensor,
    states: Tensor,
    starts: Tensor | None,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    most_frames: int | None,
    skippable: Tensor | None,
    scale: float,
    backend: str,
    check: bool,
) -> tuple[Tensor, Tensor]:
    """`torch.ops.mas.boundary_moments`: log-sums `[B]`; sums over j of P(end at j) * j^0, j^1, j^2."""
    if check:
        check_may_wait(states)
    B, T = states.shape
    rows, row_starts = packed(emissions, starts)
    if B == 0 or T == 0 or rows.numel() == 0:
        log_sums = torch.full((B,), float("-inf"), dtype=torch.float64, device=states.device)
        moments = log_sums.new_zeros((B, 3, T))
    else:
        function = forward_function(states.device, backend, "boundary_moments")
        most = _most(emissions, most_frames)
        log_sums, moments = function(
            rows, row_starts, states, text_lengths, speech_lengths, skippable, most, scale
        )
    if check:
        _explained(log_sums, emissions, starts, states, text_lengths, speech_lengths, most_frames, skippable)
    return log_sums, moments


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    emissions, states, starts, text, speech, ctx.most_frames, skippable, ctx.scale, ctx.backend, _ = inputs
    ctx.save_for_backward(emissions, states, starts, text, speech, skippable)


def _backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, skippable = ctx.saved_tensors
    gradient = torch.ops.mas.forward_sum_states_gradient.default(
        weights * ctx.scale, *tensors, ctx.most_frames, skippable, ctx.scale, ctx.backend
    )
    return (gradient, *[None] * 9)


_STATES = (
    "Tensor emissions, Tensor states, Tensor? starts, Tensor text_lengths, Tensor speech_lengths, "
    "SymInt? most_frames, Tensor? skippable, float scale, str backend"
)
_library = torch.library.Library("mas", "FRAGMENT")
_tags = (torch.Tag.pt2_compliant_tag,)
_library.define(f"forward_sum_states({_STATES}, bool check) -> Tensor", tags=_tags)
_library.define(f"forward_sum_states_gradient(Tensor weights, {_STATES}) -> Tensor", tags=_tags)
_library.define(f"boundary_moments({_STATES}, bool check) -> (Tensor, Tensor)", tags=_tags)
for _name, _operation in (
    ("forward_sum_states", _forward_sum_states_op),
    ("forward_sum_states_gradient", _gradient_op),
    ("boundary_moments", _boundary_moments_op),
):
    implement(_library, _name, _operation)
torch.library.register_autograd("mas::forward_sum_states", _backward, setup_context=_keep, lib=_library)
torch.library.register_autograd(
    "mas::forward_sum_states_gradient", refuse_second_derivative, setup_context=keep_nothing, lib=_library
)


@torch.library.register_fake("mas::forward_sum_states")
def _forward_sum_states_fake(emissions: Tensor, states: Tensor, *_others: object) -> Tensor:
    return emissions.new_empty(states.shape[:1], dtype=sum_type(emissions))


@torch.library.register_fake("mas::forward_sum_states_gradient")
def _gradient_fake(weights: Tensor, emissions: Tensor, *_others: object) -> Tensor:
    return emissions.new_empty(emissions.shape)


@torch.library.register_fake("mas::boundary_moments")
def _boundary_moments_fake(emissions: Tensor, states: Tensor, *_others: object) -> tuple[Tensor, Tensor]:
    B, T = states.shape
    return (
        states.new_empty((B,), dtype=torch.float64),
        states.new_empty((B, 3, T), dtype=torch.float64),
    )
