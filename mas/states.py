"""`search_states`: the search where the score of a token is a state's emission. The contract is in README.md.

B items, T text tokens, S speech frames, F packed frames (those of all items one after the other), M states.
"""

import torch
from torch import Tensor

from mas.checks import (
    Lengths,
    any_failed,
    check_lengths,
    check_may_wait,
    check_skippable,
    check_states,
    explain_states,
)
from mas.devices import implement
from mas.search import Backend, backend_function


def search_states(
    emissions: Tensor,
    states: Tensor,
    text_lengths: Lengths,
    speech_lengths: Lengths,
    *,
    starts: Tensor | None = None,
    most_frames: int | None = None,
    skippable: Tensor | None = None,
    backend: Backend | None = None,
    check: bool = True,
) -> Tensor:
    """Number of frames of each token on the best monotonic path: int64 durations `[B, T]`.

    The score of a frame in token i is the frame's emission in state `states[b, i]`. The result is that of
    `search` over the scores gathered so, bit for bit, but these scores `[B, T, S]` are never held. Texts and
    speech may be as long as an hour in one piece.

    Args:
        emissions: `[B, S, M]`, the same frames for every item's states; or packed, `[F, M]`, with `starts`.
            float32, float16, bfloat16 or float64 (which is rounded to float32); any strides. Only the
            emissions of an item's own states are read.
        states: `[B, T]`, int64 or int32: the column of `emissions` that scores each token. States beyond the
            text length may be anything.
        text_lengths: `[B]`, a tensor (int64 or int32), a list or a NumPy array: the tokens of each item.
        speech_lengths: `[B]`, as `text_lengths`: the frames of each item.
        starts: `[B]`, int64 or int32, with packed emissions only: item b is made of the rows starts[b] to
            starts[b] + speech_lengths[b] - 1. Items may overlap.
        most_frames: No item has more frames, or it cannot be aligned. With packed emissions on a GPU this
            saves memory and time: any item might have all F frames, and nothing waits for the GPU to tell.
        skippable: `[B, T]` bool, as in `search`.
        backend: As in `search`.
        check: As in `search`.

    Raises:
        TypeError: Something other than tensors.
        ValueError: Wrong shapes or types. If `check`, also for items that cannot be aligned, which the error
            names: the reasons that `search` has, a state that is no column of `emissions`, or frames beyond
            them.
    """
    starts = check_states(emissions, states, starts)
    text_lengths, speech_lengths = check_lengths(states, text_lengths, speech_lengths)
    check_skippable(states, skippable)
    if emissions.requires_grad:
        emissions = emissions.detach()
    return torch.ops.mas.search_states.default(
        emissions, states, starts, text_lengths, speech_lengths, most_frames, skippable, backend or "", check
    )


def _search_states_op(
    emissions: Tensor,
    states: Tensor,
    starts: Tensor | None,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    most_frames: int | None,
    skippable: Tensor | None,
    backend: str,
    check: bool,
) -> Tensor:
    """`torch.ops.mas.search_states`: one opaque operation, as `torch.ops.mas.search`."""
    if check:
        check_may_wait(states)
    if states.numel() == 0 or emissions.numel() == 0:
        durations = torch.full(states.shape, -1, dtype=torch.int64, device=states.device)
    else:
        state_durations = backend_function(states.device, backend, "state_durations")
        most = emissions.shape[-2] if most_frames is None else min(most_frames, emissions.shape[-2])
        durations = state_durations(emissions, starts, states, text_lengths, speech_lengths, skippable, most)
    if check and any_failed(durations):
        raise ValueError(
            explain_states(
                emissions, starts, states, text_lengths, speech_lengths, most_frames, skippable, durations
            )
        )
    return durations


_library = torch.library.Library("mas", "FRAGMENT")
_library.define(
    "search_states(Tensor emissions, Tensor states, Tensor? starts, Tensor text_lengths, "
    "Tensor speech_lengths, SymInt? most_frames, Tensor? skippable, str backend, bool check) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
implement(_library, "search_states", _search_states_op)


@torch.library.register_fake("mas::search_states")
def _search_states_fake(emissions: Tensor, states: Tensor, *_others: object) -> Tensor:
    return states.new_empty(states.shape, dtype=torch.int64)
