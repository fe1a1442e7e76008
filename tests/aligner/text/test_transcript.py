"""Transcripts and the tokens made of them."""

import pytest

from aligner.text.phonemizer import Phonemizer, load_phonemizer
from aligner.text.transcript import PAUSE, Tokens, Transcript, Word, normalised_word


@pytest.fixture(scope="module")
def gruut() -> Phonemizer:
    return load_phonemizer("gruut", "en-us")


def test_transcripts_go_through_a_manifest_unchanged(gruut: Phonemizer) -> None:
    for transcript in (gruut("Read the “end”, please."), load_phonemizer("tokens")("a b | c")):
        assert Transcript.from_dict(transcript.to_dict()) == transcript


def test_pauses_may_stand_anywhere_between_words(gruut: Phonemizer) -> None:
    tokens = gruut("garage door").tokens()
    assert [s for s, skip in zip(tokens.symbols, tokens.skippable, strict=True) if skip] == [PAUSE] * 3


def test_symbols_are_those_of_every_variant_and_of_fixed_tokens() -> None:
    transcript = Transcript((Word("a", (("ə",), ("e", "ɪ"))), Word("b", (("b", "i"),))), ("", "", ""))
    assert transcript.symbols() == {"ə", "e", "ɪ", "b", "i"}
    fixed = Tokens((PAUSE, "a", "b"), (-1, 0, 0), (False,) * 3)
    corpus_of_before = {
        "words": [["ab", ["a b"], "given"]],
        "breaks": ["", ""],
        "fixed": [["a", "b"], [0, 0]],
    }
    assert Transcript.from_dict(corpus_of_before).tokens() == Tokens(("a", "b"), (0, 0), (False, False))
    assert Transcript((Word("ab", (("a", "b"),), "given"),), ("", ""), fixed).symbols() == {PAUSE, "a", "b"}


def test_the_fewest_tokens_are_those_of_the_shortest_variants_without_pauses() -> None:
    transcript = Transcript((Word("a", (("e", "ɪ"), ("ə",))), Word("b", (("b", "i"),))), ("", "", ""))
    assert transcript.min_tokens() == 3
    assert load_phonemizer("tokens", pause_symbols=["sp"])("a b sp c").min_tokens() == 4


@pytest.mark.parametrize(("word", "same"), [("John’s,", "JOHNS"), ("co-op", "coop"), ("STRASSE", "straße")])
def test_spellings_of_one_word_are_the_same_normalised(word: str, same: str) -> None:
    assert normalised_word(word) == normalised_word(same)
    assert normalised_word("...") == "..."
