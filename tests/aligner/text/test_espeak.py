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


@pytest.mark.parametrize(
    ("language", "hint"),
    [
        ("fr", "fr-be, fr-ch, fr-fr$"),
        ("en", "en-us"),
        ("pt_PT", "it has pt, pt-br$"),
        ("germn", "it has af, "),
        ("zh", "cmn"),
    ],
)
def test_a_code_that_espeak_lacks_is_answered_with_its_own(
    language: str, hint: str, espeak: Phonemizer
) -> None:
    with pytest.raises(AlignerError, match=f"eSpeak has no language '{language}'; .*{hint}"):
        load_phonemizer("espeak", language)


def test_numbers_that_no_table_has_are_read_by_espeak() -> None:
    five = load_phonemizer("espeak", "ur")("میرے پاس 5 کتابیں").words[2]
    assert five.text == "5"
    assert five.variants[0]


@pytest.mark.parametrize(
    ("language", "text", "letter"),
    [
        ("ja", "こんにちは世界", "世"),
        ("ja", "々", "々"),
        ("ko", "안녕 世界", "世"),
        ("de", "Ein Überfall mit 世", "世"),
        ("de", "Das heißt Привет", "П"),
        ("en-us", "Hello 你", "你"),
        ("hi", "नमस्ते 世", "世"),
        ("ru", "да 世", "世"),
    ],
)
def test_what_espeak_would_name_as_a_letter_of_another_script_is_refused(
    espeak: Phonemizer, language: str, text: str, letter: str
) -> None:
    with pytest.raises(AlignerError, match=f"has '{letter}'.*eSpeak does not read in '{language}'"):
        load_phonemizer("espeak", language)(text)


def test_a_latin_word_that_espeak_spells_in_a_language_of_another_script_is_refused(
    espeak: Phonemizer,
) -> None:
    with pytest.raises(AlignerError, match="'hello' in 'ja'"):
        load_phonemizer("espeak", "ja")("これは hello です")


@pytest.mark.parametrize(
    ("language", "text", "phones"),
    [
        ("ru", "hello мир", "h ə l əʊ"),
        ("el", "hello", "h ə l əʊ"),
        ("de", "Meeting", "m eː t ɪ ŋ"),
        ("de", "π", "p i"),
        ("hr", "Здраво", "z d ɾ a v o"),
        ("cmn", "好 hello", "χ ɑu2"),
        ("ja", "タワーDVDです", "t ä"),
    ],
)
def test_words_of_other_languages_and_scripts_that_espeak_can_read_are_read(
    espeak: Phonemizer, language: str, text: str, phones: str
) -> None:
    transcript = load_phonemizer("espeak", language)(text)
    assert " ".join(transcript.words[0].variants[0]) == phones
    assert all("tʃ aɪ n iː z" not in " ".join(word.variants[0]) for word in transcript.words)
    assert all("dʒ a p ə n iː z" not in " ".join(word.variants[0]) for word in transcript.words)


def test_a_word_of_the_own_lexicon_need_not_be_known_to_espeak(espeak: Phonemizer) -> None:
    own = load_phonemizer("espeak", "ja", lexicon=["世 s e", "界 k a i"])
    words = own("こんにちは世界").words
    assert [word.variants[0] for word in words[-2:]] == [("s", "e"), ("k", "a", "i")]
    assert words[-3].variants[0] == ("w", "ä") or words[-3].variants[0] == ("h", "ä")
