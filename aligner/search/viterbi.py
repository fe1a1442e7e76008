"""The Viterbi search over the emissions of a batch, and what a best path says.

B items, F packed frames, S frames of the longest item, T states of the longest item, M states of the model.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

import mas
from aligner.devices import on_device
from aligner.encoders.base import PackedStates
from aligner.ragged import Indices, padded


@dataclass(frozen=True)
class StatePaths:
    """The best path of each item, frame by frame; the frames of all items one after the other.

    Args:
        durations: `[B, T]`, frames of each state of the item's sequence.
        state_of_frame: `[F]`, the model's state of each frame.
        log_likelihood: `[F]`, the emission of each frame in its state.
        lengths: `[B]`, frames of each item.
        found: Bool `[B]`, which items have a path. Where that was not checked, all frames of the others are
            in their first state.
    """

    durations: Tensor
    state_of_frame: Tensor
    log_likelihood: Tensor
    lengths: Tensor
    found: Tensor

    def totals(self) -> Tensor:
        """The log-likelihood of each path, float64 `[B]`."""
        if not len(self.lengths):  # of which torch makes an error
            return self.log_likelihood.double()
        return torch.segment_reduce(self.log_likelihood.double(), "sum", lengths=self.lengths)


def best_paths(
    emissions: Tensor, starts: Indices, lengths: Indices, states: PackedStates, check: bool = True
) -> StatePaths:
    """The best path of each item through its states (`mas.search_states`).

    Args:
        emissions: `[F', M]`, log-likelihoods.
        starts: `[B]`; item b is made of the frames starts[b] .. starts[b] + lengths[b] - 1 of the emissions.
            Items may overlap.
        lengths: `[B]`, frames of each item.
        states: The model's states of each item, in order.
        check: Without it nothing waits for a GPU, and `found` says which items have a path.

    Raises:
        ValueError: If `check`, as `mas.search_states` does, for an item with more states than frames.
    """

    device = emissions.device
    sequences = on_device(padded(states.states, states.lengths), device)
    first, n_frames = on_device(starts, device), on_device(lengths, device)
    # Every path has the same share of a frame's largest emission. Without it sums stay small: those of a
    # chapter would reach 1e7, where a step of float32 is 1.
    durations = mas.search_states(
        emissions - emissions.amax(1, keepdim=True),
        sequences,
        on_device(states.lengths, device),
        n_frames,
        starts=first,
        skippable=on_device(padded(states.skippable, states.lengths), device),
        most_frames=int(lengths.max(initial=1)),
        check=check,
    )
    found = (durations >= 0).all(1)
    if not check:
        durations = durations.clamp(min=0)
        durations[:, :1] += torch.where(found, 0, n_frames)[:, None]
    total = int(lengths.sum())
    state_of_frame = torch.repeat_interleave(sequences.flatten(), durations.flatten(), output_size=total)
    shift = (first + n_frames - n_frames.cumsum(0)).repeat_interleave(n_frames, output_size=total)
    frame = torch.arange(total, device=device) + shift
    return StatePaths(durations, state_of_frame, emissions[frame, state_of_frame], n_frames, found)
