"""Numbers as words, in the format and the words of a language (num2words, Babel)."""

import contextlib
import functools
import re
from decimal import Decimal
from typing import Any

from aligner.errors import AlignerError
from aligner.text.languages import LANGUAGES, Language
from aligner.text.numerals import chinese, hindi, hindi_year

_MOST_DIGITS = 15  # a longer number is said digit by digit
_NEXT_MILLENNIUM = 2100  # four-digit numbers from here on are rarely years
# These write or say decimals in a way of their own ("three whole five tenths"): num2words knows how.
_SAME = {"nb": "no", "nn": "no", "cmn": "zh", "yue": "zh"}
_OWN_DECIMALS = {"cs", "pl", "ru", "uk"}
_GROUPED_ANYWAY = re.compile(
    r"\d{1,3}(?:(?:\.\d{3}){2,}|(?:,\d{3}){2,})"
)  # whatever the language's own marks
_LISTED = re.compile(r"\d{1,2}(?:,\d{1,2}){2,}")


class Numbers:
    """Reads the numbers of one language.

    Args:
        language: A tag such as "en-us", "de" or "pt-br".

    Attributes:
        known: Whether they can be read at all.
        converter: num2words's name of the language.
        table: What the language calls signs.
        locale: Babel's name of the language; None if it has none.
        pattern: A regular expression for one number as the language writes it, where Babel knows.
    """

    def __init__(self, language: str) -> None:
        from babel import Locale, UnknownLocaleError
        from num2words import CONVERTER_CLASSES

        primary, *rest = language.replace("-", "_").split("_")
        self.primary = _SAME.get(primary.lower(), primary.lower())
        regional = "_".join([self.primary, *(part.upper() for part in rest)])
        known = {*CONVERTER_CLASSES, "zh", "hi"}
        self.converter = next((code for code in (regional, self.primary) if code in known), "")
        self.table = LANGUAGES.get(self.primary, Language("", "", {}))
        self.known = bool(self.converter)
        self.locale: Any = None
        for tag in (regional, self.primary) if self.primary != "und" else ():
            with contextlib.suppress(UnknownLocaleError, ValueError):
                self.locale = self.locale or Locale.parse(tag)
        if self.locale is not None:
            self._set_format()

    def _set_format(self) -> None:
        from babel.numbers import get_decimal_symbol, get_group_symbol

        group, self._decimal = get_group_symbol(self.locale), get_decimal_symbol(self.locale)
        spaced = group.isspace()
        group = r"['’]" if spaced or group in "'’" else rf"[{re.escape(group)}'’]"
        self._grouped = re.compile(rf"\d{{1,3}}(?:(?:{group}| )\d{{3}})+(?:{re.escape(self._decimal)}\d+)?")
        self._indian = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?")
        # Where spaces are not the language's own way, only round thousands: `555 123` may be two numbers.
        thousands = r"(?: \d{3})+" if spaced else r"(?: \d{3})* 000"
        space = rf"\d{{1,3}}{thousands}(?![\d.,]*\d)|"
        self.pattern = rf"(?:{space}\d+(?:[.,]\d+|['’]\d{{3}}(?!\d))*)"

    def read(self, written: str) -> str:
        """The words of a number as written.

        Raises:
            AlignerError: If it can be read in two ways, or the language has no words for it.
        """
        whole, decimals = self.parse(written)
        if decimals is None:
            if "." in whole or "," in whole:
                return self._parts(whole)
            return self.cardinal(whole)
        if self.primary in _OWN_DECIMALS and len(whole) + len(decimals) <= _MOST_DIGITS:
            return self._convert(Decimal(f"{whole}.{decimals}"), "cardinal")
        if not self.table.point:
            raise AlignerError(
                f"{written!r}: decimals in {self.primary!r} are not read: write it out in words"
            )
        return f"{self.cardinal(whole)} {self.table.point} {self.digits(decimals)}"

    def parse(self, written: str) -> tuple[str, str | None]:
        """The whole part and the decimals of a number; without these, what stands between dots or commas.

        Raises:
            AlignerError: If it can be read in two ways.
        """
        bare = re.sub(r"['’ ]", "", written)
        if self._grouped.fullmatch(written):
            bare = bare.replace("," if self._decimal == "." else ".", "")
        elif self.primary in {"en", "hi"} and self._indian.fullmatch(written):
            bare = bare.replace(",", "")
        elif _GROUPED_ANYWAY.fullmatch(bare):
            bare = re.sub("[.,]", "", bare)
        if bare.isdigit():
            return bare, None
        if bare.count(self._decimal) == 1 and bare.count(".") + bare.count(",") == 1:
            whole, decimals = bare.split(self._decimal)
            return whole, decimals
        if "," in bare and not _LISTED.fullmatch(bare):
            if "." in bare:
                raise AlignerError(
                    f"{written!r} is no number as {self.primary!r} writes them: write it in words"
                )
            raise AlignerError(
                f"{written!r} is one number or several: write {bare.replace(',', '.')} or "
                f"{bare.replace(',', ', ')}"
            )
        return bare, None

    def _parts(self, written: str) -> str:
        """A list ("1,2,3") or a version ("2.0.1")."""
        if "," in written:
            return ", ".join(self.cardinal(part) for part in written.split(","))
        dot = self.table.point if self._decimal == "." else self.sign(".")
        return f" {dot} ".join(self.cardinal(part) for part in written.split("."))

    def cardinal(self, digits: str) -> str:
        """A whole number; digit by digit if it is very long or begins with 0."""
        if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
            return self.digits(digits)
        return self._convert(int(digits), "cardinal")

    def digits(self, digits: str) -> str:
        """Each digit on its own."""
        return " ".join(self._convert(int(digit), "cardinal") for digit in digits)

    def ordinal(self, digits: str) -> str:
        """The ordinal of a whole number.

        Raises:
            AlignerError: If num2words has none.
        """
        return self._convert(int(digits), "ordinal")

    def year(self, digits: str) -> str:
        """A year, or a number that is none."""
        if len(digits) == 4 and 0 < self.table.year_first <= int(digits) < _NEXT_MILLENNIUM:
            return self._convert(int(digits), "year")
        return self.cardinal(digits)

    def before_unit(self, words: str, noun: str = "") -> str:
        """A number as it is said before a noun: "ein Kilometer", "eine Stunde", not "eins".

        Args:
            words: The number.
            noun: What is counted, as one of it is named.
        """
        *others, last = words.split(" ")
        table = self.table
        feminine = table.feminine and re.match(table.feminine, noun.lower())
        forms = table.before_feminine if feminine else table.before_units
        return " ".join([*others, forms.get(last, last)])

    def sign(self, sign: str) -> str:
        """What the language calls a sign.

        Raises:
            AlignerError: If that is not known.
        """
        if sign not in self.table.signs:
            raise AlignerError(f"{sign!r} is not read in {self.primary!r}: write it out in words")
        return self.table.signs[sign]

    @functools.lru_cache(maxsize=65536)  # noqa: B019  one Numbers lives as long as its phonemizer
    def _convert(self, number: int | Decimal, kind: str) -> str:
        try:
            words = self._words(number, kind)
        except Exception as error:  # it raises what it likes for numbers and forms that it lacks
            if kind == "cardinal" and isinstance(number, int) and number > 9:
                return self.digits(str(number))
            raise AlignerError(
                f"{number} has no {kind} in {self.primary!r}: write it out in words"
            ) from error
        return " ".join(re.sub(r"[,-]" if self.primary == "en" else ",", " ", words).split())

    def _words(self, number: int | Decimal, kind: str) -> str:
        from num2words import num2words

        if self.primary == "zh":
            digits = "".join(chinese(int(digit)) for digit in str(number))
            return {"cardinal": chinese(int(number)), "year": digits, "ordinal": f"第{chinese(int(number))}"}[
                kind
            ]
        if self.primary == "hi":
            return {"cardinal": hindi, "year": hindi_year}[kind](int(number))
        return num2words(number, lang=self.converter, to=kind)
