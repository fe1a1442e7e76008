"""What the search sees of one utterance: the likelihood of every frame in every token, and its way through.

N states, S speech frames, M states of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.encoders.base import Encoder
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices
from aligner.search.forced_alignment import align_states, states_of
from aligner.text.packed import PackedTokens


@dataclass(frozen=True)
class SpokenLikelihoods:
    """The matrix of the Glow-TTS paper, with the states of each token as its rows.

    Args:
        matrix: `[N, S]`, the joint log-likelihood of each frame in each state that is spoken, in their order;
            or of so many frames as were asked for, and of the states that the path visits in these.
        durations: `[N]`, the frames of each state on the best path; each at least 1.
        token: `[N]`, the place in `symbols` that each state belongs to.
        symbols: Of the tokens that are spoken.
    """

    matrix: NDArray[np.float32]
    durations: Indices
    token: Indices
    symbols: tuple[str, ...]


def spoken_likelihoods(
    encoder: Encoder,
    features: PackedFeatures,
    tokens: PackedTokens,
    symbols: Sequence[str],
    most_frames: int | None = None,
) -> SpokenLikelihoods:
    """The likelihoods of one utterance in the states of its tokens. Pauses that nobody spoke are left out.

    Args:
        encoder: Whose states and emissions these are.
        features: Of the utterance.
        tokens: Of the utterance, with the pronunciations that were chosen.
        symbols: The vocabulary.
        most_frames: Of the matrix; None: all, which of half an hour are 42 GB.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    joint = encoder.emissions(features, tokens).joint
    states = states_of(encoder, features, tokens)
    durations = align_states(joint[None], features, states).durations[0].cpu().numpy()
    spoken = durations > 0
    shown = joint[:most_frames]
    rows = int(np.searchsorted(np.cumsum(durations[spoken]), len(shown))) + 1
    matrix = shown[:, states.states[spoken][:rows].tolist()].T.float().cpu().numpy()
    (own,) = tokens.unpack(symbols)
    places, token = np.unique(states.token[spoken], return_inverse=True)
    return SpokenLikelihoods(
        matrix, durations[spoken], token, tuple(own.symbols[place] for place in places.tolist())
    )
