"""The search over the scores of a batch's states, and what a path says.

B items, F frames of a batch one after the other, S frames of the longest item, T states of the longest item,
M states of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import mas


@dataclass
class Paths:
    """durations: frames a state, `[B, T]`. state: model state of every frame, scores: its score there, both
    `[F]`. position: which of its item's states (0..T-1) a frame is in, `[F]`.
    """

    durations: Tensor
    position: Tensor
    state: Tensor
    scores: Tensor


def best_paths(
    scores: Tensor,
    starts: Tensor,
    lengths: Tensor,
    states: Sequence[Sequence[int]],
    skippable: Sequence[Sequence[bool]],
) -> Paths:
    """The best path of each item through its states.

    scores: `[F', M]`; item b is made of the frames starts[b] .. starts[b] + lengths[b] - 1 (items may
    overlap). states: for each item the model states in order; skippable: which of them may get no frame.
    """
    device = scores.device
    sequences = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(sequence) for sequence in states], batch_first=True
    ).to(device)
    optional = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(sequence) for sequence in skippable], batch_first=True
    ).to(device)
    text_lengths = torch.tensor([len(sequence) for sequence in states], device=device)
    frame = torch.arange(int(lengths.max()), device=device)
    row = (starts[:, None] + frame).clamp(max=len(scores) - 1)
    wanted = scores[row].gather(2, sequences[:, None, :].expand(-1, len(frame), -1))  # [B, S, T]
    durations = mas.search(wanted, text_lengths, lengths, layout="BST", skippable=optional)
    position = torch.searchsorted(
        durations.cumsum(1), frame.expand(len(durations), -1).contiguous(), right=True
    )
    inside = frame < lengths[:, None]
    position = position.clamp(max=durations.shape[1] - 1)
    return Paths(
        durations,
        position[inside],
        sequences.gather(1, position)[inside],
        wanted.gather(2, position[..., None])[..., 0][inside],
    )
