"""The Viterbi search over the emissions of a batch, and what a best path says.

B items, F packed frames, S frames of the longest item, T states of the longest item, M states of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import mas


@dataclass(frozen=True)
class StatePaths:
    """The best path of each item, frame by frame; the frames of all items one after the other.

    Args:
        durations: `[B, T]`, frames of each state of the item's sequence.
        state_of_frame: `[F]`, the model's state of each frame.
        log_likelihood: `[F]`, the emission of each frame in its state.
    """

    durations: Tensor
    state_of_frame: Tensor
    log_likelihood: Tensor


def best_paths(
    emissions: Tensor,
    starts: Tensor,
    lengths: Tensor,
    states: Sequence[Sequence[int]],
    skippable: Sequence[Sequence[bool]],
) -> StatePaths:
    """The best path of each item through its states (`mas.search`).

    Args:
        emissions: `[F', M]`, log-likelihoods.
        starts: `[B]`; item b is made of the frames starts[b] .. starts[b] + lengths[b] - 1 of the emissions.
            Items may overlap.
        lengths: `[B]`, frames of each item.
        states: The model's states of each item, in order.
        skippable: Which of them may get no frame.

    Raises:
        ValueError: As `mas.search` does, for an item with more states than frames.
    """
    device = emissions.device
    sequences = _padded(states, device)
    optional = _padded(skippable, device)
    text_lengths = torch.tensor([len(sequence) for sequence in states], device=device)
    frame = torch.arange(int(lengths.max()), device=device)
    row = (starts[:, None] + frame).clamp(max=len(emissions) - 1)
    scores = emissions[row].gather(2, sequences[:, None, :].expand(-1, len(frame), -1))  # [B, S, T]
    durations = mas.search(scores, text_lengths, lengths, layout="BST", skippable=optional)
    position = torch.searchsorted(
        durations.cumsum(1), frame.expand(len(durations), -1).contiguous(), right=True
    )
    inside = frame < lengths[:, None]
    position = position.clamp(max=durations.shape[1] - 1)
    return StatePaths(
        durations,
        sequences.gather(1, position)[inside],
        scores.gather(2, position[..., None])[..., 0][inside],
    )


def _padded(rows: Sequence[Sequence[int]] | Sequence[Sequence[bool]], device: torch.device) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)
