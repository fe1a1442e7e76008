"""How phones are made, in a few manners: what their boundaries sound like depends on it."""

from collections.abc import Sequence

import numpy as np

from aligner.ragged import Indices
from aligner.text.sounds import ipa_letters, is_vowel

# By letters of IPA. An affricate begins as a stop and ends as a fricative.
_LETTERS = {
    "glide": "jwɥɰ",
    "h": "hɦ",
    "liquid": "ɹɻɾrʀʁɽlɭʎʟɫɺʋ",
    "nasal": "mɱnɳɲŋɴ",
    "voiceless fricative": "ɸfθsʃʂçxχħɕɬ",
    "voiced fricative": "βvðzʒʐʝɣʕʑɮ",
    "voiceless stop": "ptʈckqʦʧ",
    "voiced stop": "bdɖɟɡgɢʣʤ",
    "glottal stop": "ʔ",
}
MANNERS = ("unknown", "vowel", *_LETTERS)
_MANNER = {letter: MANNERS.index(manner) for manner, letters in _LETTERS.items() for letter in letters}


def manners(symbols: Sequence[str]) -> tuple[Indices, Indices]:
    """How each symbol begins and how it ends, `[V]` each: indices in `MANNERS`.

    Args:
        symbols: Phones in IPA or ARPAbet, as `sounds.ipa_letters` takes them; others are unknown.
    """
    letters = [ipa_letters(symbol) for symbol in symbols]
    begin, end = (
        np.array([_manner(own[place]) if own else 0 for own in letters], np.int64) for place in (0, -1)
    )
    return begin, end


class SymbolManners:
    """How the symbols of a vocabulary are made; ids beyond it are unknown.

    Args:
        symbols: As of `manners`.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._begin, self._end = (np.append(own, 0) for own in manners(symbols))

    def begins(self, token_ids: Indices) -> Indices:
        """How each token begins."""
        return self._begin[np.minimum(token_ids, len(self._begin) - 1)]

    def ends(self, token_ids: Indices) -> Indices:
        """How each token ends."""
        return self._end[np.minimum(token_ids, len(self._end) - 1)]


def _manner(letter: str) -> int:
    return _MANNER.get(letter, MANNERS.index("vowel") if is_vowel(letter) else 0)
