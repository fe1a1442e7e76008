"""Texts of several utterances as arrays: all pronunciations of all words, encoded once, and a choice of them.

A text is a row of slots. A slot is a word: its pronunciations, each with the optional pause before it. The
pause at the end is a slot of its own. A text of the user's own tokens is one slot with one pronunciation.

B utterances, L slots, V pronunciations, P tokens of all of these, N tokens of one choice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligner.errors import AlignerError
from aligner.ragged import Indices, first_largest, padded, ranges, starts_of, sums_of
from aligner.text.transcript import PAUSE, Tokens, Transcript
from aligner.text.vocabulary import Vocabulary

_NARROW = np.int16


@dataclass(frozen=True)
class PackedTokens:
    """The tokens of B utterances, one utterance after the other, with one pronunciation for each word.

    Args:
        ids: The utterances' names.
        token_ids: `[N]`, indices in the vocabulary; 0 is the pause.
        skippable: `[N]`, which may get no frame.
        words: `[N]`, the index of each one's word in its utterance, -1 for none.
        lengths: `[B]`, tokens of each utterance.
        speakers: Who speaks each, "" where that is unknown; of none, if all are.
    """

    ids: tuple[str, ...]
    token_ids: Indices
    skippable: NDArray[np.bool_]
    words: Indices
    lengths: Indices
    speakers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def is_phone(self) -> NDArray[np.bool_]:
        """Which are phones and not pauses, `[N]`."""
        return self.token_ids > 0

    @property
    def least_frames(self) -> Indices:
        """The frames that each utterance needs, `[B]`: one for each token that may not be skipped."""
        return sums_of(~self.skippable, self.lengths)

    def unpack(self, symbols: Sequence[str]) -> list[Tokens]:
        """The tokens of each utterance.

        Args:
            symbols: Of the vocabulary.
        """
        names = [symbols[index] for index in self.token_ids.tolist()]
        words, skippable = self.words.tolist(), self.skippable.tolist()
        ends = np.cumsum(self.lengths).tolist()
        return [
            Tokens(tuple(names[a:b]), tuple(words[a:b]), tuple(skippable[a:b]))
            for a, b in zip([0, *ends], ends, strict=False)
        ]

    def only(self, rows: Sequence[int]) -> "PackedTokens":
        """The tokens of the utterances at these places.

        Args:
            rows: Of B; possibly none.
        """
        chosen = np.array(rows, np.int64)
        lengths = self.lengths[chosen]
        source = ranges(starts_of(self.lengths)[chosen], lengths)
        names = tuple(self.ids[row] for row in rows)
        speakers = tuple(self.speakers[row] for row in rows) if self.speakers else ()
        return PackedTokens(
            names, self.token_ids[source], self.skippable[source], self.words[source], lengths, speakers
        )

    def padded(self) -> Indices:
        """The indices `[B, T]`, with 0 after each utterance's end."""
        return padded(self.token_ids, self.lengths)


@dataclass(frozen=True)
class PackedTexts:
    """The texts of B utterances with all pronunciations.

    Args:
        ids: The utterances' names.
        token_ids: `[P]`, indices in the vocabulary, of all pronunciations one after the other.
        skippable: `[P]`, which may get no frame.
        words: `[P]`, the index of each one's word in its utterance, -1 for none.
        variant_tokens: `[V]`, tokens of each pronunciation.
        log_priors: `[V]`, the logarithm of each one's probability; 0 where that is not known.
        slot_variants: `[L]`, pronunciations of each slot.
        text_slots: `[B]`, slots of each text.
        text_words: `[B]`, words of each text.
    """

    ids: tuple[str, ...]
    token_ids: Indices
    skippable: NDArray[np.bool_]
    words: Indices
    variant_tokens: Indices
    log_priors: NDArray[np.float64]
    slot_variants: Indices
    text_slots: Indices
    text_words: Indices

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, ids: Sequence[str], transcripts: Sequence[Transcript]
    ) -> "PackedTexts":
        """Encode transcripts.

        Args:
            vocabulary: Gives every symbol its index.
            ids: The utterances' names.
            transcripts: Their words with all pronunciations.

        Raises:
            AlignerError: For symbols that are not in the vocabulary, naming the utterance.
        """
        symbols: list[str] = []
        skippable: list[bool] = []
        words: list[int] = []
        variant_tokens: list[int] = []
        slot_variants: list[int] = []
        text_slots: list[int] = []
        for id, transcript in zip(ids, transcripts, strict=True):
            if unknown := sorted(transcript.symbols() - vocabulary.index.keys()):
                raise AlignerError(
                    f"{id}: the aligner has not learnt {', '.join(unknown)}; "
                    f"it knows {', '.join(vocabulary.symbols)}"
                )
            if transcript.fixed is not None:
                symbols += transcript.fixed.symbols
                skippable += transcript.fixed.skippable
                words += transcript.fixed.words
                variant_tokens.append(len(transcript.fixed))
                slot_variants.append(1)
                text_slots.append(1)
                continue
            for index, word in enumerate(transcript.words):
                for phones in word.variants:
                    symbols += (PAUSE, *phones)
                    skippable += (True, *(False,) * len(phones))
                    words += (-1, *(index,) * len(phones))
                    variant_tokens.append(1 + len(phones))
                slot_variants.append(len(word.variants))
            symbols.append(PAUSE)
            skippable.append(True)
            words.append(-1)
            variant_tokens.append(1)
            slot_variants.append(1)
            text_slots.append(len(transcript.words) + 1)
        return cls(
            tuple(ids),
            np.array([vocabulary.index[symbol] for symbol in symbols], np.int64),
            np.array(skippable, np.bool_),
            np.array(words, np.int64),
            np.array(variant_tokens, np.int64),
            np.array([prior for transcript in transcripts for prior in _log_priors(transcript)], np.float64),
            np.array(slot_variants, np.int64),
            np.array(text_slots, np.int64),
            np.array([len(transcript.words) for transcript in transcripts], np.int64),
        )

    def compact(self) -> "PackedTexts":
        """The same in a quarter of the memory, to be kept; `cat` takes it."""
        counts = ("token_ids", "words", "variant_tokens", "slot_variants", "text_slots", "text_words")
        narrow: dict[str, Any] = {name: _narrow(getattr(self, name)) for name in counts}
        return replace(self, **narrow)

    @classmethod
    def cat(cls, texts: Sequence["PackedTexts"]) -> "PackedTexts":
        """The texts of several, one after the other."""
        ids = tuple(id for text in texts for id in text.ids)
        names = ("token_ids", "skippable", "words", "variant_tokens", "log_priors", "slot_variants")
        per_text = ("text_slots", "text_words")
        arrays = (np.concatenate([getattr(text, name) for text in texts]) for name in (*names, *per_text))
        return cls(ids, *(a.astype(np.int64) if a.dtype == _NARROW else a for a in arrays))

    def only(self, rows: Sequence[int]) -> "PackedTexts":
        """The texts at these places.

        Args:
            rows: Of B; possibly none.
        """
        chosen = np.array(rows, np.int64)
        slots = ranges(starts_of(self.text_slots)[chosen], self.text_slots[chosen])
        variants = ranges(starts_of(self.slot_variants)[slots], self.slot_variants[slots])
        tokens = ranges(starts_of(self.variant_tokens)[variants], self.variant_tokens[variants])
        return PackedTexts(
            tuple(self.ids[row] for row in rows),
            self.token_ids[tokens],
            self.skippable[tokens],
            self.words[tokens],
            self.variant_tokens[variants],
            self.log_priors[variants],
            self.slot_variants[slots],
            self.text_slots[chosen],
            self.text_words[chosen],
        )

    def tokens(self, choice: Indices | None = None) -> PackedTokens:
        """The tokens of one choice of pronunciations.

        Args:
            choice: `[L]`, for each slot the index of its pronunciation; by default the first of each.
        """
        variants = starts_of(self.slot_variants) + (0 if choice is None else choice)
        return self.spoken(self.ids, variants, self.variant_tokens[variants], self.text_slots)

    def spoken(
        self, ids: tuple[str, ...], variants: Indices, n_tokens: Indices, n_variants: Indices
    ) -> PackedTokens:
        """The tokens of pronunciations, one after the other.

        Args:
            ids: Names for the results.
            variants: Pronunciations, counted over all of these texts.
            n_tokens: How many of each one's tokens are taken.
            n_variants: How many of the pronunciations each result is made of.
        """
        source = ranges(starts_of(self.variant_tokens)[variants], n_tokens)
        return PackedTokens(
            ids,
            self.token_ids[source],
            self.skippable[source],
            self.words[source],
            sums_of(n_tokens, n_variants),
        )

    def fitting(self, n_frames: Indices, choice: Indices | None = None) -> Indices:
        """A choice of pronunciations; in texts that it does not fit the frames of, the shortest of each word.

        Args:
            n_frames: `[B]`, of each utterance.
            choice: `[L]`, the preferred one; by default the first of each.
        """
        preferred = np.zeros_like(self.slot_variants) if choice is None else choice
        fits = self.tokens(preferred).least_frames <= n_frames
        if fits.all():
            return preferred
        shortest = first_largest(-self.variant_tokens, self.slot_variants) - starts_of(self.slot_variants)
        return np.where(np.repeat(fits, self.text_slots), preferred, shortest)

    def choice_of(self, variants: Sequence[Sequence[int] | None]) -> Indices:
        """The choice `[L]` that has these pronunciations.

        Args:
            variants: For each text the pronunciation of each of its words, or None: the first of each.
        """
        rows = [
            np.zeros(n_slots, np.int64) if own is None or n_slots != len(own) + 1 else np.append(own, 0)
            for own, n_slots in zip(variants, self.text_slots.tolist(), strict=True)
        ]
        return np.concatenate(rows).astype(np.int64)

    def variants_of(self, choice: Indices) -> list[tuple[int, ...]]:
        """The inverse of `choice_of`; the words of the user's own tokens have their first.

        Args:
            choice: `[L]`, for each slot the index of its pronunciation.
        """
        rows = np.split(choice, np.cumsum(self.text_slots)[:-1])
        return [
            tuple(row[:-1].tolist()) if len(row) == n_words + 1 else (0,) * n_words
            for row, n_words in zip(rows, self.text_words.tolist(), strict=True)
        ]


def _narrow(values: Indices) -> NDArray[Any]:
    return values.astype(_NARROW) if values.max(initial=0) <= np.iinfo(_NARROW).max else values


def _log_priors(transcript: Transcript) -> Iterator[float]:
    """Of each pronunciation of each slot; 0 where it is not known."""
    if transcript.fixed is None:
        for word in transcript.words:
            yield from word.log_priors or (0.0,) * len(word.variants)
    yield 0.0
