"""Forced alignment: the frames of each token of a given text.

B batch, N packed tokens, R feature streams, F packed frames, M states.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.encoders.base import Emissions, Encoder, PackedStates
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, edges_of, inside, rows_of, starts_of
from aligner.search.viterbi import StatePaths, best_paths
from aligner.text.packed import PackedTokens

# A word or more: two streams disagree by less about a boundary.
_LOST_FRAMES = 20


@dataclass(frozen=True)
class TokenDurations:
    """The frames of each token of B utterances.

    Args:
        joint: `[N]`, by the joint path.
        per_stream: `[N]` each, by the path of each feature stream where there are several.
    """

    joint: Indices
    per_stream: tuple[Indices, ...]

    def boundaries_frames(self, lengths: Indices) -> NDArray[np.float64]:
        """The boundaries around each utterance's tokens in its frames, `[N + B]`: the mean over all paths.

        The joint path has one vote beside those of the streams. A stream that is more than 0.2 s away from it
        (frames are usually 10 ms) has lost its way there and votes as the joint path does, or for no boundary
        earlier than its last one.

        Args:
            lengths: `[B]`, tokens of each utterance.
        """
        joint = edges_of(self.joint, lengths)
        streams = [edges_of(durations, lengths) for durations in self.per_stream]
        # Each utterance after the one before, so that one running maximum keeps all boundaries in order.
        shift = rows_of(lengths + 1) * (1 + int(joint.max(initial=0)))
        votes = [np.where(abs(own - joint) <= _LOST_FRAMES, own, joint) + shift for own in streams]
        return np.mean([joint, *(np.maximum.accumulate(vote) - shift for vote in votes)], axis=0)


def forced_alignment(
    encoder: Encoder, emissions: Emissions, features: PackedFeatures, tokens: PackedTokens
) -> TokenDurations:
    """The frames of each token, by the joint path and by each stream's own.

    Args:
        encoder: Whose emissions these are.
        emissions: `[F, M]` for each feature stream.
        features: The packed features of the B utterances.
        tokens: Their tokens.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    states = states_of(encoder, features, tokens)
    (joint,) = token_durations(align_states(emissions.joint[None], features, states), states)
    if len(emissions.streams) == 1:
        return TokenDurations(joint, ())
    paths = align_states(emissions.streams, features, states)
    return TokenDurations(joint, tuple(token_durations(paths, states)))


def states_of(encoder: Encoder, features: PackedFeatures, tokens: PackedTokens) -> PackedStates:
    """The states of the tokens of B utterances.

    Args:
        encoder: Whose states these are.
        features: The packed features of the utterances.
        tokens: Their tokens.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    needed, n_frames = tokens.least_frames, features.n_frames
    for b in np.flatnonzero(needed > n_frames)[:1]:
        raise AlignerError(
            f"{tokens.ids[b]}: {needed[b]} tokens in {n_frames[b]} frames; is this the text of this audio?"
        )
    return encoder.states(tokens, n_frames)


def align_states(emissions: Tensor, features: PackedFeatures, states: PackedStates) -> StatePaths:
    """The best paths of each utterance through its states, one for each of R emissions, in one search.

    Args:
        emissions: `[R, F, M]`, of several feature streams or the joint ones.
        features: The packed features of the B utterances.
        states: Of their tokens.

    Returns:
        The paths of R * B items: first those by the first emissions.
    """
    n_paths, n_frames = len(emissions), np.tile(features.n_frames, len(emissions))
    return best_paths(emissions.flatten(0, 1), starts_of(n_frames), n_frames, states.times(n_paths))


def token_durations(paths: StatePaths, states: PackedStates) -> Indices:
    """The frames of each token, `[R, N]`, by each of R paths.

    Args:
        paths: Through the states of N tokens.
        states: These. Each token has at least one.
    """
    by_state = paths.durations.cpu().numpy().reshape(-1, len(states.lengths), paths.durations.shape[1])
    first = np.flatnonzero(np.diff(states.token, prepend=-1))
    return np.add.reduceat(by_state[:, inside(states.lengths)], first, axis=1)
