"""An encoder without a model, for tests of what comes after it: they make the emissions themselves.

F packed frames, S speech frames, M states.
"""

import numpy as np
import torch
from torch import Tensor

from aligner.encoders.base import Encoder, PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices
from aligner.text.packed import PackedTexts, PackedTokens
from aligner.text.transcript import PAUSE, Tokens, Transcript, Word
from aligner.text.vocabulary import Vocabulary


class StubEncoder(Encoder):
    """One state for the pause, `states` for every other symbol, in the vocabulary's order.

    Args:
        states: Of a phone.
    """

    context_free = True

    def __init__(self, states: int = 1) -> None:
        super().__init__()
        self.states_per_phone = states

    def states(self, tokens: PackedTokens, n_frames: Indices) -> PackedStates:
        """All states of every token, however few frames there are."""
        token = [
            t for t, id in enumerate(tokens.token_ids) for _ in range(self.states_per_phone if id else 1)
        ]
        part = [part for id in tokens.token_ids for part in range(self.states_per_phone if id else 1)]
        ids = tokens.token_ids[token]
        states = np.where(ids > 0, 1 + (ids - 1) * self.states_per_phone + part, 0)
        owner = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)[token]
        lengths = np.bincount(owner, minlength=len(tokens.lengths))
        return PackedStates(states, tokens.skippable[token], np.array(token), lengths)


def emissions_of(vocabulary: Vocabulary, spoken: str, unlikely: float = -5.0) -> Tensor:
    """`[F, M]` for one state a symbol: 0 for the symbol spoken in a frame, `unlikely` for all others.

    Args:
        vocabulary: Its symbols have one letter, but for the pause.
        spoken: A letter a frame; "." for the pause.
        unlikely: Log-likelihood of the others.
    """
    states = [0 if letter == "." else vocabulary.index[letter] for letter in spoken]
    emissions = torch.full((len(spoken), len(vocabulary)), unlikely)
    return emissions.scatter(1, torch.tensor(states)[:, None], 0.0)


def features_of(*lengths: int) -> PackedFeatures:
    """Packed features of utterances with these numbers of frames, which nobody looks at."""
    return PackedFeatures.pack([torch.zeros(length, 1) for length in lengths])


def transcript_of(*words: str) -> Transcript:
    """A transcript of words whose phones have one letter; several pronunciations as in "ab|b"."""
    return Transcript(
        tuple(Word(word, tuple(tuple(variant) for variant in word.split("|"))) for word in words),
        ("",) * (len(words) + 1),
    )


def tokens_of(vocabulary: Vocabulary, *transcripts: Transcript, ids: tuple[str, ...] = ()) -> PackedTokens:
    """The tokens of transcripts with the first pronunciation of each word; named u1, u2, ... if not `ids`."""
    names = ids or tuple(f"u{number}" for number in range(1, len(transcripts) + 1))
    return PackedTexts.of(vocabulary, names, transcripts).tokens()


def packed(*tokens: Tokens) -> PackedTokens:
    """The tokens of several utterances; a phone's index is that of its letter."""
    symbols = [symbol for own in tokens for symbol in own.symbols]
    return PackedTokens(
        ("",) * len(tokens),
        np.array([0 if symbol == PAUSE else 1 + ord(symbol[0]) for symbol in symbols], np.int64),
        np.array([flag for own in tokens for flag in own.skippable], np.bool_),
        np.array([word for own in tokens for word in own.words], np.int64),
        np.array([len(own) for own in tokens], np.int64),
    )
