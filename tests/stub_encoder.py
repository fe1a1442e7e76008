"""An encoder without a model, for tests of what comes after it: they make the emissions themselves.

F packed frames, S speech frames, M states.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from aligner.encoders.base import Encoder, StateSequence
from aligner.frontends.packed import PackedFeatures
from aligner.text.transcript import Transcript, Word
from aligner.text.vocabulary import Vocabulary


class StubEncoder(Encoder):
    """One state for the pause, `states` for every other symbol, in the vocabulary's order.

    Args:
        states: Of a phone.
        context_free: See `Encoder`.
    """

    def __init__(self, states: int = 1, context_free: bool = True) -> None:
        super().__init__()
        self.states = states
        self.context_free = context_free

    def state_sequence(self, token_ids: Sequence[int], n_frames: int) -> StateSequence:
        """All states of every token, however few frames there are."""
        pairs = [
            (1 + (token - 1) * self.states + part if token else 0, position)
            for position, token in enumerate(token_ids)
            for part in range(self.states if token else 1)
        ]
        return StateSequence([state for state, _ in pairs], [position for _, position in pairs])


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
