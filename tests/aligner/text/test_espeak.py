"""The phonemizer espeak: phones in the context of the sentence."""

import pytest
from phonemized import words

from aligner.errors import AlignerError
from aligner.text.phonemizer import Phonemizer, load_phonemizer


@pytest.fixture(scope="module")
def espeak() -> Phonemizer:
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("phonemizer")
    return load_phonemizer("espeak", "en-us")


def test_espeak_keeps_one_word_per_written_word(espeak: Phonemizer) -> None:
    transcript = espeak("The end of the 42 brothers, isn't it?")
    assert words(transcript) == ["The", "end", "of", "the", "forty", "two", "brothers", "isn't", "it"]
    assert transcript.breaks[-1] == "?"
    assert transcript.breaks[7] == ","
    assert transcript.words[6].variants[0] == ("b", "ɹ", "ʌ", "ð", "ɚ", "z")
    # eSpeak says "of the" as one word, so the words cannot be counted off.
    assert transcript.words[4].variants[0] == tuple(["f", "ɔːɹ", "ɾ", "i"])
    assert transcript.words[2].variants[0] == ("ʌ", "v")
    assert transcript.words[3].variants[0] == ("ð", "ə")


def test_espeak_gives_the_reduced_form_in_context_first(espeak: Phonemizer) -> None:
    a = espeak("He had a dog.").words[2]
    assert a.variants == (("ɐ",), ("eɪ",))


def test_espeak_speaks_other_languages(espeak: Phonemizer) -> None:
    (word,) = load_phonemizer("espeak", "de")("Straße").words
    assert word.variants == (("ʃ", "t", "ɾ", "ɑː", "s", "ə"),)
    with pytest.raises(AlignerError, match="no language"):
        load_phonemizer("espeak", "xx-nowhere")


def test_numbers_that_no_table_has_are_read_by_espeak() -> None:
    five = load_phonemizer("espeak", "ur")("میرے پاس 5 کتابیں").words[2]
    assert five.text == "5"
    assert five.variants[0]
