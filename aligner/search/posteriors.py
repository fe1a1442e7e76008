"""Boundaries by all paths, each as probable as its score makes it, instead of by the best one alone.

The best path puts a boundary at one frame, however many are nearly as good. The mean over all paths errs
less, most of all where errors are large.

B utterances, N tokens, F packed frames, M states.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import mas
from aligner.encoders.base import PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, inside, on_device, padded, rows_of, starts_of

# Neighbouring frames are not independent, so that the product of their likelihoods is far too sure.
_SCALE = 0.1


def mean_edges(
    emissions: Sequence[Tensor], features: PackedFeatures, states: PackedStates, lengths: Indices
) -> tuple[NDArray[np.float64], ...]:
    """The mean boundaries around each utterance's tokens in its frames, `[N + B]`, by each of R emissions.

    Args:
        emissions: `[F, M]` each.
        features: Of the utterances.
        states: Of their tokens, without those of tokens that are not there: these end where the one before
            them does.
        lengths: `[B]`, all tokens of each utterance.
    """
    # An item has one thread of the CPU, so all go together there; on a GPU, one after the other holds less.
    at_once = len(emissions) if emissions[0].device.type == "cpu" else 1
    of_state = np.concatenate(
        [_ends(emissions[i : i + at_once], features, states) for i in range(0, len(emissions), at_once)]
    )
    last = np.flatnonzero(np.diff(states.token, append=-1))
    # Each utterance after the one before, so that one running maximum reaches tokens that are not there.
    shift = rows_of(lengths) * (1.0 + float(features.n_frames.max(initial=0)))
    ends = np.tile(shift, (len(emissions), 1))
    ends[:, states.token[last]] += of_state[:, last]
    ends = np.maximum.accumulate(ends, 1) - shift
    return tuple(np.insert(ends, starts_of(lengths), 0.0, axis=1))


def _ends(emissions: Sequence[Tensor], features: PackedFeatures, states: PackedStates) -> NDArray[np.float64]:
    """The mean ends of the states `[R, states]`."""
    n_items, device = len(emissions), emissions[0].device
    n_frames = np.tile(features.n_frames, n_items)
    sequences = padded(states.states, states.lengths)
    moments = mas.boundary_moments(
        torch.cat([own - own.amax(1, keepdim=True) for own in emissions]),  # as in `best_paths`
        on_device(np.tile(sequences, (n_items, 1)), device),
        on_device(np.tile(states.lengths, n_items), device),
        on_device(n_frames, device),
        starts=on_device(starts_of(n_frames), device),
        most_frames=int(features.n_frames.max(initial=1)),
        scale=_SCALE,
    )
    return moments.mean.cpu().numpy().reshape(n_items, *sequences.shape)[:, inside(states.lengths)]
