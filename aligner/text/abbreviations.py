"""Abbreviations, read by what stands beside them: "St. Paul" and "Main St.", "No. 7" and "No."."""

import functools
import re

from aligner.text.languages import Language

_CAPITAL = r"(?-i:[^\W\d_a-zà-öø-ÿα-ωа-я])"


class Abbreviations:
    """Writes out the abbreviations of a language.

    Args:
        table: What they are, and what they are read as.
    """

    def __init__(self, table: Language) -> None:
        # British and French writing leave the full stop out where the last letter is the word's own.
        contracted = {short: word for short, word in table.before_names.items() if short[-1] == word[-1]}
        rules = [
            (table.before_numbers, "{abbreviation}" + r"(?:\.|(?<=[°º№]))\s*(?=\d)"),
            (
                {short: word for short, word in table.before_numbers.items() if len(short) > 2},
                rf"(?={_CAPITAL})" + "{abbreviation}" + r"\s+(?=\d)",
            ),
            (contracted, rf"(?={_CAPITAL})" + "{abbreviation}" + rf"\s+(?={_CAPITAL})"),
            (
                table.after_names,
                rf"(?P<name>{_CAPITAL}[\w'’]*\s+)"
                + "{abbreviation}"
                + r"\.?(?=\s*(?:[,;:!?)]|$)|\s+(?-i:[a-z]))",
            ),
            (table.before_names, "{abbreviation}" + r"\.\s*(?=[^\W\d_])"),
            (table.anywhere, "{abbreviation}" + r"\."),
        ]
        self._rules = [
            (re.compile(r"(?<![\w.])" + form.replace("{abbreviation}", _named(words)), re.IGNORECASE), words)
            for words, form in rules
            if words
        ]
        every = dict(pair for words, _ in rules for pair in words.items())
        self._candidate = re.compile(rf"(?<!\w){_named(every)}(?!\w)", re.IGNORECASE) if every else None

    def write_out(self, text: str) -> str:
        """The text with words for abbreviations; a capital letter stays one."""
        if self._candidate is None or not self._candidate.search(text):
            return text
        for pattern, words in self._rules:
            text = pattern.sub(functools.partial(_word, words), text)
        return text


def _word(words: dict[str, str], found: re.Match[str]) -> str:
    written = found["abbreviation"]
    word = words[re.sub(r"\s", "", written).lower()]
    capital = word[0].upper() if written[0].isupper() else word[0]
    return f"{found.groupdict().get('name') or ''}{capital}{word[1:]} "


def _named(words: dict[str, str]) -> str:
    """The abbreviations as one group, the longest first; after a full stop inside there may be a space."""
    keys = sorted(words, key=len, reverse=True)
    return f"(?P<abbreviation>{'|'.join(map(_spaced, keys))})"


def _spaced(key: str) -> str:
    return re.escape(key).replace(r"\.", r"\.\s?").replace(r"\ ", r"\s?")
