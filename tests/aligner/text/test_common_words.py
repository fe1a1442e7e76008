"""The words that a corpus has most of."""

import math

import pytest
from stub_encoder import transcript_of

from aligner.text.common_words import _WORDS, common_words
from aligner.text.transcript import Tokens, Transcript, Word


def test_words_are_counted_whatever_their_capitals_and_have_all_pronunciations() -> None:
    the = Word("The", (("ð", "ə"), ("ð", "i")))
    texts = [Transcript((the, Word("cat", (("k", "æ", "t"),)))), Transcript((Word("the", the.variants),) * 2)]
    most, second, cat = common_words(texts)
    assert [most[0], second[0], cat[0]] == [("ð", "ə"), ("ð", "i"), ("k", "æ", "t")]
    assert most[1] == second[1] == pytest.approx(math.log(3 / 4))
    assert cat[1] == pytest.approx(math.log(1 / 4))


def test_of_one_phone_none_is_kept_and_the_order_of_texts_changes_nothing() -> None:
    texts = [transcript_of("a", "ab|b", "cd"), transcript_of("cd", "a", "ef"), transcript_of("a")]
    assert [phones for phones, _ in common_words(texts)] == [("c", "d"), ("a", "b"), ("e", "f")]
    assert common_words(texts) == common_words(texts[::-1])


def test_only_so_many_words_are_kept_and_none_of_own_tokens() -> None:
    names = [f"x{number}" for number in range(2 * _WORDS)]
    assert len(common_words([transcript_of(*names)])) == _WORDS
    tokens = Tokens.given(("a", "b"), (0, 0))
    assert common_words([Transcript((Word("ab", (("a", "b"),)),), fixed=tokens)]) == ()
