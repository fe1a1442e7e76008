"""From audio to the frames of each token: features, scores, pronunciations, the search.

B batch, T tokens, N samples, S frames of the longest utterance, F frames of a batch one after the other, C
channels, M states, V symbols.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import mas
from aligner.encoders.glow_tts import TextEncoder
from aligner.encoders.phone_mixtures import PhoneMixtures
from aligner.errors import AlignerError
from aligner.frontends.base import Frontend
from aligner.search.pronunciation import choose_variants
from aligner.search.viterbi import Paths, best_paths
from aligner.text.transcript import Tokens, Transcript

_VARIANT_ROUNDS = 2  # a word's variant depends on its neighbours'; a third round changes next to nothing
_SCORED_AT_ONCE = 8192  # frames


@dataclass
class Speech:
    """The features of a batch, frames of all utterances one after the other.

    features: `[F, C]`. starts, lengths: `[B]`, each utterance's first frame and number of frames.
    """

    features: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, utterances: Sequence[Tensor]) -> "Speech":
        """Of the features `[S, C]` of each utterance."""
        lengths = torch.tensor([len(item) for item in utterances], device=utterances[0].device)
        return cls(torch.cat(list(utterances)), lengths.cumsum(0) - lengths, lengths)

    def utterances(self) -> list[Tensor]:
        """The features `[S, C]` of each utterance."""
        return list(self.features.split(self.lengths.tolist()))


class Locator:
    """Finds which frames each token of a text gets, by a frontend's features and an encoder's scores.

    symbols: the vocabulary. Frontend and encoder stay their owner's, who trains, moves and saves them.
    """

    def __init__(
        self, frontend: Frontend, encoder: PhoneMixtures | TextEncoder, symbols: Sequence[str]
    ) -> None:
        self.frontend = frontend
        self.encoder = encoder
        self.symbols = tuple(symbols)
        self.token_ids = {symbol: index for index, symbol in enumerate(symbols)}

    def speech(self, audio: Tensor, audio_lengths: Tensor) -> Speech:
        """Features of `[B, N]`, each utterance's own mean taken off (the microphone, and much of the
        speaker).
        """
        features, lengths = self.frontend(audio, audio_lengths)
        items = [item[:length] for item, length in zip(features, lengths.tolist(), strict=True)]
        return Speech.of([item - item.mean(0) for item in items])

    def scores(self, speech: Speech, transcripts: Sequence[Transcript], ids: Sequence[str]) -> list[Tensor]:
        """Scores `[F, M]` of each member of the mixtures; of a TextEncoder, whose states are the first
        variants' tokens of the batch, `[F, B * T]`.
        """
        if isinstance(self.encoder, PhoneMixtures):
            return [member.scores(speech.features) for member in self.encoder.members]  # type: ignore[operator]
        token_ids, lengths = self._padded_token_ids([t.tokens() for t in transcripts], ids, speech)
        mean, log_scale = (prior.flatten(0, 1)[None] for prior in self.encoder(token_ids, lengths))
        some = speech.features.split(_SCORED_AT_ONCE)
        return [torch.cat([mas.log_likelihood(mean, log_scale, frames[None])[0].T for frames in some])]

    def symbol_posteriors(self, speech: Speech, scores: Tensor) -> Tensor:
        """Log probability of every symbol at every frame, `[F, V]`, from the scores `[F, M]` of a mixture.

        A TextEncoder is asked for the prior of each symbol standing alone.
        """
        if isinstance(self.encoder, PhoneMixtures):
            log_states = scores.log_softmax(1)
            phones = log_states[:, 1:].unflatten(1, (len(self.symbols) - 1, self.encoder.states)).logsumexp(2)
            return torch.cat([log_states[:, :1], phones], 1)
        alone = torch.arange(len(self.symbols), device=speech.features.device)[:, None]
        mean, log_scale = self.encoder(alone, torch.ones_like(alone[:, 0]))
        likelihood = mas.log_likelihood(mean[:, 0][None], log_scale[:, 0][None], speech.features[None])[0]
        return likelihood.T.log_softmax(1)

    def choose_variants(
        self, scores: Tensor, speech: Speech, transcripts: Sequence[Transcript], ids: Sequence[str]
    ) -> list[tuple[int, ...]]:
        """The likeliest pronunciation of each word of each utterance.

        A TextEncoder takes the first of each word: its scores hold for one token sequence alone.
        """
        chosen = [(0,) * len(transcript.words) for transcript in transcripts]
        if isinstance(self.encoder, TextEncoder):
            return chosen
        for _ in range(_VARIANT_ROUNDS):
            tokens = [t.tokens(v) for t, v in zip(transcripts, chosen, strict=True)]
            owned = self.durations(scores, speech, tokens, ids)
            spans = [
                _word_spans(item, durations, start)
                for item, durations, start in zip(tokens, owned, speech.starts.tolist(), strict=True)
            ]
            before = chosen
            chosen = choose_variants(scores, spans, transcripts, chosen, self.states_of)
            if chosen == before:
                break
        return chosen

    def states_of(self, tokens: Tokens, n_frames: int) -> tuple[list[int], list[int]]:
        """The mixtures' states of a token sequence, and for each state the token that owns it."""
        assert isinstance(self.encoder, PhoneMixtures)
        return self.encoder.states_of([self.token_ids[symbol] for symbol in tokens.symbols], n_frames)

    def paths(
        self, scores: Tensor, speech: Speech, tokens: Sequence[Tokens], ids: Sequence[str]
    ) -> tuple[Paths, list[list[int]]]:
        """The best path of every utterance, and for each of its states the token that owns it.

        Raises AlignerError, naming the utterance, for more tokens than frames and for unknown symbols.
        """
        states, owners, skippable = [], [], []
        widest = max(len(item) for item in tokens)
        for index, (item, id, n_frames) in enumerate(zip(tokens, ids, speech.lengths.tolist(), strict=True)):
            needed = len(item) - sum(item.skippable)
            if needed > n_frames:
                raise AlignerError(
                    f"{id}: {needed} tokens in {n_frames} frames; is this the text of this audio?"
                )
            self._check_symbols(item, id)
            if isinstance(self.encoder, TextEncoder):
                own = list(range(len(item)))
                states.append([index * widest + t for t in own])
            else:
                sequence, own = self.states_of(item, n_frames)
                states.append(sequence)
            owners.append(own)
            skippable.append([item.skippable[owner] for owner in own])
        return best_paths(scores, speech.starts, speech.lengths, states, skippable), owners

    def durations(
        self, scores: Tensor, speech: Speech, tokens: Sequence[Tokens], ids: Sequence[str]
    ) -> list[NDArray[np.int64]]:
        """Frames of each token `[T]`, for every utterance. Raises as `paths`."""
        paths, owners = self.paths(scores, speech, tokens, ids)
        rows = paths.durations.cpu().numpy()
        return [
            np.bincount(own, row[: len(own)], minlength=len(item)).astype(np.int64)
            for row, own, item in zip(rows, owners, tokens, strict=True)
        ]

    def _padded_token_ids(
        self, tokens: Sequence[Tokens], ids: Sequence[str], speech: Speech
    ) -> tuple[Tensor, Tensor]:
        rows = []
        for item, id in zip(tokens, ids, strict=True):
            self._check_symbols(item, id)
            rows.append(torch.tensor([self.token_ids[symbol] for symbol in item.symbols]))
        device = speech.features.device
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        return padded, torch.tensor([len(row) for row in rows], device=device)

    def _check_symbols(self, tokens: Tokens, id: str) -> None:
        unknown = sorted(set(tokens.symbols) - set(self.token_ids))
        if unknown:
            raise AlignerError(
                f"{id}: the aligner has not learnt {', '.join(unknown)}; it knows {', '.join(self.symbols)}"
            )


def _word_spans(tokens: Tokens, durations: NDArray[np.int64], start: int) -> list[tuple[int, int]]:
    edges = start + np.concatenate([[0], np.cumsum(durations)])
    spans: dict[int, tuple[int, int]] = {}
    for t, word in enumerate(tokens.words):
        if word >= 0:
            spans[word] = (spans.get(word, (int(edges[t]), 0))[0], int(edges[t + 1]))
    return [spans[word] for word in sorted(spans)]
