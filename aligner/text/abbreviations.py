"""Abbreviations, read by what stands beside them: "St. Paul" and "Main St.", "No. 7" and "No."."""

import functools
import re

from aligner.text.languages import Language
from aligner.text.units import UNITS

_CAPITAL = r"(?-i:[^\W\d_a-zà-öø-ÿα-ωа-я])"


class Abbreviations:
    """Writes out the abbreviations of a language.

    Args:
        table: What they are, and what they are read as.
    """

    def __init__(self, table: Language) -> None:
        # British and French writing leave the full stop out where the last letter is the word's own.
        contracted = {short: word for short, word in table.before_names.items() if short[-1] == word[-1]}
        units = {short for short in table.before_names if len(short) == 1 or short in UNITS}
        unless_counted = {short: word for short, word in table.before_names.items() if short in units}
        titles = {short: word for short, word in table.before_names.items() if short not in units}
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
            (titles, "{abbreviation}" + r"\.\s*(?=[^\W\d_])"),
            # After a number these are units or a year ("6 ft. tall", "1999 г.").
            (unless_counted, r"(?<!\d)(?<!\d\s)" + "{abbreviation}" + r"\.\s*(?=[^\W\d_])"),
            (table.anywhere, "{abbreviation}" + r"\."),
        ]
        self._rules = [
            (re.compile(r"(?<![\w.])" + form.replace("{abbreviation}", _named(words)), re.IGNORECASE), words)
            for words, form in rules
            if words
        ]
        # "Bahnhofstr.", after the part of the word that names it
        ends = rf"(?<=[^\W\d_]{{3}}){_named(table.word_ends)}\."
        if table.word_ends:
            self._rules.append((re.compile(ends, re.IGNORECASE), table.word_ends))
        every = dict(pair for words, _ in rules for pair in words.items())
        whole = rf"(?<!\w){_named(every)}(?!\w)"
        candidate = f"{whole}|{ends.replace('?P<abbreviation>', '')}" if table.word_ends else whole
        self._candidate = re.compile(candidate, re.IGNORECASE) if every else None

    def write_out(self, text: str) -> str:
        """The text with words for abbreviations; a capital letter stays one."""
        if self._candidate is None or not self._candidate.search(text):
            return text
        for pattern, words in self._rules:
            text = pattern.sub(functools.partial(_word, words), text)
        return text


def _word(words: dict[str, str], found: re.Match[str]) -> str:
    written = found["abbreviation"]
    bare = _bare(written)
    word = next(word for short, word in words.items() if _bare(short) == bare)
    capital = word[0].upper() if written[0].isupper() else word[0]
    return f"{found.groupdict().get('name') or ''}{capital}{word[1:]} "


def _bare(abbreviation: str) -> str:
    """An abbreviation in lower case without the spaces that some write inside."""
    return "".join(abbreviation.split()).lower()


def _named(words: dict[str, str]) -> str:
    """The abbreviations as one group, the longest first; after a full stop inside there may be a space."""
    keys = sorted(words, key=len, reverse=True)
    return f"(?P<abbreviation>{'|'.join(map(_spaced, keys))})"


def _spaced(key: str) -> str:
    return re.escape(key).replace(r"\.", r"\.\s?").replace(r"\ ", r"\s?")
