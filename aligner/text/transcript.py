"""Transcripts: what is said in one utterance, as words with their pronunciations and the places of pauses.

A transcript is what `aligner prepare` stores and what alignment starts from. `Transcript.tokens` gives the
sequence that the search runs over.

T text tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

PAUSE = "sil"  # the pause token; every consumer may rename it, none may drop it
GAP = "spn"  # speech that the text lacks: what Kaldi and MFA call noise and unknown words

_PAUSES = {"", PAUSE, "sp", "pau", "epi", "h#", "#h", "_", "<eps>", "<sil>", "<p>", "<blank>", "silence"}
_PUNCTUATION = set(';:,.!?¡¿—–-…"«»“”„()[] ')  # not all there is: @, { and & are phones in X-SAMPA
_ENDS_A_SENTENCE = set(".!?…:;¡¿。！？।؟")

Variants = tuple[tuple[str, ...], ...]  # the pronunciations of a word, each the phones of it


@lru_cache(maxsize=65536)  # asked of every token and word, which are the same few over and over
def is_pause(symbol: str) -> bool:
    """Whether a symbol denotes silence: a pause in any common notation, a blank, punctuation.

    "spn" (noise or an unknown word, in Kaldi's and MFA's notation) is not a pause: somebody speaks.

    Args:
        symbol: A token, as an alignment or a reference spells it.
    """
    return symbol.lower() in _PAUSES or _PUNCTUATION.issuperset(symbol)


@dataclass(frozen=True)
class Word:
    """One written word and its pronunciations.

    Args:
        text: The word as written.
        variants: Its pronunciations, each a tuple of phones, the most usual first; at least one.
        source: Where they are from: "lexicon", "g2p" (guessed, because the lexicon lacks the word) or
            "given" (the user's own tokens).
        log_priors: The natural logarithm of each one's probability; () if that is not known.
    """

    text: str
    variants: Variants
    source: str = "lexicon"
    log_priors: tuple[float, ...] = ()


@dataclass(frozen=True)
class Tokens:
    """The T tokens of one utterance that the search aligns.

    Args:
        symbols: The phone or pause of each token.
        words: For each token the index of its word; -1 where it belongs to none (a pause, a blank).
        skippable: For each token whether the search may give it no frame (optional pauses only).
    """

    symbols: tuple[str, ...]
    words: tuple[int, ...]
    skippable: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def least_frames(self) -> int:
        """The frames they need: one for each token that may not be skipped."""
        return len(self) - sum(self.skippable)

    @classmethod
    def given(cls, symbols: Sequence[str], words: Sequence[int]) -> "Tokens":
        """A consumer's own tokens, each to be spoken, with optional pauses of ours among them.

        A pause may stand at both ends and between two words, but never beside a pause or blank of theirs: the
        audio between could then belong to either.

        Args:
            symbols: Their tokens.
            words: For each the index of its word; -1 for their pauses and blanks.
        """
        spoken = [word >= 0 and not is_pause(symbol) for symbol, word in zip(symbols, words, strict=True)]
        own: list[tuple[str, int, bool]] = []
        for t, (symbol, word) in enumerate(zip(symbols, words, strict=True)):
            if spoken[t] and (t == 0 or (spoken[t - 1] and words[t - 1] != word)):
                own.append((PAUSE, -1, True))
            own.append((symbol, word, False))
        if spoken and spoken[-1]:
            own.append((PAUSE, -1, True))
        return cls(*map(tuple, zip(*own, strict=True)))


@dataclass(frozen=True, slots=True)  # there are millions in a large corpus
class Transcript:
    """The words of one utterance and the punctuation between them.

    Args:
        words: The words in order.
        breaks: The punctuation before each word and after the last, one entry more than `words`; "" where
            none is written (a pause is still possible there).
        fixed: The user's own token sequence, if the text was given as tokens. None of them may be skipped;
            what may be are pauses of ours (`Tokens.given`).
    """

    words: tuple[Word, ...]
    breaks: tuple[str, ...] = ()
    fixed: Tokens | None = field(default=None)

    def tokens(self, variants: tuple[int, ...] | None = None) -> Tokens:
        """The token sequence of one choice of pronunciations.

        A skippable pause stands at both ends and between any two words.

        Args:
            variants: For each word the index of its pronunciation; by default the first of each.
        """
        if self.fixed is not None:
            return self.fixed
        symbols, words, skippable = [PAUSE], [-1], [True]
        for index, word in enumerate(self.words):
            phones = word.variants[variants[index] if variants else 0]
            symbols += [*phones, PAUSE]
            words += [index] * len(phones) + [-1]
            skippable += [False] * len(phones) + [True]
        return Tokens(tuple(symbols), tuple(words), tuple(skippable))

    def guessed(self) -> frozenset[int]:
        """The words whose pronunciation was guessed, by their index."""
        return frozenset(index for index, word in enumerate(self.words) if word.source == "g2p")

    def sentence_edges(self) -> frozenset[int]:
        """Where a sentence begins or ends, by the word that follows; both ends of the text among them."""
        inside = (n for n, own in enumerate(self.breaks) if not _ENDS_A_SENTENCE.isdisjoint(own))
        return frozenset((0, *inside, len(self.words)))

    def symbols(self) -> set[str]:
        """Every phone that its tokens can contain, in any pronunciation; of fixed tokens all of them."""
        if self.fixed is not None:
            return set(self.fixed.symbols)
        return {phone for word in self.words for variant in word.variants for phone in variant}

    def min_tokens(self) -> int:
        """The fewest tokens that need a frame: without pauses, with the shortest variant of every word."""
        if self.fixed is not None:
            return self.fixed.least_frames
        return sum(min(len(variant) for variant in word.variants) for word in self.words)

    def to_dict(self) -> dict[str, Any]:
        """The transcript as plain JSON types, for a manifest."""
        data: dict[str, Any] = {
            "words": [
                [
                    w.text,
                    [" ".join(v) for v in w.variants],
                    w.source,
                    *([list(w.log_priors)] if w.log_priors else []),
                ]
                for w in self.words
            ],
            "breaks": list(self.breaks),
        }
        if self.fixed is not None:
            pauses = [t for t, skippable in enumerate(self.fixed.skippable) if skippable]
            data["fixed"] = [list(self.fixed.symbols), list(self.fixed.words), pauses]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Transcript":
        """The transcript that `to_dict` made `data` of."""
        words = tuple(
            Word(text, tuple(tuple(variant.split(" ")) for variant in variants), source, *map(tuple, priors))
            for text, variants, source, *priors in data["words"]
        )
        fixed = None
        if "fixed" in data:
            symbols, indices, *pauses = data["fixed"]  # corpora of before have no pauses
            skippable = tuple(t in (pauses[0] if pauses else ()) for t in range(len(symbols)))
            fixed = Tokens(tuple(symbols), tuple(indices), skippable)
        return cls(words, tuple(data["breaks"]), fixed)


def normalised_word(word: str) -> str:
    """A word without case and punctuation: two spellings that agree in this are the same word.

    A word of nothing but punctuation stays as it is.
    """
    return re.sub(r"[\W_]+", "", word.casefold()) or word
