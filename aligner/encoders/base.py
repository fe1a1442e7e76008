"""What every encoder has in common: from tokens to the prior of each, and from there to emissions.

B batch, T text tokens, F packed frames, M states, C channels, V symbols.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from aligner.frontends.packed import PackedFeatures
from aligner.instantiate import Configurable
from aligner.text.transcript import Tokens


@dataclass(frozen=True)
class Emissions:
    """The log-likelihood of every frame in every state, for each feature stream.

    Args:
        streams: One `[F, M]` for each feature stream.
    """

    streams: tuple[Tensor, ...]

    @cached_property
    def joint(self) -> Tensor:
        """The mean over the streams, `[F, M]`: to a search, the product of their densities."""
        return torch.stack(self.streams).mean(0) if len(self.streams) > 1 else self.streams[0]


@dataclass(frozen=True)
class StateSequence:
    """The states that a token sequence is spoken in, one after the other.

    Args:
        states: The column of the emissions for each.
        token_of_state: The position in the token sequence that each belongs to.
    """

    states: list[int]
    token_of_state: list[int]

    def skippable(self, tokens: Tokens) -> list[bool]:
        """Which states may get no frame: those of tokens that may."""
        return [tokens.skippable[token] for token in self.token_of_state]


class Encoder(Configurable, nn.Module):
    """Tokens to priors. A child has one or several states a token and one or several feature streams."""

    #: Whether emissions hold for any token sequence, so that pronunciations can be compared under them.
    context_free: bool

    def emissions(self, features: PackedFeatures, token_ids: Sequence[Sequence[int]]) -> Emissions:
        """Log-likelihood of every frame in every state.

        Args:
            features: Packed features of B utterances.
            token_ids: The tokens of each. A context-free encoder does not look at them.
        """
        raise NotImplementedError

    def state_sequence(self, token_ids: Sequence[int], n_frames: int) -> StateSequence:
        """The states of one utterance's tokens, shortened to one a token where there are too few frames."""
        raise NotImplementedError

    def log_posteriors(self, features: PackedFeatures, emissions: Emissions) -> Tensor:
        """Log probability of every symbol at every frame, `[F, V]`.

        Args:
            features: Packed features.
            emissions: Of these features.
        """
        raise NotImplementedError
