"""Forced alignment: the frames of each token of a given text.

B batch, T text tokens, F packed frames, M states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.encoders.base import Emissions, Encoder, StateSequence
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.search.viterbi import StatePaths, best_paths
from aligner.text.vocabulary import Reading

Durations = NDArray[np.int64]


@dataclass(frozen=True)
class TokenDurations:
    """The frames of each token of one utterance.

    Args:
        joint: `[T]`, by the joint path.
        per_stream: `[T]` each, by the path of each feature stream where there are several.
    """

    joint: Durations
    per_stream: tuple[Durations, ...]

    def boundaries_frames(self) -> NDArray[np.float64]:
        """The boundaries around the tokens in frames, `[T + 1]`: the mean over all paths.

        The joint path has one vote beside those of the streams.
        """
        paths = (self.joint, *self.per_stream)
        return np.mean([np.concatenate([[0], np.cumsum(durations)]) for durations in paths], axis=0)


def forced_alignment(
    encoder: Encoder, emissions: Emissions, features: PackedFeatures, readings: Sequence[Reading]
) -> list[TokenDurations]:
    """The frames of each token of each utterance, by the joint path and by each stream's own.

    Args:
        encoder: Whose emissions these are.
        emissions: `[F, M]` for each feature stream.
        features: The packed features of the B utterances.
        readings: Their tokens.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    joint = align_tokens(encoder, emissions.joint, features, readings)
    streams = emissions.streams if len(emissions.streams) > 1 else ()
    per_stream = [align_tokens(encoder, stream, features, readings) for stream in streams]
    return [TokenDurations(own, tuple(rows[b] for rows in per_stream)) for b, own in enumerate(joint)]


def align_tokens(
    encoder: Encoder, emissions: Tensor, features: PackedFeatures, readings: Sequence[Reading]
) -> list[Durations]:
    """Frames of each token, `[T]`, of each utterance, by one path. Arguments as of `align_states`."""
    paths, sequences = align_states(encoder, emissions, features, readings)
    rows = paths.durations.cpu().numpy()
    return [
        np.bincount(own.token_of_state, row[: len(own.token_of_state)], minlength=len(reading.tokens)).astype(
            np.int64
        )
        for row, own, reading in zip(rows, sequences, readings, strict=True)
    ]


def align_states(
    encoder: Encoder, emissions: Tensor, features: PackedFeatures, readings: Sequence[Reading]
) -> tuple[StatePaths, list[StateSequence]]:
    """The best path of each utterance through the states of its tokens, and those states.

    Args:
        encoder: Whose emissions these are.
        emissions: `[F, M]`, of one feature stream or the joint ones.
        features: The packed features of the B utterances.
        readings: Their tokens.

    Raises:
        AlignerError: For more tokens than frames, naming the utterance.
    """
    sequences, skippable = [], []
    for reading, n_frames in zip(readings, features.lengths.tolist(), strict=True):
        tokens = reading.tokens
        if tokens.least_frames > n_frames:
            raise AlignerError(
                f"{reading.id}: {tokens.least_frames} tokens in {n_frames} frames; "
                "is this the text of this audio?"
            )
        sequence = encoder.state_sequence(reading.token_ids, n_frames)
        sequences.append(sequence)
        skippable.append(sequence.skippable(tokens))
    states = [sequence.states for sequence in sequences]
    return best_paths(emissions, features.starts, features.lengths, states, skippable), sequences
