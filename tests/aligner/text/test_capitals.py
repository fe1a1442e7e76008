"""Words in capitals: words or initials."""

import pytest
from phonemized import variants, words

from aligner.text.capitals import corpus_in_capitals, plainly_in_capitals, roman_number
from aligner.text.phonemizer import Phonemizer, load_phonemizer


@pytest.fixture(scope="module")
def gruut() -> Phonemizer:
    return load_phonemizer("gruut")


@pytest.mark.parametrize(
    ("word", "spoken", "spelt"),
    [
        ("US", "ʌ s", "j u ɛ s"),
        ("IT", "ɪ t", "aɪ t i"),
        ("WHO", "h u", "d ʌ b ə l j u eɪ t͡ʃ oʊ"),
        ("VERY", "v ɛ ɹ i", "v i i ɑ ɹ w aɪ"),
        ("NASA", "n æ s ə", "ɛ n eɪ ɛ s eɪ"),
        ("UK", "ʌ k", "j u k eɪ"),
        ("NASA's", "n æ s ə z", "ɛ n eɪ ɛ s eɪ z"),
        ("TVs", "t ɛ l ə v ɪ ʒ ə n z", "t i v i z"),
    ],
)
def test_a_word_in_capitals_among_others_has_both_readings(
    gruut: Phonemizer, word: str, spoken: str, spelt: str
) -> None:
    spelling = gruut(f"They told {word} so").words[2]
    assert spelling.text == word
    assert {spoken, spelt} <= {" ".join(variant) for variant in spelling.variants}


def test_letters_without_a_vowel_are_spelt_only(gruut: Phonemizer) -> None:
    assert variants(gruut, "TTS") == {"t i t i ɛ s"}
    assert variants(gruut, "U.S.") == {"j u ɛ s"}
    assert {"i d͡ʒ i", "f ɔ ɹ ɪ ɡ z æ m p ə l"} <= variants(gruut, "e.g.")


def test_long_words_in_capitals_are_words(gruut: Phonemizer) -> None:
    assert variants(gruut, "UNBELIEVABLE") == variants(gruut, "unbelievable")


def test_a_text_in_capitals_is_words(gruut: Phonemizer) -> None:
    loud, quiet = gruut("MISTER QUILTER IS THE APOSTLE OF US"), gruut("mister quilter is the apostle of us")
    assert [word.variants for word in loud.words] == [word.variants for word in quiet.words]
    assert words(loud)[0] == "MISTER"


def test_short_texts_in_capitals_depend_on_the_corpus(gruut: Phonemizer) -> None:
    either = gruut("TELL US").words
    assert len(either[1].variants) > len(gruut("us").words[0].variants)
    of_capitals = load_phonemizer("gruut", capitals="words")
    assert [word.variants for word in of_capitals("TELL US").words] == [
        word.variants for word in gruut("tell us").words
    ]
    assert of_capitals("Tell the US").words[2].variants == either[1].variants
    assert load_phonemizer("gruut", capitals="either")("HE IS NOT ONE OF US").words[5].variants == (
        either[1].variants
    )


def test_roman_numerals_are_numbers_or_ordinals(gruut: Phonemizer) -> None:
    assert {"eɪ t", "ð ə eɪ t θ"} <= variants(gruut, "VIII")
    assert {"f ɔ ɹ t i n", "ð ə f ɔ ɹ t i n θ"} <= variants(gruut, "XIV")
    assert roman_number("MCMXCIV") == 1994
    assert [roman_number(word) for word in ("IIII", "I", "VX", "Xi", "")] == [None] * 5
    assert "m ɪ k s" in variants(gruut, "MIX")


@pytest.mark.parametrize(
    ("texts", "capitals"),
    [
        (["HELLO THERE", "WHO IS IT", "YES"], True),
        (["Hello there", "who is it in the US", "NASA and the UK"], False),
        (["NASA", "US"], False),
        (["你好", "नमस्ते"], False),
        (["PLEASE CALL STELLA NOW", "one", "two", "three"], False),
        (["ПРИВЕТ МИР", "КАК ДЕЛА У ВАС"], True),
        ([], False),
    ],
)
def test_a_corpus_in_capitals_is_told_by_its_texts(texts: list[str], capitals: bool) -> None:
    assert corpus_in_capitals(texts) is capitals


def test_one_long_text_in_capitals_needs_no_corpus() -> None:
    assert plainly_in_capitals("MR. QUILTER, IS THE APOSTLE: 5!")
    assert not plainly_in_capitals("BBC NEWS")
    assert not plainly_in_capitals("MISTER QUILTER IS the APOSTLE OF US")
