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
from aligner.search.posteriors import posterior_edges
from aligner.search.viterbi import StatePaths, best_paths
from aligner.text.packed import PackedTokens

# A word or more: two streams disagree by less about a boundary.
_LOST_FRAMES = 20


@dataclass(frozen=True)
class TokenDurations:
    """The frames of each token of B utterances.

    Args:
        joint: `[N]`, by the joint path.
        edges: `[N + B]` each, the boundaries around each utterance's tokens in frames: by the joint emissions
            and, where there are several feature streams, by each of these. Empty if they were not wanted.
        spreads: `[N + B]` each, how far each of these may be off by the same emissions: the standard
            deviation over all paths, in frames.
        log_likelihood: `[F]`, the joint emission of each frame in its state of the joint path; None: nobody
            kept it.
    """

    joint: Indices
    edges: tuple[NDArray[np.float64], ...]
    spreads: tuple[NDArray[np.float64], ...] = ()
    log_likelihood: Tensor | None = None

    def joined(self, n_tokens: Indices, n_frames: Indices, lengths: Indices) -> "TokenDurations":
        """Of utterances that were searched in parts (`HeldBoundaries.cut`), as if of whole ones.

        Args:
            n_tokens: `[P]`, tokens of each part.
            n_frames: `[P]`, frames of each part.
            lengths: `[B]`, tokens of each utterance.
        """
        last = np.isin(np.cumsum(n_tokens), np.cumsum(lengths))
        first = np.concatenate([[True], last[:-1]])
        start = starts_of(n_frames)
        start = start - start[first][np.cumsum(first) - 1]  # in the utterance
        kept = np.ones(int((n_tokens + 1).sum()), bool)
        kept[(np.cumsum(n_tokens + 1) - 1)[~last]] = False  # there the next part begins
        return TokenDurations(
            self.joint,
            tuple((own + start.repeat(n_tokens + 1))[kept] for own in self.edges),
            tuple(own[kept] for own in self.spreads),
            self.log_likelihood,
        )

    def boundaries_frames(self, lengths: Indices) -> NDArray[np.float64]:
        """The boundaries around each utterance's tokens in its frames, `[N + B]`: the mean of all.

        The joint emissions have one vote beside the streams. A stream that is more than 0.2 s away from them
        (frames are usually 10 ms) has lost its way there and votes as they do, or for no boundary earlier
        than its last one.

        Args:
            lengths: `[B]`, tokens of each utterance.
        """
        joint, *streams = self.edges
        # Each utterance after the one before, so that one running maximum keeps all boundaries in order.
        shift = rows_of(lengths + 1) * (1 + joint.max(initial=0))
        votes = [np.where(abs(own - joint) <= _LOST_FRAMES, own, joint) + shift for own in streams]
        return np.mean([joint, *(np.maximum.accumulate(vote) - shift for vote in votes)], axis=0)

    def spread_frames(self) -> NDArray[np.float64]:
        """The standard deviation of each boundary by the mean of all posteriors, `[N + B]`: it is large, too,
        where these disagree.
        """
        return np.sqrt(np.mean(np.square(self.spreads), axis=0) + np.var(self.edges, axis=0))


def forced_alignment(
    encoder: Encoder,
    emissions: Emissions,
    features: PackedFeatures,
    tokens: PackedTokens,
    edges: bool = True,
    states: PackedStates | None = None,
) -> TokenDurations:
    """The frames of each token: of the joint emissions by their best path, which also decides which optional
    pauses there are; where there are several streams, boundaries by the mean over all paths.

    Args:
        encoder: Whose emissions these are.
        emissions: `[F, M]` for each feature stream.
        features: The packed features of the B utterances.
        tokens: Their tokens.
        edges: Whether these are wanted. Those of several streams take longer than all else.
        states: Of the tokens; None: the encoder's.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    states = states_of(encoder, features, tokens) if states is None else states
    path = align_states(emissions.joint[None], features, states)
    (joint,) = token_durations(path, states)
    if not edges:
        return TokenDurations(joint, (), (), path.log_likelihood)
    spoken = states.without((joint == 0)[states.token])
    if len(emissions.streams) == 1:
        found = posterior_edges((emissions.joint,), features, spoken, tokens.lengths)
        best = edges_of(joint, tokens.lengths).astype(np.float64)
        return TokenDurations(joint, (best,), (found.spread[0],), path.log_likelihood)
    every = (emissions.joint, *emissions.streams)
    found = posterior_edges(every, features, spoken, tokens.lengths)
    return TokenDurations(joint, tuple(found.mean), tuple(found.spread), path.log_likelihood)


def states_of(encoder: Encoder, features: PackedFeatures, tokens: PackedTokens) -> PackedStates:
    """The states of the tokens of B utterances.

    Args:
        encoder: Whose states these are.
        features: The packed features of the utterances.
        tokens: Their tokens.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    check_frames(features, tokens)
    return encoder.states(tokens, features.n_frames)


def check_frames(features: PackedFeatures, tokens: PackedTokens) -> None:
    """Check that every utterance has frames enough.

    Args:
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


def align_states(
    emissions: Tensor, features: PackedFeatures, states: PackedStates, check: bool = True
) -> StatePaths:
    """The best paths of each utterance through its states, one for each of R emissions, in one search.

    Args:
        emissions: `[R, F, M]`, of several feature streams or the joint ones.
        features: The packed features of the B utterances.
        states: Of their tokens.
        check: As of `best_paths`.

    Returns:
        The paths of R * B items: first those by the first emissions.
    """
    n_paths, n_frames = len(emissions), np.tile(features.n_frames, len(emissions))
    flat = emissions.flatten(0, 1)
    return best_paths(flat, starts_of(n_frames), n_frames, states.times(n_paths), check)


def token_durations(paths: StatePaths, states: PackedStates) -> Indices:
    """The frames of each token, `[R, N]`, by each of R paths.

    Args:
        paths: Through the states of N tokens.
        states: These. Each token has at least one.
    """
    by_state = paths.durations.cpu().numpy().reshape(-1, len(states.lengths), paths.durations.shape[1])
    first = np.flatnonzero(np.diff(states.token, prepend=-1))
    return np.add.reduceat(by_state[:, inside(states.lengths)], first, axis=1)
