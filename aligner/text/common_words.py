"""The words that a corpus has most of, as an aligner keeps them that has not kept its texts."""

import math
from collections import Counter
from collections.abc import Iterable

from aligner.text.transcript import Transcript, Variants

_WORDS = 200  # more than half of all that is said; of twice as many a search takes longer and finds no more
_LEAST_PHONES = 2  # one sound alone is too often a part of the sounds beside it

#: A pronunciation of a common word: its phones, and the logarithm of the word's share of all words. Plain
#: types, for checkpoints.
CommonWord = tuple[tuple[str, ...], float]


def common_words(transcripts: Iterable[Transcript]) -> tuple[CommonWord, ...]:
    """All pronunciations of the words that transcripts have most of, but those of a single phone.

    Args:
        transcripts: Of a corpus. Those of the user's own tokens have no words.
    """
    counts: Counter[str] = Counter()
    variants: dict[str, Variants] = {}
    for transcript in transcripts:
        for word in transcript.words if transcript.fixed is None else ():
            spelling = word.text.casefold()
            counts[spelling] += 1
            variants.setdefault(spelling, word.variants)
    total = counts.total()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))  # whatever the utterances' order
    return tuple(
        (phones, math.log(count / total))
        for spelling, count in ordered[:_WORDS]
        for phones in variants[spelling]
        if len(phones) >= _LEAST_PHONES
    )
