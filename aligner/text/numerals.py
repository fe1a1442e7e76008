"""Whole numbers in Chinese and Hindi, which num2words lacks."""

_CHINESE_DIGITS = "零一二三四五六七八九"
_CHINESE_PLACES = ("", "十", "百", "千")
_CHINESE_MYRIADS = ("", "万", "亿", "万亿")
_HINDI_WORDS = (
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस "
    "बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस "
    "पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस "
    "सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ "
    "बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर "
    "छिहत्तर सतहत्तर अठहत्तर उनासी अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी "
    "नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे "
)
_HINDI_BELOW_100 = _HINDI_WORDS.split()
_HINDI_PLACES = ((10**7, "करोड़"), (10**5, "लाख"), (10**3, "हज़ार"), (100, "सौ"))


def chinese(number: int) -> str:
    """A number below 10^16, as it is read: 20 is 二十, 101 一百零一."""
    if number == 0:
        return _CHINESE_DIGITS[0]
    words, gap = "", False
    for myriad in reversed(range(len(_CHINESE_MYRIADS))):
        group = number // 10 ** (4 * myriad) % 10**4
        for place in reversed(range(4)):
            digit = group // 10**place % 10
            if digit:
                words += _CHINESE_DIGITS[0] * (gap and bool(words))
                words += _CHINESE_DIGITS[digit] + _CHINESE_PLACES[place]
            gap = not digit
        words += _CHINESE_MYRIADS[myriad] if group else ""
    return words.removeprefix("一") if words.startswith("一十") else words


def hindi(number: int) -> str:
    """A number in lakhs and crores."""
    words: list[str] = []
    for value, name in _HINDI_PLACES:
        if number >= value:
            words += [hindi(number // value), name]
            number %= value
    return " ".join([*words, *([_HINDI_BELOW_100[number]] if number or not words else [])])


def hindi_year(number: int) -> str:
    """A year in hundreds: 1984 is उन्नीस सौ चौरासी."""
    hundreds = f"{_HINDI_BELOW_100[number // 100]} सौ"
    return f"{hundreds} {_HINDI_BELOW_100[number % 100]}" if number % 100 else hundreds
