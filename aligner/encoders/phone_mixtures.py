"""Priors that do not see their neighbours: every phone is a row of states, every state a Gaussian mixture.

B batch, T tokens, F frames of a batch one after the other, C channels, M states.

Why not the Glow-TTS encoder alone (`aligner.encoders.glow_tts`): a token's Gaussian that depends on the neighbouring
tokens can explain their frames as well, and boundaries drift while the likelihood improves. A phone's own
mixture cannot.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aligner.encoders.gaussians import GaussianMixtures
from aligner.errors import AlignerError


class PhoneMixture(nn.Module):
    """One state for the pause (symbol 0), `states` in a row for every other symbol.

    channels: indices of the features this mixture looks at. The pause, one state for all the silence of a
    corpus, has `pause_factor` times as many components as a state of a phone.
    """

    channels: Tensor

    def __init__(
        self, vocab_size: int, channels: Sequence[int], states: int, max_components: int, pause_factor: int
    ) -> None:
        super().__init__()
        self.states = states
        self.pause_factor = pause_factor
        self.register_buffer("channels", torch.tensor(list(channels)))
        self.pause = GaussianMixtures(1, len(channels), max_components * pause_factor)
        self.phones = GaussianMixtures((vocab_size - 1) * states, len(channels), max_components)

    @property
    def n_states(self) -> int:
        """M."""
        return 1 + self.phones.mean.shape[0]

    def scores(self, features: Tensor) -> Tensor:
        """Log density of every state `[F, M]`, of features `[F, all channels]`."""
        frames = features[:, self.channels]
        return torch.cat([self.pause.scores(frames), self.phones.scores(frames)], 1)

    def accumulate(self, features: Tensor, states: Tensor) -> None:
        """Add frames, each spoken in its state `[F]`, to the statistics."""
        frames = features[:, self.channels]
        for mixtures, chosen, offset in (
            (self.pause, states == 0, 0),
            (self.phones, states > 0, 1),
        ):
            mixtures.accumulate(frames[chosen], states[chosen] - offset)

    def update(self, least_variance: float) -> None:
        """The M-step of every mixture. least_variance: of a component in any channel."""
        self.pause.update(least_variance)
        self.phones.update(least_variance)

    def split(self, components: int) -> None:
        """Grow to `components` a state of a phone."""
        self.phones.split(components)
        self.pause.split(components * self.pause_factor if components > 1 else 1)


class PhoneMixtures(nn.Module):
    """Several mixtures with different views of the features, trained side by side.

    Each member finds its own boundaries; their errors differ (log-mels put a boundary earlier than cepstra),
    so an alignment is made of their mean. vocab_size: symbols, the pause first. channel_names: of the
    frontend. views: one regular expression a member over the channel names; fewer cepstra tell phones apart
    worse and speakers less. states: a phone.
    components: Gaussians of a state in each epoch of training. pause_factor: how many times as many the pause
    has. variant_epoch: the first epoch whose alignments choose among pronunciations.
    """

    def __init__(
        self,
        vocab_size: int,
        channel_names: Sequence[str],
        views: Sequence[str] = (r"c\d+$", r"c[0-8]$", r"c[0-6]$", r"^(delta )?mel"),
        states: int = 3,
        components: Sequence[int] = (1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 6, 6),
        pause_factor: int = 3,
        variant_epoch: int = 6,
    ) -> None:
        super().__init__()
        self.states = states
        self.components = tuple(components)
        self.variant_epoch = variant_epoch
        chosen = [[i for i, name in enumerate(channel_names) if re.search(view, name)] for view in views]
        for view, channels in zip(views, chosen, strict=True):
            if not channels:
                raise AlignerError(f"views: {view!r} matches none of {', '.join(channel_names)}")
        self.members = nn.ModuleList(
            PhoneMixture(vocab_size, channels, states, max(components), pause_factor) for channels in chosen
        )

    @property
    def n_states(self) -> int:
        """M."""
        return self.members[0].n_states  # type: ignore[return-value,union-attr]

    @property
    def epochs(self) -> int:
        """Epochs that training takes."""
        return len(self.components)

    def states_of(self, token_ids: Sequence[int], n_frames: int) -> tuple[list[int], list[int]]:
        """For a token sequence its states, and for each state the token it belongs to.

        An utterance too short for a frame a state takes the middle state of each phone alone.
        """
        states, owners = [], []
        n_states = sum(self.states if token else 1 for token in token_ids)
        parts = range(self.states) if n_states <= n_frames else (self.states // 2,)
        for position, token in enumerate(token_ids):
            own = [1 + (token - 1) * self.states + part for part in parts] if token else [0]
            states += own
            owners += [position] * len(own)
        return states, owners


def mean_scores(scores: Sequence[Tensor]) -> Tensor:
    """The mean of the members' scores, each `[F, M]`: as a search sees it, the product of their densities."""
    return torch.stack(list(scores)).mean(0) if len(scores) > 1 else scores[0]
