"""Times as whole numbers of a unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_alignments import alignments, fewest_s, property_test

from aligner.alignment import Alignment, DoesNotFit, Interval
from aligner.formats.whole_units import in_whole_units


@property_test
@given(alignments(), st.sampled_from([1000, 1_000_000, 10_000_000]))
def test_tokens_follow_each_other_and_words_are_theirs(one: Alignment, per_s: int) -> None:
    if one.duration_s < fewest_s(one, per_s):
        return
    tokens, words = in_whole_units(one, per_s)
    assert [symbol for symbol, _, _ in tokens] == [token.symbol for token in one.tokens]
    assert tokens[0][1] == 0
    assert tokens[-1][2] == round(one.duration_s * per_s)
    assert all(end > start for _, start, end in (*tokens, *words))
    assert all(before[2] == after[1] for before, after in zip(tokens, tokens[1:], strict=False))
    for index, (symbol, start, end) in enumerate(words):
        own = [times for token, times in zip(one.tokens, tokens, strict=True) if token.word == index]
        assert (symbol, start, end) == (one.words[index].symbol, own[0][1], own[-1][2])
    if all(token.end_s - token.start_s > 2 / per_s for token in one.tokens):
        for token, (_, start, _) in zip(one.tokens, tokens, strict=True):
            assert abs(start - token.start_s * per_s) <= 0.5 + 1e-6


def test_what_has_no_phones_or_too_many_is_refused() -> None:
    with pytest.raises(DoesNotFit, match="u: has no phones"):
        in_whole_units(Alignment("u", 1.0, (), ()), 1000)
    many = Alignment.from_boundaries(
        "u", ["a"] * 5, [0] * 5, ["a"], [0, 0.001, 0.002, 0.003, 0.0035, 0.004], 0.004
    )
    with pytest.raises(DoesNotFit, match="u: 5 tokens in 4 units of 1/1000 s"):
        in_whole_units(many, 1000)


def test_words_without_phones_keep_their_times() -> None:
    one = Alignment("u", 1.0, (), (Interval("a", 0.1, 0.25), Interval("b", 0.9999, 1.0)))
    assert in_whole_units(one, 1000, words_alone=True) == ([], [("a", 100, 250), ("b", 999, 1000)])
