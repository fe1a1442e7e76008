"""Texts cut into words and the punctuation around them, in every script."""

import pytest

from aligner.errors import AlignerError
from aligner.text.chunks import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("two  words", ["two", "words"]),
        ("said—didn't", ["said", "didn't"]),
        ("a--b wait...now", ["a", "b", "wait", "now"]),
        ("customer,welcome The end.Then he", ["customer", "welcome", "The", "end", "Then", "he"]),
        ("and/or grade-equivalent", ["and", "or", "grade", "equivalent"]),
        ("the U.S. is, e.g. here. A. Smith", ["the", "U.S.", "is", "e.g.", "here", "A", "Smith"]),
        ("_very_ «nice» ¿qué? „gut“", ["very", "nice", "qué", "gut"]),
        ("नमस्ते दुनिया।यह", ["नमस्ते", "दुनिया", "यह"]),
        ("你好，世界。", ["你", "好", "世", "界"]),
        ("きゃりー、世界", ["きゃ", "りー", "世", "界"]),
        ("안녕하세요,세계!", ["안녕하세요", "세계"]),
        ("مرحبا،بالعالم؟", ["مرحبا", "بالعالم"]),
        ("صה״ל שָׁלוֹם", ["صה״ל", "שָׁלוֹם"]),
        ("สวัสดี ชาวโลก", ["สวัสดี", "ชาวโลก"]),
        ("col·legi", ["col·legi"]),
        ("wow😀great 👍🏽 ☃", ["wow", "great"]),
    ],
)
def test_words_end_at_white_space_and_punctuation(text: str, words: list[str]) -> None:
    assert split_words(text)[0] == words


def test_breaks_are_one_more_than_words() -> None:
    assert split_words('He said, "no" — (and) left.') == (
        ["He", "said", "no", "and", "left"],
        ["", "", ',"', '"—(', ")", "."],
    )
    assert split_words("?!") == ([], ["?!"])


@pytest.mark.parametrize("sign", ["_", "^", "|", "→"])
def test_a_sign_without_a_reading_is_named(sign: str) -> None:
    with pytest.raises(AlignerError, match="no letter"):
        split_words(f"a{sign}b")
