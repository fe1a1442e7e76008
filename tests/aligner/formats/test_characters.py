"""Times of characters, by the reading rule of ElevenLabs' users."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_alignments import alignments, property_test, write

from aligner.alignment import Alignment, Interval


def said(text: str, *words: str) -> Alignment:
    """An alignment of words of a second each, with a second between."""
    own = tuple(Interval(word, 2.0 * i + 1, 2.0 * i + 2, None, i) for i, word in enumerate(words))
    return Alignment("u", 2.0 * len(words) + 1, (), own, text=text)


def characters(one: Alignment, folder: Path, which: str = "alignment") -> list[tuple[str, float, float]]:
    data: dict[str, Any] = json.loads((write(one, "elevenlabs", folder) / f"{one.id}.json").read_text())[
        which
    ]
    keys = ("characters", "character_start_times_seconds", "character_end_times_seconds")
    return list(zip(*(data[key] for key in keys), strict=True))


def read_words(found: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """What users make of them: words end at white space."""
    words: list[tuple[str, float, float]] = []
    in_word = False
    for character, start_s, end_s in found:
        if character.isspace():
            in_word = False
            continue
        text, first_s, _ = words.pop() if in_word else ("", start_s, 0.0)
        words.append((text + character, first_s, end_s))
        in_word = True
    return words


@property_test
@given(alignments(), st.sampled_from(["", "what, was | said", "  w0  \n w1?! — w2 w3"]))
def test_the_characters_are_the_text_and_follow_each_other(tmp_path: Path, one: Alignment, text: str) -> None:
    one = replace(one, text=text)
    spoken = " ".join(word.symbol for word in one.words)
    for which, expected in (("alignment", text or spoken), ("normalized_alignment", spoken)):
        found = characters(one, tmp_path, which)
        assert "".join(character for character, _, _ in found) == expected
        times_s = [time_s for _, start_s, end_s in found for time_s in (start_s, end_s)]
        assert times_s == sorted(times_s)
        assert times_s[-1] <= one.duration_s + 1e-4
    for (text, start_s, end_s), word in zip(read_words(found), one.words, strict=True):
        assert text == word.symbol
        assert (start_s, end_s) == pytest.approx((word.start_s, word.end_s), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("Well, I did.", ["well", "I", "did"], [("Well,", 1, 2), ("I", 3, 4), ("did.", 5, 6)]),
        ("“So” he — said", ["so", "he", "said"], [("“So”", 1, 2), ("he", 3, 4), ("—", 4, 4), ("said", 5, 6)]),
        ("1984 he", ["nineteen", "eighty", "four", "he"], [("1984", 1, 6), ("he", 7, 8)]),
        ("It: $5, no", ["it", "five", "dollars", "no"], [("It:", 1, 2), ("$5,", 3, 6), ("no", 7, 8)]),
        ("a a a a", ["a", "a", "a", "a"], [("a", 1, 2), ("a", 3, 4), ("a", 5, 6), ("a", 7, 8)]),
        ("👍 ok", ["👍"], [("👍", 1, 2), ("ok", 2, 2)]),
        ("ice cream", ["ice cream"], [("ice", 1, 1.375), ("cream", 1.375, 2)]),
        ("STRASSE", ["straße"], [("STRASSE", 1, 2)]),
        ("no words here", ["other"], [("no", 1, 1.1818), ("words", 1.1818, 1.6364), ("here", 1.6364, 2)]),
    ],
)  # fmt: skip
def test_written_words_have_the_times_of_those_read(
    tmp_path: Path, text: str, words: list[str], expected: list[tuple[str, float, float]]
) -> None:
    assert read_words(characters(said(text, *words), tmp_path)) == [
        (piece, pytest.approx(start_s, abs=1e-4), pytest.approx(end_s, abs=1e-4))
        for piece, start_s, end_s in expected
    ]


def test_words_need_no_white_space_between_them(tmp_path: Path) -> None:
    found = characters(said("你好，世界。", "你", "好", "世", "界"), tmp_path)
    assert [(c, start_s) for c, start_s, _ in found] == [
        ("你", 1), ("好", 3), ("，", 3.5), ("世", 5), ("界", 7), ("。", 7.5)
    ]  # fmt: skip


def test_words_that_overlap_do_not_turn_back(tmp_path: Path) -> None:
    own = (Interval("a", 0.1, 0.5, None, 0), Interval("b", 0.4, 0.6, None, 1))
    found = characters(Alignment("u", 1.0, (), own), tmp_path)
    assert found == [("a", 0.1, 0.5), (" ", 0.5, 0.5), ("b", 0.5, 0.6)]
