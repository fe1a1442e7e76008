"""Figures: numbers and signs in a text, with what stands around them, become words.

Dates, times, money, units, ordinals, fractions, codes, addresses. Each rule is a regular expression and a
method that gives the words; they run one after the other, the more special first.
"""

import datetime
import functools
import re
from collections.abc import Callable
from decimal import Decimal

from aligner.errors import AlignerError
from aligner.text.addresses import ADDRESS, say_address
from aligner.text.numbers import Numbers
from aligner.text.ordinals import DottedOrdinals
from aligner.text.powers import power_rules
from aligner.text.units import (
    AFTER_AMOUNTS,
    ATTACHED,
    CURRENCIES,
    DOTTED,
    UNITS,
    currency_names,
    local_units,
    unit_name,
)

_CANDIDATE = re.compile(r"[\d&%@#+=§€£$¥°½¼¾⅓⅔⅛⅜⅝⅞№×÷]|\bw/|www\.|://|\w\.(?:com|org|net|edu|gov|io|de|uk)\b")
_HALVES = "½¼¾⅓⅔⅛⅜⅝⅞"
_VULGAR = dict(zip(_HALVES, ("1/2", "1/4", "3/4", "1/3", "2/3", "1/8", "3/8", "5/8", "7/8"), strict=True))
# A day and a month in figures are read where num2words has the ordinals that the language says days with.
_DATES_IN = {"en", "de", "fr", "es", "it", "pt", "nl", "hi", "zh"}
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){1,5}\d{2,4}|\(\d{3}\) ?\d{3}-\d{4}"
    r"|\d{3}-\d{4}|\d{1,5}(?:-\d{1,7}){2,})(?![\w-])"
)
_LETTER = r"[^\W\d_]"


class Figures:
    """Writes out numbers and signs.

    Args:
        numbers: Of the language.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (re.compile(f"[{_HALVES}]"), lambda found: f" {_VULGAR[found[0]]}"),
        ]
        if numbers.table.signs:
            self._rules.append((ADDRESS, functools.partial(say_address, numbers.table.signs)))
        if numbers.known:
            self._rules += self._number_rules()
        elif numbers.locale is not None:
            self._rules += self._name_rules()

    def write_out(self, text: str) -> str:
        """The text with words for figures.

        Raises:
            AlignerError: For what can be read in two ways or not at all.
        """
        if not _CANDIDATE.search(text):
            return text
        for pattern, words in self._rules:
            text = pattern.sub(words, text)
        return text

    def _number_rules(self) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
        number, table = self._numbers.pattern, self._numbers.table
        money = "|".join(map(re.escape, sorted(CURRENCIES, key=len, reverse=True)))
        self._units = UNITS | local_units(self._numbers.locale) | DOTTED.get(self._numbers.primary, {})
        units = "|".join(map(re.escape, sorted(self._units, key=len, reverse=True)))
        start = r"(?<!\w)(?<!\d[.,:/])"
        rules: list[tuple[str, Callable[[re.Match[str]], str]]] = [
            (rf"{start}(\d+ +)?(1/[2348]|2/3|3/[48]|[57]/8)\s?({units})(?![\w²³/])", self._part_of_unit),
            *power_rules(self._numbers, start),
            (rf"{start}(\d{{4}})-(\d\d)-(\d\d)(?![\w-])", self._iso_date),
            (rf"{start}(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}|\d\d)(?![\w/-])", self._date),
            (_PHONE.pattern, self._phone),
            (
                rf"(?<![\w.,)])-(?=\d|(?:{money})\s?\d)",
                lambda _: f"{table.minus or self._numbers.sign('-')} ",
            ),
            *self._money_rules(start, money),
            *self._time_rules(start),
            *self._english_rules(start),
            (r"(?<!\d)\d{1,3}(?:′+|\")", self._inches),
            *self._endings(start),
            (
                rf"{start}({number})(\s?)({units})(?![\w²³/])(?:\.(?=\s+[a-z])|(?<=ft|lb)\.(?=\s+\d))?",
                self._unit,
            ),
            (rf"{start}(\d{{1,2}}\s+)?(\d{{1,3}})[/⁄](\d{{1,3}})(?![\w/⁄])", self._fraction),
        ]
        if table.ordinal:
            rules.append((rf"{start}({number})\s?(?P<ending>{table.ordinal})(?![\w])", self._ordinal))
        dotted = DottedOrdinals(self._numbers, self._months())
        if dotted.known:
            rules[:0] = [(rf"{start}(\d{{1,2}})\.\s?(\d{{1,2}})\.(?!\w)", dotted.day_and_month)]
            rules.append((rf"{start}(\d+)\.(?!\w)", dotted.read))
        rules += [
            (r"(?<=\d)\s?[x×]\s?(?=\d)", lambda _: f" {self._numbers.sign('×')} "),
            (r"(?<=\d)\s?÷\s?(?=\d)", lambda _: f" {self._numbers.sign('÷')} "),
            (
                r"(?<!\S)\.(\d+)",
                lambda found: f"{table.point or self._numbers.sign('.')} {self._numbers.digits(found[1])}",
            ),
            (rf"{start}({number})", lambda found: self._plain(found[1])),
            (rf"(?<={_LETTER})-?({number})", lambda found: self._plain(found[1])),
            (r"\d+", lambda found: self._plain(found[0])),
            (r"#(?= ?\w)|[№§](?= ?\w)", lambda found: f"{self._numbers.sign(found[0].replace('№', '#'))} "),
            (r"\s?%", lambda _: f" {unit_name(UNITS['%'], Decimal(5), self._numbers.locale)} "),
            (r"[&+=@]", lambda found: f" {self._numbers.sign(found[0])} "),
        ]
        return [(re.compile(pattern), words) for pattern, words in rules]

    def _name_rules(self) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
        """Of a language without words for numbers here: what they count has a name, they stay figures."""
        number = self._numbers.pattern
        units = UNITS | local_units(self._numbers.locale)
        signs = "|".join(map(re.escape, sorted(CURRENCIES | units, key=len, reverse=True)))
        money = "|".join(map(re.escape, sorted(CURRENCIES, key=len, reverse=True)))

        def named(found: re.Match[str]) -> str:
            sign, amount = found["sign"], _amount(*self._numbers.parse(found["number"]))
            if sign in CURRENCIES:
                name, _ = currency_names(sign, amount, "", self._numbers.locale)
            else:
                name = unit_name(units[sign], amount, self._numbers.locale)
            if not name or (sign in ATTACHED and not found[0].startswith(found["number"] + sign)):
                return found[0]
            return f"{found['number']} {name} "

        return [
            (re.compile(rf"(?<!\w)(?P<sign>{money})\s?(?P<number>{number})(?![\d])"), named),
            (re.compile(rf"(?<![\w.,])(?P<number>{number})\s?(?P<sign>{signs})(?![\w²³/])"), named),
        ]

    def _plain(self, number: str) -> str:
        """A number without anything around it that changes its reading; words beside it are others."""
        if "." in number or "," in number or len(number) != 4:
            return f" {self._numbers.read(number)} "
        return f" {self._numbers.year(number)} "

    def _months(self) -> list[str]:
        from babel.dates import get_month_names

        return [re.escape(name) for name in get_month_names("wide", locale=self._numbers.locale).values()]

    def _iso_date(self, found: re.Match[str]) -> str:
        return self._say_date(found[0], int(found[1]), int(found[2]), int(found[3]))

    def _date(self, found: re.Match[str]) -> str:
        """A date in the language's order of day and month; in the other, if only that is one."""
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if len(found[4]) == 2:
            year += 2000 if year < 50 else 1900
        order = self._numbers.locale.date_formats["short"].pattern
        month_first = order.index("M") < order.index("d")
        if (first > 12) == month_first and max(first, second) > 12:
            month_first = not month_first
        month, day = (first, second) if month_first else (second, first)
        return self._say_date(found[0], year, month, day)

    def _say_date(self, written: str, year: int, month: int, day: int) -> str:
        from babel.dates import format_date

        try:
            date = datetime.date(year, month, day)
        except ValueError as error:
            raise AlignerError(f"{written!r} is no date: write it out in words") from error
        if self._numbers.primary not in _DATES_IN:
            raise AlignerError(
                f"{written!r}: dates in {self._numbers.primary!r} are not read: write it out in words"
            )
        return format_date(date, "long", locale=self._numbers.locale).replace(",", "")

    def _phone(self, found: re.Match[str]) -> str:
        groups = re.findall(r"\d+", found[0])
        plus = f"{self._numbers.sign('+')} " if found[0][0] == "+" else ""
        return plus + ", ".join(self._numbers.digits(group) for group in groups)

    def _money_rules(self, start: str, money: str) -> list[tuple[str, Callable[[re.Match[str]], str]]]:
        number = self._numbers.pattern
        many = (
            "|".join(map(re.escape, sorted(self._numbers.table.magnitudes, key=len, reverse=True))) or "(?!)"
        )
        magnitude = rf"(?:[ -]?(?i:(?P<many>{many}))(?:\.(?=\s))?(?!\w))?"
        first = "|".join(sign for sign in money.split("|") if sign not in map(re.escape, AFTER_AMOUNTS))
        return [
            (
                rf"(?<!\w)(?P<sign>{first})\s?(?P<from>\d+)[-–](?=\d+{magnitude}(?![\d.,]\d))",
                self._money_from,
            ),
            (rf"(?<!\w)(?P<sign>{first})\s?(?P<number>{number}){magnitude}(?!\d)", self._money),
            (rf"{start}(?P<number>{number}){magnitude}\s*(?P<sign>{money})(?!\w)", self._money),
        ]

    def _money(self, found: re.Match[str]) -> str:
        sign, written, many = found["sign"], found["number"], found["many"]
        whole, decimals = self._numbers.parse(written)
        # "Two crowns fifty": the name is that of the two.
        amount = _amount(whole, None if decimals and len(decimals) == 2 and int(whole) else decimals)
        of_many = Decimal(5_000_000) if many else amount  # "five million dollars" and "two": the plural
        name, hundredth = currency_names(sign, of_many, self._numbers.converter, self._numbers.locale)
        if not name:
            raise AlignerError(f"{found[0].strip()!r} has a currency without a name: write it out in words")
        if many:
            return f"{self._numbers.read(written)} {self._numbers.table.magnitudes[many.lower()]} {name} "
        one, _ = currency_names(sign, Decimal(1), self._numbers.converter, self._numbers.locale)
        if decimals is None or len(decimals) != 2:
            return f"{self._numbers.before_unit(self._numbers.read(written), one)} {name} "
        amounts = (
            [f"{self._numbers.before_unit(self._numbers.cardinal(whole), one)} {name}"] if int(whole) else []
        )
        if int(decimals):
            # English says "five dollars twenty cents", most others "fünf Euro zwanzig".
            unit = f" {hundredth}" if self._numbers.primary == "en" or not amounts else ""
            amounts.append(self._numbers.cardinal(str(int(decimals))) + unit)
        return f"{' '.join(amounts) or f'{self._numbers.cardinal(whole)} {name}'} "

    def _money_from(self, found: re.Match[str]) -> str:
        """The first of two amounts ("$20-30"): only the second has the currency."""
        return f"{self._numbers.cardinal(found['from'])} - {found['sign']}"

    def _part_of_unit(self, found: re.Match[str]) -> str:
        """Halves and the like of a unit: "7 1/2 %"."""
        name = unit_name(self._units[found[3]], Decimal(5), self._numbers.locale)
        whole, parts = found[1] or "", found[2]
        return f"{self._say_fraction(whole, *parts.split('/'))} {name} "

    def _unit(self, found: re.Match[str]) -> str:
        written, space, sign = found.groups()
        if space and sign in ATTACHED:
            return found[0]
        whole, decimals = self._numbers.parse(written)
        amount = _amount(whole, decimals)
        name = unit_name(self._units[sign], amount, self._numbers.locale)
        if not name:
            raise AlignerError(f"{found[0]!r} has a unit without a name in {self._numbers.primary!r}")
        one = unit_name(self._units[sign], Decimal(1), self._numbers.locale)
        return f"{self._numbers.before_unit(self._numbers.read(written), one)} {name} "

    def _ordinal(self, found: re.Match[str]) -> str:
        whole, decimals = self._numbers.parse(found[1])
        if decimals is not None or not whole.isdigit():
            return found[0]
        ordinal = self._numbers.ordinal(whole)
        if found["ending"].endswith(("ª", "a")):  # Spanish, Portuguese, Italian
            ordinal = re.sub(r"o\b", "a", ordinal)
        elif found["ending"].endswith("er") and self._numbers.primary == "es":
            ordinal = ordinal.removesuffix("o")
        return f"{ordinal} "

    @staticmethod
    def _inches(found: re.Match[str]) -> str:
        """The number of inches is refused, that at the end of a quotation given back."""
        sign = found[0].lstrip("0123456789")
        if "′" not in sign and found.string[: found.start()].count(sign) % 2:
            return found[0]
        raise AlignerError(f"{found[0]} is inches, minutes or a quotation: write it out in words")

    def _fraction(self, found: re.Match[str]) -> str:
        """A fraction that has a name; what is none ("24/7", "9/11") is two numbers."""
        return self._say_fraction(*found.groups())

    def _say_fraction(self, whole: str | None, over: str, under: str) -> str:
        numbers, table = self._numbers, self._numbers.table
        name = table.fractions.get(f"{over}/{under}", "")
        if not name and numbers.primary == "en" and int(over) < int(under) and int(under) in _ENGLISH_PARTS:
            name = f"{numbers.cardinal(over)} {numbers.ordinal(under)}{'s' * (over != '1')}"
        if not name:
            return f"{whole or ''}{numbers.cardinal(over)} / {numbers.cardinal(under)}"
        if not whole:
            return name
        if numbers.primary == "en" and over == "1" and under in "24":
            name = name.replace("one", "a")
        return f"{numbers.cardinal(whole.strip())} {numbers.sign('&')} {name}"

    def _time_rules(self, start: str) -> list[tuple[str, Callable[[re.Match[str]], str]]]:
        clock = rf"{start}([01]?\d|2[0-4])[:.h]([0-5]\d)"
        if self._numbers.primary == "en":
            clock = rf"{start}([01]?\d|2[0-4]):([0-5]\d)"
            half = r"\s?([AaPp])\.?\s?[Mm]\b(?:\.(?!\s*$|\s+[A-Z]))?"
            return [
                (rf"{clock}{half}", self._english_time),
                (rf"{start}(1[0-2]|[1-9])(){half}", self._english_time),
                (rf"{clock}()(?![\d:])", self._english_time),
            ]
        if self._numbers.primary == "de":
            return [
                (rf"{clock}\s+Uhr\b", lambda found: self._hours(found, "Uhr")),
                (rf"{clock}(?=:|\b)(?<=:\d\d)", self._two),
            ]
        if self._numbers.primary == "fr":
            return [
                (rf"{start}([01]?\d|2[0-4])\s?h\s?([0-5]\d)?\b", lambda found: self._hours(found, "heures"))
            ]
        if self._numbers.primary == "zh":
            return [(rf"{clock}(?![\d:])", lambda found: self._hours(found, "点"))]
        return [(rf"{start}([01]?\d|2[0-4]):([0-5]\d)(?![\d:])", self._two)]

    def _two(self, found: re.Match[str]) -> str:
        return f"{self._numbers.cardinal(found[1])} {self._minutes(found[2])}"

    def _minutes(self, minutes: str | None) -> str:
        return self._numbers.cardinal(str(int(minutes))) if minutes and int(minutes) else ""

    def _hours(self, found: re.Match[str], name: str) -> str:
        if self._numbers.primary == "fr" and int(found[1]) == 1:
            return f"une heure {self._minutes(found[2])}".strip()
        hour = self._numbers.before_unit(self._numbers.cardinal(str(int(found[1]))))
        return f"{hour} {name} {self._minutes(found[2])}".strip()

    def _english_time(self, found: re.Match[str]) -> str:
        hour, minutes, half = str(int(found[1])), found[2], found[3]
        words = [self._numbers.cardinal(hour)]
        if minutes and int(minutes):
            words += ["oh"] * (int(minutes) < 10) + [self._minutes(minutes)]
        elif minutes and not half:
            words.append("o'clock" if 0 < int(hour) < 13 else "hundred")
        return " ".join([*words, *([f"{half.lower()}.m."] if half else [])])

    def _english_rules(self, start: str) -> list[tuple[str, Callable[[re.Match[str]], str]]]:
        if self._numbers.primary != "en":
            return []
        months = "|".join(self._months())
        many = self._numbers.table.magnitudes
        return [
            (r"(?<!\w)w/(o?)(?!\w)", lambda found: "without" if found[1] else "with"),
            (rf"{start}(\d+\.\d+)([MBKk])(?!\w)", lambda m: f"{m[1]} {many[m[2].lower()]}"),
            (rf"{start}((?:\d\d)?\d0)['’]?s(?!\w)", self._decade),
            (rf"\b({months})\s+(3[01]|[12]\d|[1-9])(?:st|nd|rd|th)?(?![\w:/-]|[.,]\d)", self._month_day),
            (
                rf"{start}(3[01]|[12]\d|[1-9])\s+(?=(?:{months})\b)",
                lambda m: f"{self._numbers.ordinal(m[1])} ",
            ),
            (r"(\d+)['’]s(?!\w)", lambda found: f" {self._numbers.cardinal(found[1])}'s "),
            (rf"{start}(\d+)['’′](1[01]|\d)(?:\"|”|''|′′|(?!\w))", self._feet),
        ]

    def _endings(self, start: str) -> list[tuple[str, Callable[[re.Match[str]], str]]]:
        if self._numbers.primary in {"ru", "uk"}:
            return [
                (rf"{start}\d+-(?!й|ый|ий){_LETTER}{{1,3}}(?!\w)", self._refuse),
                (rf"{start}\d+\s?(?:гг?|вв?|р)\.", self._refuse),  # a year or a century, declined
            ]
        if self._numbers.primary == "zh":
            return [
                (rf"{start}(\d{{4}})(?=年)", lambda found: self._numbers.digits(found[1]).replace(" ", "")),
                (
                    rf"{start}({self._numbers.pattern})\s?%",
                    lambda found: f"百分之{self._numbers.read(found[1])}",
                ),
            ]
        if self._numbers.primary != "de":
            return []
        return [(rf"{start}(\d+)er(?!\w)", lambda found: f"{self._numbers.year(found[1])}er")]

    @staticmethod
    def _refuse(found: re.Match[str]) -> str:
        raise AlignerError(f"{found[0]!r} is not read: write it out in words")

    def _decade(self, found: re.Match[str]) -> str:
        words = self._numbers.year(found[1])
        return f"{words[:-1]}ies " if words.endswith("y") else f"{words}s "

    def _month_day(self, found: re.Match[str]) -> str:
        return f"{found[1]} {self._numbers.ordinal(found[2])} "

    def _feet(self, found: re.Match[str]) -> str:
        return f"{self._numbers.cardinal(found[1])} foot {self._numbers.cardinal(found[2])} "


def _amount(whole: str, decimals: str | None) -> Decimal:
    """A number whose plural is wanted; of versions and lists ("2.0.1") that of many."""
    if not whole.isdigit():
        return Decimal(5)
    return Decimal(whole if decimals is None else f"{whole}.{decimals}")


_ENGLISH_PARTS = {2, 3, 4, 5, 6, 8, 10, 16, 20, 100}
