"""Whole numbers in Chinese and Hindi."""

import pytest

from aligner.text.numerals import chinese, hindi, hindi_year


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "零"),
        (7, "七"),
        (10, "十"),
        (15, "十五"),
        (20, "二十"),
        (101, "一百零一"),
        (110, "一百一十"),
        (1984, "一千九百八十四"),
        (2005, "二千零五"),
        (10086, "一万零八十六"),
        (100000, "十万"),
        (1000500, "一百万零五百"),
        (20000000, "二千万"),
        (300000001, "三亿零一"),
    ],
)
def test_chinese(number: int, words: str) -> None:
    assert chinese(number) == words


def test_hindi() -> None:
    assert [hindi(n) for n in (0, 21, 100, 99)] == ["शून्य", "इक्कीस", "एक सौ", "निन्यानवे"]
    assert hindi(12345678) == "एक करोड़ तेईस लाख पैंतालीस हज़ार छह सौ अठहत्तर"
    assert len({hindi(n) for n in range(100)}) == 100
    assert hindi_year(1984) == "उन्नीस सौ चौरासी"
    assert hindi_year(1900) == "उन्नीस सौ"
