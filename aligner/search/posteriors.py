"""Boundaries by all paths, each as probable as its score makes it, instead of by the best one alone.

The best path puts a boundary at one frame, however many are nearly as good. The mean over all paths errs
less, most of all where errors are large.

B utterances, N tokens, F packed frames, M states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import mas
from aligner.devices import on_device
from aligner.encoders.base import PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, inside, padded, rows_of, starts_of

# Neighbouring frames are not independent, so that the product of their likelihoods is far too sure.
_SCALE = 0.1


@dataclass(frozen=True)
class PosteriorEdges:
    """The boundaries around the tokens of B utterances over all paths, by each of R emissions, in frames.

    Args:
        mean: `[R, N + B]`, the mean of each.
        spread: `[R, N + B]`, the standard deviation of each.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def posterior_edges(
    emissions: Sequence[Tensor], features: PackedFeatures, states: PackedStates, lengths: Indices
) -> PosteriorEdges:
    """Mean and spread of the boundaries around each utterance's tokens, by each of R emissions.

    Args:
        emissions: `[F, M]` each.
        features: Of the utterances.
        states: Of their tokens, without those of tokens that are not there: these end where the one before
            them does.
        lengths: `[B]`, all tokens of each utterance.
    """
    # One after the other holds less. But an item has one thread of a CPU.
    threads = torch.get_num_threads() if emissions[0].device.type == "cpu" else 1
    at_once = -(-threads // len(lengths))
    parts = [_ends(emissions[i : i + at_once], features, states) for i in range(0, len(emissions), at_once)]
    last = np.flatnonzero(np.diff(states.token, append=-1))
    end = states.token[last] + rows_of(lengths)[states.token[last]] + 1
    # A boundary is that of the last token that is there, or the start of its utterance.
    first = starts_of(lengths + 1)
    known = np.zeros(int((lengths + 1).sum()), np.int64)
    known[first], known[end] = first, end
    known = np.maximum.accumulate(known)

    def around(of_state: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        edges = np.zeros((len(emissions), len(known)))
        edges[:, end] = np.concatenate(of_state)[:, last]
        return edges[:, known]

    return PosteriorEdges(around([mean for mean, _ in parts]), around([spread for _, spread in parts]))


def _ends(
    emissions: Sequence[Tensor], features: PackedFeatures, states: PackedStates
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread of the ends of the states, `[R, states]` each."""
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
    mean, spread = (
        own.cpu().numpy().reshape(n_items, *sequences.shape)[:, inside(states.lengths)]
        for own in (moments.mean, moments.spread)
    )
    return mean, spread
