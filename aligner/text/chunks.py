"""A text, written out, as its words and the punctuation around them.

A word is a run of letters with their marks (vowel signs, accents), with apostrophes inside; hyphens part the
words of a compound. Chinese and Japanese, which put no spaces between words, have a word a character (small
kana and marks of length belong to the character before). Thai, Lao, Khmer and Burmese have a word from space
to space.
"""

import regex

from aligner.errors import AlignerError
from aligner.text.writing import describe

APOSTROPHES = str.maketrans("’‘ʼ`´ʹ＇", "'''''''")
_IDEOGRAPH = r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]"
_LETTERS = rf"(?!{_IDEOGRAPH})\p{{L}}(?:(?!{_IDEOGRAPH})[\p{{L}}\p{{M}}\u200c\u200d])*"
_SMALL_KANA = "[ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶー\\p{M}]"
_INITIAL = r"\p{L}\."
_NO_LETTER = r"(?<![\p{L}\p{M}\p{N}])"
_TOKEN = regex.compile(
    # Letters that each have a full stop: U.S., e.g., Ph.D., and without the last one.
    rf"(?P<initials>{_NO_LETTER}(?:{_INITIAL}){{2,}}(?![\p{{L}}\p{{M}}])"
    rf"|(?<![\p{{L}}\p{{M}}\p{{N}}.])(?:{_INITIAL})+\p{{L}}(?![\p{{L}}\p{{M}}.'’])"
    rf"|{_NO_LETTER}(?:\p{{Lu}}\p{{Ll}}?\.){{2,}}(?!\p{{L}}))"
    rf"|(?P<ideograph>{_IDEOGRAPH}{_SMALL_KANA}*)"
    rf"|(?P<word>{_LETTERS}(?:['’‘ʼ`´·‧׳״]{_LETTERS})*)"
    r"|(?P<kept>[\U000F0000-\U000FFFFD])"
    r"|(?P<figure>[\d]+(?:[.,:/]\d+)*)"
    r"|(?P<space>\s+)"
    r"|(?P<punctuation>_+(?![\p{L}\p{N}])|(?<![\p{L}\p{N}])_+|[^\P{P}_&%@#*§]"
    r"|(?!°)[\p{So}`´\U0001F3FB-\U0001F3FF~])"
    r"|(?P<other>.)"
)


def split_words(text: str) -> tuple[list[str], list[str]]:
    """A text as its words and the punctuation around them.

    Args:
        text: Written out.

    Returns:
        The words (figures that were not written out among them), and as in `Transcript.breaks` the
        punctuation before each and after the last.

    Raises:
        AlignerError: For a sign that has no reading.
    """
    words: list[str] = []
    breaks = [""]
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind in {"word", "initials", "ideograph", "figure", "kept"}:
            words.append(token[0])
            breaks.append("")
        elif kind == "punctuation":
            breaks[-1] += token[0]
        elif kind != "space":
            raise AlignerError(_unread(text, token.start(), token[0]))
    return words, breaks


def _unread(text: str, start: int, sign: str) -> str:
    """The message about a sign without a reading: what stands around it, and what it is."""
    before, after = text[:start].rpartition(" ")[2], text[start + len(sign) :].partition(" ")[0]
    return f"{(before + sign + after)[:40]!r} has {describe(sign)}, which is no letter: write it out in words"
