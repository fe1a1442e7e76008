"""Glow-TTS's text encoder as an aligner's: phones whose Gaussian mixtures move with the context.

B batch, T text tokens, F packed frames, R feature streams, C channels of a stream, V symbols, P phones of the
texts, N = P * states of their states, W columns.

Source: Kim et al., "Glow-TTS", 2020, section 3.3. There a token has one Gaussian, over log-mels, and nothing
to start from. Its boundaries were far worse than those of mixtures, with context or without it; over mixtures
context does no harm (recipes/ljspeech/ABLATIONS.md).

Who speaks: Glow-TTS tells its durations and its flow, not the text's Gaussians, and so does VITS (models.py
of jaywalnut310/glow-tts and of jaywalnut310/vits). Without a flow the Gaussians must know. Matcha-TTS appends
the speaker's vector between the prenet and the transformer (shivammehta25/Matcha-TTS,
matcha/models/components/text_encoder.py), VITS2 adds it before the transformer's third layer
(p0p4k/vits2_pytorch, attentions.py). Here it is added to the embedding, before the prenet: without a
transformer nothing after the prenet mixes phone and speaker, and what moves all phones alike is taken off
each recording with its mean.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aligner.devices import on_device
from aligner.encoders.base import Emissions, Encoder, PackedStates
from aligner.encoders.blocks import MOST_COLUMNS, Blocks, whole_texts, windows
from aligner.encoders.contextual import ContextualStream
from aligner.encoders.phone_mixtures import DEFAULT_STREAMS, PhoneMixtures
from aligner.encoders.silence import settle_surplus_
from aligner.encoders.speakers import SpeakerVectors
from aligner.encoders.text_encoder import TextEncoder
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, starts_of, sums_of
from aligner.text.packed import PackedTokens


class GlowTTSEncoder(Encoder):
    """Phone mixtures, and Glow-TTS's text encoder, which moves the means of each token's states.

    The mixtures without context (`mixtures`) are where training starts. They choose pronunciations, judge how
    well a phone was said and know the pause, which has no context.

    Args:
        vocab_size: Symbols, the pause first; V.
        channel_names: Of the frontend.
        streams: One regular expression a feature stream, as of `PhoneMixtures`.
        states: Of a phone.
        gaussians: Of a phone's state.
        pause_factor: As of `PhoneMixtures`.
        hidden: Width of the text encoder.
        heads: Attention heads.
        layers: Transformer layers, 0 for none.
        filter_channels: Width of the convolutions in each layer.
        kernel: Of those convolutions, odd.
        prenet_layers: Convolutions of width 5 before the transformer, 0 for none.
        relative_window: How many positions either side have relative-position embeddings of their own.
        dropout: In the transformer.
        prenet_dropout: In the prenet.
        context_tokens: How many neighbours either side a token's prior may depend on; null for the whole
            sentence. With r, every token is encoded anew from nothing but the 2r + 1 tokens around it, so
            the work grows by that factor.
        speakers: Names of speakers who have a learnt vector each; everybody else has one more. null for those
            of the training corpus, if there are at least two; [] for none.

    Raises:
        AlignerError: For a stream without channels.
        ValueError: For sizes that do not fit each other.
    """

    context_free = False
    streams: nn.ModuleList

    def __init__(
        self,
        vocab_size: int,
        channel_names: Sequence[str],
        streams: Sequence[str] = DEFAULT_STREAMS,
        states: int = 3,
        gaussians: int = 4,
        pause_factor: int = 3,
        hidden: int = 192,
        heads: int = 2,
        layers: int = 6,
        filter_channels: int = 768,
        kernel: int = 3,
        prenet_layers: int = 3,
        relative_window: int = 4,
        dropout: float = 0.1,
        prenet_dropout: float = 0.5,
        context_tokens: int | None = None,
        speakers: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("states", states), ("gaussians", gaussians), ("pause_factor", pause_factor)):
            if value < 1:
                raise ValueError(f"{name} ({value}) must be at least 1")
        if states > MOST_COLUMNS // 4:
            raise ValueError(f"states ({states}) must be at most {MOST_COLUMNS // 4}")
        self.vocab_size = vocab_size
        self.states_per_phone = states
        self.gaussians = gaussians
        self.mixtures = PhoneMixtures(vocab_size, channel_names, streams, states, pause_factor)
        self.text_encoder = TextEncoder(
            vocab_size, hidden, heads, layers, filter_channels, kernel, prenet_layers, relative_window,
            dropout, prenet_dropout, context_tokens,
        )  # fmt: skip
        self.streams = nn.ModuleList(
            ContextualStream(hidden, vocab_size, stream.channels, states, gaussians)  # type: ignore[arg-type]
            for stream in self.mixtures.streams
        )
        self.speaker_vectors = SpeakerVectors(speakers, hidden) if speakers else None

    def meet(self, speakers: Sequence[str]) -> None:
        """As of every encoder: of two or more, each gets a vector, unless the settings say who does."""
        if self._arguments["speakers"] is None and len(speakers) > 1:
            self._arguments["speakers"] = list(speakers)  # what a checkpoint has to say
            self.speaker_vectors = SpeakerVectors(speakers, self.text_encoder.hidden)

    def configuration(self) -> dict[str, Any]:
        """As of everything configurable; of speakers only where they have vectors, so that what was trained
        before there were any, or without, says the same and can be resumed.
        """
        found = super().configuration()
        if self.speaker_vectors is None:
            del found["init_args"]["speakers"]
        return found

    @property
    def without_context(self) -> PhoneMixtures:
        """As of every encoder: the mixtures that training started from."""
        return self.mixtures

    def start_from_mixtures(self) -> None:
        """Take on the mixtures without context as they are now, which have as many Gaussians or fewer."""
        for own, stream in zip(self.streams, self.mixtures.streams, strict=True):
            stream.split(self.gaussians)  # type: ignore[operator]
            own.start_from(stream.phones)  # type: ignore[operator]

    def forward(self, token_ids: Tensor, text_lengths: Tensor, speakers: Sequence[str] = ()) -> list[Tensor]:
        """What the context adds to the means of the phones' states, `[N, C]` for each of R streams.

        Args:
            token_ids: int64 `[B, T]`, 0 for the pause. What stands in the padding does not matter.
            text_lengths: `[B]`, tokens of each sentence.
            speakers: Of each sentence; none, if nobody is known.

        Raises:
            ValueError: For other shapes.
        """
        voices = None
        if self.speaker_vectors is not None:
            voices = self.speaker_vectors(speakers or [""] * len(token_ids))
        encoded = self.text_encoder(token_ids, text_lengths, voices)
        position = torch.arange(token_ids.shape[1], device=token_ids.device)
        encoded = encoded[(token_ids > 0) & (position < text_lengths.to(token_ids.device)[:, None])]
        return [stream.offsets(encoded) for stream in self.streams]  # type: ignore[operator]

    def offsets(self, tokens: PackedTokens, device: torch.device) -> list[Tensor]:
        """As `forward`, of packed tokens."""
        token_ids = on_device(tokens.padded(), device)
        return self(token_ids, on_device(tokens.lengths, device), tokens.speakers)

    def symbols(self, tokens: PackedTokens, device: torch.device) -> Tensor:
        """Which of the phones' states in the model each state of the texts is, `[N]`."""
        first = (tokens.token_ids[tokens.is_phone] - 1) * self.states_per_phone
        symbols = first[:, None] + np.arange(self.states_per_phone)
        return on_device(symbols.ravel(), device)

    def emissions(self, features: PackedFeatures, tokens: PackedTokens) -> Emissions:
        """`[F, 1 + W]`: the pause, then the states of the phones of the frame's own text, see `blocks`."""
        return self.emissions_of(features, tokens, self.offsets(tokens, features.frames.device))

    @torch.no_grad()
    def emissions_of(
        self, features: PackedFeatures, tokens: PackedTokens, offsets: Sequence[Tensor]
    ) -> Emissions:
        """As `emissions`, for offsets that are known."""
        symbols = self.symbols(tokens, features.frames.device)
        blocks = self._blocks(features, tokens).to(features.frames.device)
        shape = len(self.streams), len(features.frames), 1 + blocks.states.shape[1]
        result = features.frames.new_empty(shape)
        for stream, mixtures, own, out in zip(
            self.streams, self.mixtures.streams, offsets, result, strict=True
        ):
            frames = features.frames[:, stream.channels]  # type: ignore[index]
            mixtures.pause.log_likelihood(frames, out[:, :1])  # type: ignore[union-attr,operator]
            stream.log_likelihood(frames, own, symbols, blocks, out[:, 1:])  # type: ignore[operator]
            of_no_state = out == -math.inf  # and so no path's in silence either
            settle_surplus_(out, features.surplus)
            out.masked_fill_(of_no_state, -math.inf)
        return Emissions(result)

    def states(self, tokens: PackedTokens, n_frames: Indices) -> PackedStates:
        """As of the mixtures, but every phone of a text has columns of its own."""
        states = self.mixtures.states(tokens, n_frames)
        return replace(
            states, states=1 + np.where(states.states > 0, self._places(tokens, states) % self._columns, -1)
        )

    def log_posteriors(self, features: PackedFeatures, emissions: Emissions) -> Tensor:
        """As of every encoder, by the mixtures without context."""
        return self.mixtures.log_posteriors(features, self.mixtures.emissions(features))

    @property
    def _columns(self) -> int:
        """The most that an utterance has, besides that of the pause."""
        return MOST_COLUMNS // self.states_per_phone * self.states_per_phone

    def _places(self, tokens: PackedTokens, states: PackedStates) -> Indices:
        """Which state of its text's phones each of the mixtures' states is, -1 for a pause."""
        before: Indices = (
            np.cumsum(tokens.is_phone) - tokens.is_phone
        )  # phones of the batch before each token
        first = np.repeat(starts_of(sums_of(tokens.is_phone, tokens.lengths)), tokens.lengths)
        part = (states.states - 1) % self.states_per_phone
        place = (before - first)[states.token] * self.states_per_phone + part
        return np.where(states.states > 0, place, -1)

    def _blocks(self, features: PackedFeatures, tokens: PackedTokens) -> Blocks:
        n_states = sums_of(tokens.is_phone, tokens.lengths) * self.states_per_phone
        if n_states.max(initial=0) <= self._columns:
            return whole_texts(n_states, features.n_frames)
        emissions, states = (
            self.mixtures.emissions(features).joint,
            self.mixtures.states(tokens, features.n_frames),
        )
        place = self._places(tokens, states)
        return windows(self._columns, self.states_per_phone, n_states, emissions, features, states, place)
