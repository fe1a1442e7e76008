"""Words in capitals: a text in capitals is words, else one may be spelt or spoken (US, NASA)."""

import re
from collections.abc import Iterable

import regex

# A text of fewer long words may be initials throughout ("BBC NEWS"): its words keep both readings.
_LEAST_WORDS = 5
_LEAST_SHARE = 0.2  # of the texts of a corpus, that are in capitals: no corpus has so many of initials alone
_LONG_WORD = regex.compile(r"(?<![\p{L}\p{M}.'’&-])\p{L}{2,}(?![\p{L}\p{M}])")
_ROMAN = re.compile(r"(?=[IVXLCDM]{2})M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def in_capitals(text: str) -> bool:
    """Whether all words of a text are in capitals, of scripts that have them."""
    words = _LONG_WORD.findall(text)
    return bool(words) and all(word.isupper() for word in words)


def plainly_in_capitals(text: str) -> bool:
    """Whether a text is in capitals and long enough to tell without its corpus."""
    return text.upper() == text and in_capitals(text) and len(_LONG_WORD.findall(text)) >= _LEAST_WORDS


def corpus_in_capitals(texts: Iterable[str]) -> bool:
    """Whether a corpus writes whole texts in capitals, so that these are words and not initials.

    Args:
        texts: Of all utterances.
    """
    capital_texts = capital_words = all_texts = 0
    for text in texts:
        words = len(_LONG_WORD.findall(text))
        all_texts += words > 0
        if text.upper() == text and in_capitals(text):
            capital_texts += 1
            capital_words += words
    return capital_words >= _LEAST_WORDS and capital_texts >= _LEAST_SHARE * all_texts


def is_capitals(word: str) -> bool:
    """Whether a word of at least two letters is in capitals."""
    return len(word) > 1 and word.isalpha() and word.isupper()


def has_capitals(word: str) -> bool:
    """Whether a word has several capitals, such as TV and PhD."""
    return word.isalpha() and sum(letter.isupper() for letter in word) > 1


def roman_number(word: str) -> int | None:
    """The value of a Roman numeral of at least two letters; None for any other word."""
    if not _ROMAN.fullmatch(word):
        return None
    values = [_ROMAN_DIGITS[letter] for letter in word]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))
