"""Chunks of text: what is between white space, and the punctuation around the words in it."""

import re
import unicodedata

APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")
SPOKEN_PUNCTUATION = frozenset("&%@#*")  # punctuation in Unicode, but read aloud as a word
# White space, and what is written in its place: dashes of any length, an ellipsis, a slash between words.
SEPARATORS = re.compile(r"\s+|(--+|[—–―]|…|\.\.\.+|(?<=[^\W\d])/(?=[^\W\d]))")


def chunks(text: str) -> list[str]:
    """The pieces of a text between white space; dashes, ellipses and slashes are pieces of their own."""
    return [chunk for chunk in SEPARATORS.split(unicodedata.normalize("NFC", text)) if chunk]


def is_punctuation(chunk: str) -> bool:
    """Whether nothing in a chunk is read aloud."""
    return all(unicodedata.category(c)[0] == "P" and c not in SPOKEN_PUNCTUATION for c in chunk)


def strip_punctuation(chunk: str) -> tuple[str, str, str]:
    """The punctuation before the word of a chunk, the word, and the punctuation after it.

    Args:
        chunk: A chunk that is not all punctuation.
    """
    inner = [i for i, c in enumerate(chunk) if not is_punctuation(c)]
    return chunk[: inner[0]], chunk[inner[0] : inner[-1] + 1], chunk[inner[-1] + 1 :]


def split_words(text: str) -> tuple[list[str], list[str]]:
    """A text as its words and the punctuation around them.

    Returns:
        The words, and as in `Transcript.breaks` the punctuation before each and after the last.
    """
    words, breaks = [], [""]
    for chunk in chunks(text):
        before, word, after = ("", "", chunk) if is_punctuation(chunk) else strip_punctuation(chunk)
        breaks[-1] += before
        if word:
            words.append(word)
            breaks.append("")
        breaks[-1] += after
    return words, breaks
