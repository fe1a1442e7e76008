"""Words in all their pronunciations, as states of the model: what searches for gaps go through.

Which pronunciation was chosen while all of a text was taken as said depends on where its words were then. A
"the" that stood in the wrong place sounds like that place; so where a gap is, all of them are tried again.

W words, V pronunciations, P phones of all of these, T states of all of these.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.encoders.base import Encoder
from aligner.ragged import Indices, ranges, starts_of, sums_of
from aligner.text.packed import PackedTexts
from mas.backends.cpu_threads import compiled

NEVER = -1e30  # the score of what cannot be
_ALWAYS_ENOUGH = np.iinfo(np.int64).max  # frames


@dataclass(frozen=True)
class WordStates:
    """Words in all their pronunciations.

    Args:
        states: `[T]`, the model's states of all pronunciations, in order; each takes a frame or more.
        first: `[V + 1]`, the first state of each pronunciation, and T.
        variants: `[W + 1]`, the first pronunciation of each word, and V.
        phones: `[T]`, which phone each state is of, counted over all pronunciations.
        phone_ids: `[P]`, the symbol of each of these.
        log_priors: `[V]`, the logarithm of each pronunciation's probability.
    """

    states: Indices
    first: Indices
    variants: Indices
    phones: Indices
    phone_ids: Indices
    log_priors: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.variants) - 1

    @property
    def arrays(self) -> tuple[Indices, Indices, Indices, NDArray[np.float64]]:
        """What compiled searches take: states, first, variants, log priors."""
        return self.states, self.first, self.variants, self.log_priors

    def part(self, first_word: int, end_word: int) -> "WordStates":
        """Some of the words; all is counted anew.

        Args:
            first_word: Of these.
            end_word: One after the last.
        """
        a, b = self.variants[first_word], self.variants[end_word]
        own = slice(self.first[a], self.first[b])
        phones = self.phones[own]
        first_phone, end_phone = (phones[0], phones[-1] + 1) if len(phones) else (0, 0)
        return WordStates(
            self.states[own],
            self.first[a : b + 1] - own.start,
            self.variants[first_word : end_word + 1] - a,
            phones - first_phone,
            self.phone_ids[first_phone:end_phone],
            self.log_priors[a:b],
        )

    def backwards(self) -> "WordStates":
        """The last word first, and of each the last state."""
        return WordStates(
            np.ascontiguousarray(self.states[::-1]),
            np.ascontiguousarray(len(self.states) - self.first[::-1]),
            np.ascontiguousarray(len(self.log_priors) - self.variants[::-1]),
            np.ascontiguousarray(self.phones[::-1]),
            self.phone_ids,
            np.ascontiguousarray(self.log_priors[::-1]),
        )

    def pronunciation(self, variant: int) -> tuple[int, ...]:
        """The symbols of a pronunciation.

        Args:
            variant: Which.
        """
        first, last = self.phones[[self.first[variant], self.first[variant + 1] - 1]]
        return tuple(self.phone_ids[first : last + 1].tolist())


def word_states(
    encoder: Encoder, texts: PackedTexts, slots: Indices, n_words: Indices, is_short: NDArray[np.bool_]
) -> list[WordStates]:
    """The words of several parts of texts.

    Args:
        encoder: A context-free one.
        texts: Texts that are no tokens of the user's own: each slot but the last of a text is a word.
        slots: Those of all parts, one part after the other.
        n_words: Of each part.
        is_short: Of which parts each phone has one state, for there are too few frames.
    """
    n_variants = texts.slot_variants[slots]
    variants = ranges(starts_of(texts.slot_variants)[slots], n_variants)
    n_tokens, of_part = texts.variant_tokens[variants], sums_of(n_variants, n_words)
    tokens = texts.spoken(("",) * len(n_words), variants, n_tokens, of_part)
    found = encoder.states(tokens, np.where(is_short, 0, _ALWAYS_ENOUGH))
    spoken = tokens.is_phone[found.token]  # each pronunciation has the pause before it
    states, token = found.states[spoken], found.token[spoken]
    phone = np.cumsum(tokens.is_phone) - 1
    first = np.searchsorted(token, np.append(starts_of(n_tokens), len(tokens)))
    every = WordStates(
        states,
        first,
        np.append(starts_of(n_variants), len(variants)),
        phone[token],
        tokens.token_ids[tokens.is_phone],
        texts.log_priors[variants],
    )
    ends = np.cumsum(n_words).tolist()
    return [every.part(a, b) for a, b in zip([0, *ends], ends, strict=False)]


@compiled
def end_words(
    score: NDArray[np.float64],
    first: Indices,
    variants: Indices,
    ended: NDArray[np.float64],
    ended_as: NDArray[np.int32],
) -> None:
    """After a frame, the best score with which each word has ended, and in which pronunciation.

    Args:
        score: `[T]`, of each state.
        first: As of `WordStates`.
        variants: Likewise.
        ended: `[W + 1]`, written: of word j - 1. The first is left as it is.
        ended_as: `[W + 1]`, written: its pronunciation.
    """
    for j in range(1, len(variants)):
        ended[j] = NEVER
        for v in range(variants[j - 1], variants[j]):
            if score[first[v + 1] - 1] > ended[j]:
                ended[j] = score[first[v + 1] - 1]
                ended_as[j] = v
