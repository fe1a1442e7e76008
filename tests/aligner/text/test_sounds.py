"""What symbols of phones stand for."""

import pytest

from aligner.formats.tts import ARPABET
from aligner.text.sounds import ipa_letters, is_vowel


@pytest.mark.parametrize(
    ("symbol", "letters"),
    [
        ("AY1", "aɪ"), ("ay", "aɪ"), ("ˈaɪ", "aɪ"), ("t͡ʃ", "tʃ"), ("CH", "tʃ"), ("ɑː", "ɑ"), ("ɚ", "ɚ"),
        ("AXR", "ɚ"),
        ("n̩", "n"), ("ã", "a"), ("ç", "ç"), ("B", "b"), ("kʰ", "k"), ("a˥˩", "a"), ("a5", "a"), ("h#", ""),
        ("б", ""), ("spn", ""),
        ("", ""), ("1", ""), ("?", ""), ("Ah", "ʌ"), ("XY", ""), ("dcl", "d"),
    ],
)  # fmt: skip
def test_letters_of_ipa(symbol: str, letters: str) -> None:
    assert ipa_letters(symbol) == letters


def test_all_of_arpabet_is_known() -> None:
    vowels = {symbol for symbol in ARPABET if symbol[0] in "AEIOU"}
    assert {symbol for symbol in ARPABET if is_vowel(symbol)} == vowels
    assert not [symbol for symbol in ARPABET if is_vowel(symbol) is None]
    assert is_vowel("spn") is None


def test_all_symbols_of_gruuts_english_are_known() -> None:
    from aligner.text.phonemizer import load_phonemizer

    words = load_phonemizer("gruut", "en-us")("The quick judge's boys hear their vision chew thin fur.")
    assert not [symbol for symbol in words.symbols() if is_vowel(symbol) is None]
