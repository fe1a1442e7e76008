"""What every encoder has in common: from tokens to the prior of each, and from there to emissions.

B batch, T text tokens, R feature streams, F packed frames, M states, C channels, V symbols.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from aligner.frontends.packed import PackedFeatures
from aligner.instantiate import Configurable
from aligner.ragged import Indices, sums_of
from aligner.text.packed import PackedTokens


@dataclass(frozen=True)
class Emissions:
    """The log-likelihood of every frame in every state, for each feature stream.

    Args:
        streams: `[R, F, M]`, of each of R feature streams.
    """

    streams: Tensor

    @cached_property
    def joint(self) -> Tensor:
        """The mean over the streams, `[F, M]`: to a search, the product of their densities."""
        return self.streams.mean(0) if len(self.streams) > 1 else self.streams[0]


@dataclass(frozen=True)
class PackedStates:
    """The states that the tokens of B utterances are spoken in, one utterance after the other; N states.

    Args:
        states: `[N]`, the column of the emissions for each.
        skippable: `[N]`, which may get no frame: those of tokens that may.
        token: `[N]`, the token that each belongs to, counted over the batch.
        lengths: `[B]`, states of each utterance.
    """

    states: Indices
    skippable: NDArray[np.bool_]
    token: Indices
    lengths: Indices

    @property
    def least_frames(self) -> Indices:
        """The frames that each utterance needs, `[B]`: one for each state that may not be skipped."""
        return sums_of(~self.skippable, self.lengths)

    def times(self, n: int) -> "PackedStates":
        """These states n times: for so many paths of each utterance."""
        return PackedStates(
            np.tile(self.states, n),
            np.tile(self.skippable, n),
            np.tile(self.token, n),
            np.tile(self.lengths, n),
        )

    def without(self, dropped: NDArray[np.bool_]) -> "PackedStates":
        """The states without some; each of the others must be visited.

        Args:
            dropped: Which of them, over all utterances.
        """
        kept = ~dropped
        own = sums_of(kept, self.lengths)
        return PackedStates(self.states[kept], np.zeros(own.sum(), np.bool_), self.token[kept], own)

    def rows(self, wanted: NDArray[np.bool_]) -> "PackedStates":
        """Those of some of the utterances.

        Args:
            wanted: `[B]`.
        """
        kept = np.repeat(wanted, self.lengths)
        return PackedStates(self.states[kept], self.skippable[kept], self.token[kept], self.lengths[wanted])


class Encoder(Configurable, nn.Module):
    """Tokens to priors. A child has one or several states a token and one or several feature streams.

    Who speaks stands in `PackedTokens.speakers`, for those that have a use for it.
    """

    #: Whether emissions hold for any token sequence, so that pronunciations can be compared under them.
    context_free: bool

    @property
    def without_context(self) -> "Encoder | None":
        """A context-free encoder that pronunciations are chosen by; None: the first of each word is taken."""
        return self if self.context_free else None

    def meet(self, speakers: Sequence[str]) -> None:
        """Learn of the speakers of the training corpus, before training. Most encoders treat all alike.

        Args:
            speakers: Their names, each once; possibly none.
        """

    def emissions(self, features: PackedFeatures, tokens: PackedTokens) -> Emissions:
        """Log-likelihood of every frame in every state.

        Args:
            features: Packed features of B utterances.
            tokens: The tokens of these. A context-free encoder does not look at them.
        """
        raise NotImplementedError

    def states(self, tokens: PackedTokens, n_frames: Indices) -> PackedStates:
        """The states of tokens, shortened to one a token in utterances with too few frames.

        Args:
            tokens: The tokens of B utterances.
            n_frames: `[B]`, of each utterance.
        """
        raise NotImplementedError

    def log_posteriors(self, features: PackedFeatures, emissions: Emissions) -> Tensor:
        """Log probability of every symbol at every frame, `[F, V]`.

        Args:
            features: Packed features.
            emissions: Of these features.
        """
        raise NotImplementedError
