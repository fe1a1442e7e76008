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
from aligner.ragged import Indices, inside, padded, rows_of, starts_of

# Neighbouring frames are not independent, so that the product of their likelihoods is far too sure.
_SCALE = 0.1


def mean_edges(
    emissions: Sequence[Tensor], features: PackedFeatures, states: PackedStates, lengths: Indices
) -> tuple[NDArray[np.float64], ...]:
    """The mean boundaries around each utterance's tokens in its frames, `[N + B]`, by each of R emissions.

    On the host, also where the emissions are on a GPU: they are copied in a moment.

    Args:
        emissions: `[F, M]` each.
        features: Of the utterances.
        states: Of their tokens, without those of tokens that are not there: these end where the one before
            them does.
        lengths: `[B]`, all tokens of each utterance.
    """
    n_items = len(emissions)
    n_frames = np.tile(features.n_frames, n_items)
    sequences = torch.from_numpy(padded(states.states, states.lengths))
    moments = mas.boundary_moments(
        torch.cat([(own - own.amax(1, keepdim=True)).cpu() for own in emissions]),  # as in `best_paths`
        sequences.repeat(n_items, 1),
        torch.from_numpy(np.tile(states.lengths, n_items)),
        torch.from_numpy(n_frames),
        starts=torch.from_numpy(starts_of(n_frames)),
        most_frames=int(features.n_frames.max(initial=1)),
        scale=_SCALE,
    )
    of_state = moments.mean.numpy().reshape(n_items, *sequences.shape)[:, inside(states.lengths)]
    last = np.flatnonzero(np.diff(states.token, append=-1))
    # Each utterance after the one before, so that one running maximum reaches tokens that are not there.
    shift = rows_of(lengths) * (1.0 + float(features.n_frames.max(initial=0)))
    ends = np.tile(shift, (n_items, 1))
    ends[:, states.token[last]] += of_state[:, last]
    ends = np.maximum.accumulate(ends, 1) - shift
    return tuple(np.insert(ends, starts_of(lengths), 0.0, axis=1))
