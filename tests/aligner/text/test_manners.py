"""How phones are made."""

import pytest

from aligner.text.manners import MANNERS, manners


@pytest.mark.parametrize(
    ("symbol", "begins", "ends"),
    [
        ("a", "vowel", "vowel"),
        ("aɪ", "vowel", "vowel"),
        ("ˈiː", "vowel", "vowel"),
        ("AH0", "vowel", "vowel"),
        ("er", "vowel", "vowel"),
        ("j", "glide", "glide"),
        ("HH", "h", "h"),
        ("ɹ", "liquid", "liquid"),
        ("dx", "liquid", "liquid"),
        ("ŋ", "nasal", "nasal"),
        ("ʃ", "voiceless fricative", "voiceless fricative"),
        ("ð", "voiced fricative", "voiced fricative"),
        ("tʰ", "voiceless stop", "voiceless stop"),
        ("b", "voiced stop", "voiced stop"),
        ("q", "voiceless stop", "voiceless stop"),
        ("ʔ", "glottal stop", "glottal stop"),
        ("t͡ʃ", "voiceless stop", "voiceless fricative"),
        ("d͡ʒ", "voiced stop", "voiced fricative"),
        ("sil", "unknown", "unknown"),
        ("你", "unknown", "unknown"),
        ("", "unknown", "unknown"),
    ],
)
def test_manners_of_phones(symbol: str, begins: str, ends: str) -> None:
    begin, end = manners([symbol])
    assert (MANNERS[begin[0]], MANNERS[end[0]]) == (begins, ends)


def test_no_symbols_are_no_error() -> None:
    begin, end = manners([])
    assert len(begin) == len(end) == 0
