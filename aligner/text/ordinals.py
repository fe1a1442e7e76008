"""Ordinals that are written with a full stop: "der 2. Weltkrieg", "3. května".

Whether "3." is an ordinal or ends a sentence, and how it is declined, is seen from the words around it.
"""

import re

from aligner.errors import AlignerError
from aligner.text.numbers import Numbers

# Where a number with a full stop before a word in small letters is an ordinal. Those that do not decline it:
_UNDECLINED = {"da", "no", "hu", "tr"}
_DECLINED = {"cs", "sk", "pl", "fi", "et", "lv", "sl", "hr", "sr", "bs", "is"}
_JOINED = re.compile(r"\d+\.\s+(?:und|bis|oder)\s+$")
_DETERMINER = re.compile(
    r"(?:de[rmns]|des|die|das|im|am|zum|zur|vom|beim|ins|ans|(?:k|m|d|s)?ein(?:e[rmns]?)?|ihr(?:e[rmns]?)?"
    r"|unser(?:e[rmns]?)?|eu(?:er|re[rmns]?)|dies(?:e[rmns]?)|jed(?:e[rmns]?)|jen(?:e[rmns]?))",
    re.IGNORECASE,
)
_DATIVE = frozenset(
    {"in", "an", "auf", "bei", "mit", "nach", "seit", "von", "vor", "zu", "aus", "unter", "über", "hinter"}
    | {"neben", "zwischen", "während", "wegen", "trotz"}
)
_OF_DAYS = {"am", "vom", "zum", "dem", "den", "bis", "seit", "ab"}
_LONGEST_ORDINAL = 3  # digits
_CENTURY = "Jahrhundert"
_CZECH_GENITIVES = (
    *("prvního", "druhého", "třetího", "čtvrtého", "pátého", "šestého", "sedmého", "osmého", "devátého"),
    *("desátého", "jedenáctého", "dvanáctého", "třináctého", "čtrnáctého", "patnáctého", "šestnáctého"),
    *("sedmnáctého", "osmnáctého", "devatenáctého", "dvacátého"),
)


class DottedOrdinals:
    """Reads a number with a full stop as an ordinal, where it is one.

    Args:
        numbers: Of the language.
        months: Their names.
    """

    def __init__(self, numbers: Numbers, months: list[str]) -> None:
        self._numbers = numbers
        self._months = {month.lower() for month in months}

    @property
    def known(self) -> bool:
        """Whether the language writes them."""
        return self._numbers.primary in {"de", *_UNDECLINED, *_DECLINED}

    def read(self, found: re.Match[str]) -> str:
        """The ordinal; what was found, if it is none.

        Args:
            found: A whole number as its first group, and the full stop.

        Raises:
            AlignerError: If its ending cannot be known.
        """
        before, after = found.string[: found.start()], found.string[found.end() :]
        word = next(iter(re.findall(r"^\s+([^\W\d_]+)", after)), "")
        if self._numbers.primary == "de":
            return self._german(found, before, word, after)
        if not word[:1].islower():
            return found[0]
        if self._numbers.primary in _UNDECLINED:
            if len(found[1]) > _LONGEST_ORDINAL:  # a year: Hungarian "2020. január"
                return self._numbers.year(found[1]) + " "
            return f"{self._numbers.ordinal(found[1])} "
        day = int(found[1]) if len(found[1]) < 3 else 0
        if self._numbers.primary == "cs" and word in self._months and 0 < day < 32:
            return f"{_czech_genitive(day)} "
        raise AlignerError(f"'{found[0]} {word}' has an ordinal, which is not read: write it out in words")

    def _german(self, found: re.Match[str], before: str, word: str, after: str) -> str:
        joined = False
        while last := _JOINED.search(before):
            joined, before = True, before[: last.start()]
        words = before.split()
        determined = bool(words and _DETERMINER.fullmatch(words[-1]))
        named = word.lower() in self._months or word == _CENTURY
        ends = not word and not after.strip(" .!?\"'“”»«)")
        if not (word[:1].islower() or named or ((joined or determined) and (word or ends))):
            return found[0]
        if words and not (determined or named or joined):
            raise AlignerError(
                f"'{words[-1]} {found[0]}' is an ordinal or ends a sentence: write the number out in words"
            )
        return f"{self._numbers.ordinal(found[1])}{_german_ending(words, found[0])} "

    def day_and_month(self, found: re.Match[str]) -> str:
        """The date "am 3.10."; what was found, if it may as well be a chapter.

        Args:
            found: Two whole numbers as its groups, each with its full stop.

        Raises:
            AlignerError: In a language whose dates are not read.
        """
        if not (0 < int(found[1]) < 32 and 0 < int(found[2]) < 13):
            return found[0]
        before = found.string[: found.start()].split()
        if self._numbers.primary == "de":
            if not (before and before[-1].lower() in _OF_DAYS):
                return found[0]
            return f"{self._numbers.ordinal(found[1])}n {self._numbers.ordinal(found[2])}n "
        raise AlignerError(f"{found[0]!r} is a date, which is not read: write it out in words")


def _german_ending(before: list[str], written: str) -> str:
    """The ending of an ordinal after the words before it."""
    if not before:
        return "r"
    last = before[-1].lower()
    if _DETERMINER.fullmatch(last) and last.endswith(("ein", "ihr", "unser", "euer")):
        raise AlignerError(f"'{before[-1]} {written}' has no certain ending: write the ordinal out in words")
    like_der = last in {"der", "dieser", "jeder", "jener"}
    weak = like_der and len(before) > 1 and before[-2].lower() in _DATIVE
    nominative = like_der or last in {"die", "das"} or (_DETERMINER.fullmatch(last) and last.endswith("e"))
    return "" if nominative and not weak else "n"


def _czech_genitive(day: int) -> str:
    """As in dates: the twenty-first is "dvacátého prvního"."""
    if day <= 20:
        return _CZECH_GENITIVES[day - 1]
    tens = "dvacátého" if day < 30 else "třicátého"
    return f"{tens} {_CZECH_GENITIVES[day % 10 - 1]}" if day % 10 else tens
