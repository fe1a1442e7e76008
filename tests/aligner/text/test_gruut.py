"""The phonemizer gruut: numbers, compounds, weak forms, guesses."""

import pytest
from phonemized import variants, words

from aligner.errors import AlignerError
from aligner.text.phonemizer import Phonemizer, load_phonemizer


@pytest.fixture(scope="module")
def gruut() -> Phonemizer:
    return load_phonemizer("gruut", "en-us")


def test_written_words_and_punctuation_survive(gruut: Phonemizer) -> None:
    transcript = gruut('John\'s brother, "he" said—didn’t he…')
    assert words(transcript) == ["John's", "brother", "he", "said", "didn’t", "he"]
    assert transcript.breaks == ("", "", ',"', '"', "—", "", "…")


def test_stress_is_dropped_unless_asked_for(gruut: Phonemizer) -> None:
    assert variants(gruut, "brother") == {"b ɹ ʌ ð ɚ"}
    assert variants(load_phonemizer("gruut", keep_stress=True), "brother") == {"b ɹ ˈʌ ð ɚ"}


def test_variants_are_those_of_the_lexicon_without_duplicates(gruut: Phonemizer) -> None:
    # The lexicon has tə, tˈɪ and tˈu: three forms that differ by more than stress.
    to = gruut("to").words[0].variants
    assert to == (("t", "ə"), ("t", "ɪ"), ("t", "u"))
    assert variants(gruut, "read") == {"ɹ i d", "ɹ ɛ d"}


@pytest.mark.parametrize(
    ("word", "weak"),
    [
        ("and", "ə n"),
        ("his", "ɪ z"),
        ("with", "w ə θ"),
        ("from", "f ɹ ə m"),
        ("don't", "d oʊ n"),
        ("The", "ð i"),
        ("around", "ə ɹ aʊ n d"),
    ],
)
def test_words_have_forms_that_the_lexicon_lacks(gruut: Phonemizer, word: str, weak: str) -> None:
    forms = variants(gruut, word)
    assert weak in forms
    assert len(forms) >= 2


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Dr. Smith", ["Doctor", "Smith"]),
        ("42", ["forty", "two"]),
        ("$5.20", ["five", "dollars", "twenty", "cents"]),
        ("in 1998,", ["in", "nineteen", "ninety", "eight"]),
        ("1990-1995", ["nineteen", "ninety", "nineteen", "ninety", "five"]),
        ("TTS", ["TTS"]),
        ("about 1/2 full", ["about", "one", "half", "full"]),
        ("you & me", ["you", "and", "me"]),
        ("and/or", ["and", "or"]),
    ],
)
def test_numbers_and_abbreviations_are_read_out(gruut: Phonemizer, text: str, read: list[str]) -> None:
    assert words(gruut(text)) == read


def test_each_word_of_a_compound_has_boundaries_of_its_own(gruut: Phonemizer) -> None:
    transcript = gruut("grade-equivalent")
    assert [word.text for word in transcript.words] == ["grade", "equivalent"]
    assert transcript.words[0].variants[0] == ("ɡ", "ɹ", "eɪ", "d")
    assert transcript.breaks == ("", "-", "")


@pytest.mark.parametrize(
    ("word", "ending"), [("Smith's", "s"), ("garage's", "ɪ z"), ("brother's", "z"), ("NBC's", "s i z")]
)
def test_possessives_follow_from_their_word(gruut: Phonemizer, word: str, ending: str) -> None:
    (spoken,) = gruut(word).words
    assert " ".join(spoken.variants[0]).endswith(ending)
    assert spoken.source == "lexicon"


def test_words_outside_the_lexicon_are_guessed_and_say_so(gruut: Phonemizer) -> None:
    (word,) = gruut("Sweynheim").words
    assert word.source == "g2p"
    assert len(word.variants[0]) >= 5


@pytest.mark.parametrize("text", ["about 1,5 full", "a < b", "a ^ b", "a_b", "€ money", "31/31/2024"])
def test_what_cannot_be_read_is_refused_not_dropped(gruut: Phonemizer, text: str) -> None:
    with pytest.raises(AlignerError, match="write"):
        gruut(text)


def test_the_same_text_gives_the_same_transcript_again(gruut: Phonemizer) -> None:
    text = "The 3 men of St. Paul's read it."
    assert gruut(text) == load_phonemizer("gruut", "en-us")(text) == gruut(text)
