"""Where two spoken tokens of an utterance meet, with or without tokens of no extent between them.

B batch, N tokens. Boundaries are packed: of each utterance one more than it has tokens, N + B in all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices, ranges, rows_of
from aligner.text.packed import PackedTokens


@dataclass(frozen=True)
class Meetings:
    """n pairs of tokens with an extent that follow each other in one utterance.

    Args:
        utterance: `[n]`, of each pair.
        start_s: `[n]`, where the first of the pair starts.
        edge_s: `[n]`, where they meet.
        end_s: `[n]`, where the second ends.
        before_is_pause: `[n]`, whether the first is a pause.
        after_is_pause: `[n]`, whether the second is.
        first: `[n]`, the first of the boundaries that lie where they meet.
        last: `[n]`, the last of them.
    """

    utterance: Indices
    start_s: NDArray[np.float64]
    edge_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    before_is_pause: NDArray[np.bool_]
    after_is_pause: NDArray[np.bool_]
    first: Indices
    last: Indices

    @classmethod
    def of(cls, tokens: PackedTokens, boundaries_s: NDArray[np.float64]) -> "Meetings":
        """All of a batch.

        Args:
            tokens: N tokens of B utterances.
            boundaries_s: `[N + B]`.
        """
        utterance = rows_of(tokens.lengths)
        start = np.arange(len(tokens)) + utterance  # the boundary before each token
        spoken = np.flatnonzero(boundaries_s[start + 1] > boundaries_s[start])
        together = utterance[spoken[:-1]] == utterance[spoken[1:]]
        before, after = spoken[:-1][together], spoken[1:][together]
        is_pause = ~tokens.is_phone
        return cls(
            utterance[before],
            boundaries_s[start[before]],
            boundaries_s[start[after]],
            boundaries_s[start[after] + 1],
            is_pause[before],
            is_pause[after],
            start[before] + 1,
            start[after],
        )

    @property
    def before(self) -> Indices:
        """`[n]`, the first token of each pair, counted over the batch."""
        return self.first - self.utterance - 1

    @property
    def after(self) -> Indices:
        """`[n]`, the second token of each pair, counted over the batch."""
        return self.last - self.utterance

    def in_the_middle(self, times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which times `[n, K]` lie between the middles of the two tokens."""
        low, high = (self.start_s + self.edge_s) / 2, (self.edge_s + self.end_s) / 2
        return (times_s >= low[:, None]) & (times_s <= high[:, None])

    def where(self, wanted: NDArray[np.bool_]) -> "Meetings":
        """Some of them.

        Args:
            wanted: `[n]`.
        """
        return Meetings(**{name: values[wanted] for name, values in vars(self).items()})

    def moved(self, boundaries_s: NDArray[np.float64], edge_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The boundaries with these elsewhere; tokens of no extent between the two move along.

        Args:
            boundaries_s: `[N + B]`.
            edge_s: `[n]`, where the tokens are to meet.
        """
        count = self.last - self.first + 1
        result = boundaries_s.copy()
        result[ranges(self.first, count)] = np.repeat(edge_s, count)
        return result
