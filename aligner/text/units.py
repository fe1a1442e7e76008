"""Units and currencies: their signs, and their names in a language (Babel's, which know plurals)."""

from decimal import Decimal
from typing import Any

UNITS = {
    **{"km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter", "mm": "length-millimeter"},
    **{"µm": "length-micrometer", "μm": "length-micrometer", "nm": "length-nanometer", "mi": "length-mile"},
    **{"ft": "length-foot", "yd": "length-yard", "yds": "length-yard"},
    **{
        "kg": "mass-kilogram",
        "g": "mass-gram",
        "mg": "mass-milligram",
        "lb": "mass-pound",
        "lbs": "mass-pound",
    },
    **{"oz": "mass-ounce", "t": "mass-tonne"},
    **{"l": "volume-liter", "L": "volume-liter", "ml": "volume-milliliter", "mL": "volume-milliliter"},
    **{"cl": "volume-centiliter", "dl": "volume-deciliter"},
    **{
        "km/h": "speed-kilometer-per-hour",
        "kmh": "speed-kilometer-per-hour",
        "kph": "speed-kilometer-per-hour",
    },
    **{"mph": "speed-mile-per-hour", "m/s": "speed-meter-per-second"},
    **{"°C": "temperature-celsius", "°F": "temperature-fahrenheit", "°": "angle-degree"},
    **{"Hz": "frequency-hertz", "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz"},
    **{"GHz": "frequency-gigahertz", "V": "electric-volt", "W": "power-watt", "kW": "power-kilowatt"},
    **{
        "MW": "power-megawatt",
        "GW": "power-gigawatt",
        "kWh": "energy-kilowatt-hour",
        "hp": "power-horsepower",
    },
    **{"kcal": "energy-kilocalorie", "kJ": "energy-kilojoule"},
    **{"hPa": "pressure-hectopascal", "kPa": "pressure-kilopascal"},
    **{
        "kB": "digital-kilobyte",
        "KB": "digital-kilobyte",
        "MB": "digital-megabyte",
        "GB": "digital-gigabyte",
    },
    **{"TB": "digital-terabyte", "Mbit": "digital-megabit", "Gbit": "digital-gigabit"},
    **{"h": "duration-hour", "hr": "duration-hour", "hrs": "duration-hour", "min": "duration-minute"},
    **{
        "mins": "duration-minute",
        "s": "duration-second",
        "sec": "duration-second",
        "secs": "duration-second",
    },
    **{"ms": "duration-millisecond", "m²": "area-square-meter", "m2": "area-square-meter"},
    **{"km²": "area-square-kilometer", "km2": "area-square-kilometer", "cm²": "area-square-centimeter"},
    **{"m³": "volume-cubic-meter", "m3": "volume-cubic-meter", "cm³": "volume-cubic-centimeter"},
    **{"ha": "area-hectare", "%": "concentr-percent", "‰": "concentr-permille"},
}
# After a space these single letters are as often something else ("Type 5 V", "the 2 s").
ATTACHED = {"L", "V", "W", "h", "s", "t"}
# Signs of one language alone.
DOTTED = {
    "en": {"in.": "length-inch"},
    "de": {
        "Std": "duration-hour",
        "Std.": "duration-hour",
        "Min": "duration-minute",
        "Min.": "duration-minute",
    }
    | {"Sek": "duration-second", "Sek.": "duration-second"},
    "ru": {"мин.": "duration-minute", "сек.": "duration-second"},
}

CURRENCIES = {
    **{"US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "HK$": "HKD"},
    **{"R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "₩": "KRW"},
    **{"₴": "UAH", "₺": "TRY", "₪": "ILS", "₱": "PHP", "฿": "THB", "₫": "VND", "Kč": "CZK", "zł": "PLN"},
    **{"руб.": "RUB", "руб": "RUB", "грн": "UAH"},
}
AFTER_AMOUNTS = {"Kč", "zł", "₽", "руб.", "руб", "грн"}  # never before one: "5 zł 50"
_ISO_CODES = "USD EUR GBP CHF CZK PLN JPY CNY INR RUB SEK NOK DKK AUD CAD NZD HUF"
CURRENCIES |= {code: code for code in _ISO_CODES.split(" ")}

_OF_ONE_COUNTRY = {
    "$",
    "€",
    "£",
    "¥",
    "₹",
    "₽",
    "₩",
    "₴",
    "₺",
    "₪",
    "R$",
    "Kč",
    "zł",
    "руб.",
    "руб",
    "грн",
}  # as their signs alone
_NOUN_FIRST = {"pt", "es", "it", "fr", "pl", "ro", "ca", "gl"}
_NOUN_LAST = {
    "en",
    "de",
    "nl",
    "sv",
    "da",
    "fi",
    "cs",
    "sk",
    "uk",
    "ru",
    "be",
    "bg",
    "no",
    "nb",
    "nn",
    "sr",
    "hr",
    "sl",
    "hu",
}


def local_units(locale: Any) -> dict[str, str]:
    """The signs of units in a script of its own, such as кг; those of one letter are left out, being words.

    Args:
        locale: Babel's.
    """
    from babel.units import format_unit

    found = {}
    for unit in dict.fromkeys(UNITS.values()):
        sign = format_unit(5, unit, length="short", locale=locale).replace("5", "").strip()
        if 1 < len(sign) <= 5 and not sign.isascii() and " " not in sign and sign not in UNITS:
            found[sign.rstrip(".")] = unit
    return found


def unit_name(unit: str, number: Decimal, locale: Any) -> str:
    """The name of a unit for so many of it; "" if Babel has none.

    Args:
        unit: A value of `UNITS`.
        number: How many.
        locale: Babel's.
    """
    from babel.numbers import format_decimal
    from babel.units import UnknownUnitError, format_unit

    written = format_decimal(number, locale=locale)
    for length in ("long", "short"):  # Babel lacks some long ones
        try:
            shown = format_unit(number, unit, length=length, locale=locale)
        except UnknownUnitError:
            return ""
        name = " ".join(shown.replace(written, " ").split())
        if name != unit and not any(c.isdigit() or c in "%/" for c in name):
            return name
    return ""


def currency_names(sign: str, number: Decimal, converter: str, locale: Any) -> tuple[str, str]:
    """The names of a currency and its hundredth for so many of it; "" for one that is not known.

    Args:
        sign: A key of `CURRENCIES`.
        number: How many.
        converter: num2words's name of the language: it says "dollars", Babel "US dollars".
        locale: Babel's.
    """
    from num2words import CONVERTER_CLASSES

    code = CURRENCIES[sign]
    converter_class = CONVERTER_CLASSES.get(converter)
    forms = getattr(converter_class, "CURRENCY_FORMS", {}).get(code)
    if converter != "en" and forms == CONVERTER_CLASSES["en"].CURRENCY_FORMS.get(code):
        forms = None  # a language that num2words has not finished says "dollars" as English does
    long = _babel_currency(code, sign, number, locale)
    if not forms:
        return long, ""
    pluralize = converter_class.pluralize
    whole = number == number.to_integral_value()
    try:
        short, hundredth = pluralize(int(number) if whole else 5, forms[0]), pluralize(2, forms[1])
    except (NotImplementedError, IndexError):  # some languages' plurals are not finished
        return long, ""
    if sign in _OF_ONE_COUNTRY and sign != "€":
        return _noun(short.removesuffix(" sterling"), locale.language), hundredth
    return long, hundredth


def _babel_currency(code: str, sign: str, number: Decimal, locale: Any) -> str:
    from babel.numbers import get_currency_name

    name = get_currency_name(code, count=float(number), locale=locale)
    if name == code:
        return ""
    return _noun(name, locale.language) if sign in _OF_ONE_COUNTRY else name


def _noun(name: str, language: str) -> str:
    """A currency without its country, which nobody says of the usual one: "korun" for "českých korun"."""
    words = name.split()
    if language in _NOUN_FIRST:
        return words[0].lower()
    return words[-1] if language in _NOUN_LAST and len(words) == 2 else name
