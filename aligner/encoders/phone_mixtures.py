"""Priors that do not see their neighbours: every phone is a row of states, every state a Gaussian mixture.

F packed frames, C channels, M states, V symbols.

`aligner.encoders.glow_tts` moves these mixtures' means with the context: no better boundaries on the whole,
for more work (recipes/ljspeech/ABLATIONS.md). A single Gaussian a token that sees its neighbours is worse: it
can explain their frames as well, and boundaries drift while the likelihood improves.
"""

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from aligner.encoders.base import Emissions, Encoder, PackedStates
from aligner.encoders.gaussians import GaussianMixtures, log_sum_exp_
from aligner.encoders.silence import settle_surplus_
from aligner.errors import AlignerError
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, ranges, rows_of, sums_of
from aligner.text.packed import PackedTokens

# One regular expression each: three sizes of cepstra, and log-mels.
DEFAULT_STREAMS = (r"c\d+$", r"c[0-8]$", r"c[0-6]$", r"^(delta )?mel")
_NAMES_SHOWN = 20  # channels in an error


class StreamMixtures(nn.Module):
    """The mixtures of one feature stream: one state for the pause (symbol 0), a row for every other symbol.

    Args:
        vocab_size: Symbols, the pause first.
        channels: Indices of the features that make the stream.
        states: Of a phone.
        pause_factor: How many times as many Gaussians the pause, which is all the silence of a corpus in one
            state, has as a state of a phone.
    """

    channels: Tensor

    def __init__(self, vocab_size: int, channels: Sequence[int], states: int, pause_factor: int) -> None:
        super().__init__()
        self.pause_factor = pause_factor
        self.register_buffer("channels", torch.tensor(list(channels)))
        self.pause = GaussianMixtures(1, len(channels))
        self.phones = GaussianMixtures((vocab_size - 1) * states, len(channels))

    @property
    def mixtures(self) -> tuple[GaussianMixtures, GaussianMixtures]:
        """Those of the pause and of the phones."""
        return self.pause, self.phones

    def log_likelihood(self, frames: Tensor, out: Tensor) -> None:
        """Log density of frames `[F, C]` (all channels) in every state, into `out`, `[F, M]`."""
        own = frames[:, self.channels]
        self.pause.log_likelihood(own, out[:, :1])
        self.phones.log_likelihood(own, out[:, 1:])

    def accumulate(self, frames: Tensor, states: Tensor) -> None:
        """The E-step: add frames `[F, C]` (all channels), each spoken in its state `[F]`; -1: left out."""
        own = frames[:, self.channels]
        self.pause.accumulate(own, torch.where(states == 0, 0, -1))
        self.phones.accumulate(own, (states - 1).clamp(min=-1))

    def update(self, least_variance: float, remembered_frames: float = 0.0) -> None:
        """The M-step. Arguments as of `GaussianMixtures.update`."""
        for mixtures in self.mixtures:
            mixtures.update(least_variance, remembered_frames)

    def split(self, gaussians: int) -> None:
        """Grow to `gaussians` a state of a phone."""
        self.phones.split(gaussians)
        self.pause.split(gaussians * self.pause_factor if gaussians > 1 else 1)


class PhoneMixtures(Encoder):
    """Gaussian mixtures for three states a phone, in several feature streams trained side by side.

    Each stream finds its own boundaries. Their errors differ (log-mels put a boundary earlier than cepstra),
    so an alignment is made of the mean of their boundaries and those of the joint path.

    Args:
        vocab_size: Symbols, the pause first; V.
        channel_names: Of the frontend.
        streams: One regular expression a feature stream, searched for in the channel names. Fewer cepstra
            tell phones apart worse and speakers less.
        states: Of a phone.
        pause_factor: How many times as many Gaussians the pause has as a state of a phone.

    Raises:
        AlignerError: For a stream without channels.
    """

    context_free = True
    streams: nn.ModuleList

    def __init__(
        self,
        vocab_size: int,
        channel_names: Sequence[str],
        streams: Sequence[str] = DEFAULT_STREAMS,
        states: int = 3,
        pause_factor: int = 3,
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.states_per_phone = states
        chosen = [_channels_of(stream, channel_names) for stream in streams]
        self.streams = nn.ModuleList(
            StreamMixtures(vocab_size, channels, states, pause_factor) for channels in chosen
        )

    def emissions(self, features: PackedFeatures, tokens: PackedTokens | None = None) -> Emissions:
        """As of every encoder; M is 1 for the pause and `states` for every other symbol."""
        n_states = 1 + (self.vocab_size - 1) * self.states_per_phone
        result = features.frames.new_empty(len(self.streams), len(features.frames), n_states)
        for stream, own in zip(self.streams, result, strict=True):
            stream.log_likelihood(features.frames, own)  # type: ignore[operator]
        settle_surplus_(result, features.surplus)
        return Emissions(result)

    def states(self, tokens: PackedTokens, n_frames: Indices) -> PackedStates:
        """The states of each token. Where there are fewer frames, each phone's middle state alone."""
        is_phone = tokens.token_ids > 0
        n_states = np.where(is_phone, self.states_per_phone, 1)
        short = np.repeat(sums_of(n_states, tokens.lengths) > n_frames, tokens.lengths)
        n_states[short] = 1
        token = rows_of(n_states)
        part = ranges(np.where(short, self.states_per_phone // 2, 0), n_states)
        first = 1 + (tokens.token_ids - 1) * self.states_per_phone
        states = np.where(is_phone[token], first[token] + part, 0)
        return PackedStates(states, tokens.skippable[token], token, sums_of(n_states, tokens.lengths))

    def log_posteriors(self, features: PackedFeatures, emissions: Emissions) -> Tensor:
        """As of every encoder: of a phone, its states together."""
        joint = emissions.joint
        of_phones = joint[:, 1:].unflatten(1, (self.vocab_size - 1, self.states_per_phone))
        symbols = torch.cat([joint[:, :1], log_sum_exp_(of_phones.mT.contiguous(), 1)], 1)
        return symbols - log_sum_exp_(symbols.clone(), 1)[:, None]


def _channels_of(stream: str, channel_names: Sequence[str]) -> list[int]:
    try:
        channels = [i for i, name in enumerate(channel_names) if re.search(stream, name)]
    except re.error as error:
        raise AlignerError(f"streams: {stream!r} is not a regular expression ({error})") from error
    if not channels:
        names = list(channel_names[:_NAMES_SHOWN]) + ["..."] * (len(channel_names) > _NAMES_SHOWN)
        raise AlignerError(
            f"streams: {stream!r} matches none of the frontend's channels ({', '.join(names)}); "
            "choose streams that this frontend has"
        )
    return channels
