"""Chapters into utterances: the text's pieces, the plan of cuts, what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from aligner.alignment import Alignment, Gap, Interval
from aligner.errors import AlignerError
from aligner.segment import Limits, Piece, cut_at_pauses, pieces_of, with_unsaid
from aligner.text.phonemizer import load_phonemizer
from aligner.text.transcript import Transcript

ENGLISH = load_phonemizer("gruut", "en-us")


def said(text: str) -> list[str]:
    return [word.text for word in ENGLISH(text).words]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there.", ["Hello", "there."]),
        ("He met St. Paul there", ["He", "met", "St. Paul", "there"]),
        ("No. 7 is here", ["No. 7", "is", "here"]),
        ("It cost $5 in 1990.", ["It", "cost", "$5", "in", "1990."]),
        ("Yes — he said — no", ["Yes", "— he", "said", "— no"]),
        ("the end —", ["the", "end —"]),
        ("well [laughter] I did", ["well", "[laughter] I", "did"]),
        ("“Quite so,” he said;\nshe\tdid not.", ["“Quite", "so,”", "he", "said;", "she", "did", "not."]),
        ("at 10:30 p.m. it rained", ["at", "10:30", "p.m.", "it", "rained"]),
        ("well-known men", ["well-known", "men"]),
        ("One", ["One"]),
    ],
)
def test_a_text_falls_into_pieces_that_are_read_alone_as_in_the_whole(text: str, pieces: list[str]) -> None:
    found = pieces_of(text, ENGLISH)
    assert [piece.text for piece in found] == pieces
    assert [piece.n_words for piece in found] == [len(said(piece)) for piece in pieces]
    assert [word for piece in pieces for word in said(piece)] == said(text)


def test_what_changes_only_later_makes_an_earlier_piece_longer() -> None:
    def phonemize(text: str) -> Transcript:
        return ENGLISH(text.replace("1 000", "thousand").replace("1", "one").replace("000", "nought"))

    assert [piece.text for piece in pieces_of("about 1 000 men", phonemize)] == ["about", "1 000", "men"]


def test_a_text_of_which_nothing_can_be_read_alone_is_refused() -> None:
    def phonemize(text: str) -> Transcript:
        return ENGLISH("other" if len(text.split()) < 20 else text)

    with pytest.raises(AlignerError, match="no part that is read alone"):
        pieces_of("one " * 20, phonemize)


def test_a_long_text_takes_no_long_time() -> None:
    text = "Mr. Smith paid $5 to St. Paul in 1990 — he said. No. 7 came at 10:30 p.m. and left. " * 500
    assert sum(piece.n_words for piece in pieces_of(text, ENGLISH)) == len(said(text))


def spoken(*words: tuple[str, float, float], end_s: float) -> tuple[Alignment, list[Piece]]:
    """An alignment of words with these starts and ends, and its pieces."""
    spans = tuple(
        Interval(text.strip(".,"), start_s, end_s, None, n) for n, (text, start_s, end_s) in enumerate(words)
    )
    return Alignment("c", end_s, (), spans), [Piece(text, 1) for text, _, _ in words]


def test_cuts_lie_at_sentence_ends_and_keep_a_little_of_the_pause() -> None:
    alignment, pieces = spoken(
        ("a.", 1.0, 3.0), ("b,", 3.6, 5.0), ("c.", 5.6, 7.0), ("d.", 9.0, 11.0), end_s=11.1
    )
    found = cut_at_pauses(alignment, pieces, Limits(1.0, 12.0))
    assert [own.text for own in found] == ["a.", "b, c.", "d."]
    assert [own.problem for own in found] == [""] * 3
    times = [(own.start_s, own.end_s) for own in found]
    np.testing.assert_allclose(times, [(0.75, 3.25), (3.35, 7.25), (8.75, 11.1)])
    assert [alignment.words[own.words][0].symbol for own in found] == ["a", "b", "d"]


def test_a_sentence_that_is_too_long_is_cut_inside_at_its_longest_pauses() -> None:
    alignment, pieces = spoken(
        ("a", 0.0, 3.0), ("b", 3.2, 6.0), ("c", 6.5, 9.0), ("d.", 9.2, 12.0), end_s=12.0
    )
    assert [own.text for own in cut_at_pauses(alignment, pieces, Limits(1.0, 8.0))] == ["a b", "c d."]


def test_short_sentences_stay_together() -> None:
    alignment, pieces = spoken(("a.", 0.0, 0.5), ("b.", 1.2, 1.6), ("c.", 2.4, 5.0), end_s=5.0)
    found = cut_at_pauses(alignment, pieces, Limits(1.0, 12.0))
    assert [own.text for own in found] == ["a. b.", "c."]


def test_what_no_pause_makes_fit_is_left_out_with_the_reason_and_costs_no_other() -> None:
    alignment, pieces = spoken(
        ("a.", 0.0, 2.0), ("b", 3.0, 9.0), ("c.", 9.1, 16.0), ("d.", 17.0, 19.0), end_s=19.0
    )
    found = cut_at_pauses(alignment, pieces, Limits(1.0, 12.0))
    assert [own.text for own in found] == ["a.", "b c.", "d."]
    assert [bool(own.problem) for own in found] == [False, True, False]
    assert found[1].problem == "13.5 s without a pause to cut at, longer than 12 s"
    alignment, pieces = spoken(("a.", 0.0, 0.4), end_s=0.4)
    (found_alone,) = cut_at_pauses(alignment, pieces, Limits(1.0, 12.0))
    assert found_alone.problem == "0.4 s between two pauses, shorter than 1 s"


def test_words_that_are_not_said_are_put_where_they_should_have_been() -> None:
    alignment, _ = spoken(("a.", 1.0, 2.0), ("d.", 3.0, 4.0), ("e.", 5.0, 6.0), end_s=7.0)
    gaps = (Gap(2.0, 2.0, ("b", "c")), Gap(4.2, 4.8, ("x",)), Gap(6.0, 6.0, ("f",)))
    whole = with_unsaid(replace(alignment, gaps=gaps))
    assert [word.symbol for word in whole.words] == ["a", "b", "c", "d", "x", "e", "f"]
    assert [(w.start_s, w.end_s) for w in whole.words if w.symbol in "bcxf"] == [
        (2.5, 2.5), (2.5, 2.5), (4.2, 4.2), (6.0, 6.0),
    ]  # fmt: skip


def test_what_is_not_said_is_left_out_alone() -> None:
    alignment, pieces = spoken(
        ("a", 1.0, 2.0), ("b.", 2.0, 3.0), ("c", 3.0, 3.0), ("d.", 3.0, 3.0), ("e", 3.0, 4.0),
        ("f.", 4.0, 6.0), end_s=6.0,
    )  # fmt: skip
    found = cut_at_pauses(replace(alignment, gaps=(Gap(3.0, 3.0, ("c", "d")),)), pieces, Limits(1.0, 12.0))
    assert [(own.text, own.problem) for own in found] == [
        ("a b.", ""), ("c d.", "2 of its 2 words are not said"), ("e f.", ""),
    ]  # fmt: skip


def test_what_the_text_lacks_is_in_no_utterance() -> None:
    alignment, pieces = spoken(
        ("a", 1.0, 2.0), ("b.", 2.0, 3.0), ("c", 5.0, 6.0), ("d.", 6.0, 8.0), end_s=8.0
    )
    extra = replace(alignment, gaps=(Gap(3.1, 4.9),))
    found = cut_at_pauses(extra, pieces, Limits(1.0, 12.0))
    assert [(own.text, own.problem) for own in found] == [("a b.", ""), ("c d.", "")]
    assert [(own.start_s, own.end_s) for own in found] == [(0.75, 3.1), (4.9, 8.0)]
    one_piece = [Piece("a b. c d.", 4)]
    (whole,) = cut_at_pauses(extra, one_piece, Limits(1.0, 12.0))
    assert whole.problem == "something is said in it that the text lacks"
    (partly,) = cut_at_pauses(
        with_unsaid(replace(alignment, gaps=(Gap(3.0, 3.0, ("x",)),))),
        [Piece("a b. x c d.", 5)],
        Limits(1.0, 12.0),
    )
    assert partly.problem == "1 of its 5 words are not said"


def test_a_pause_too_short_for_a_pause_is_no_place_to_cut() -> None:
    limits = Limits(1.0, 3.0)
    alignment, pieces = spoken(("a", 0.0, 2.0), ("b.", 2.1, 4.0), end_s=4.0)
    assert [own.text for own in cut_at_pauses(alignment, pieces, limits)] == ["a b."]
    alignment, pieces = spoken(("a.", 0.0, 2.0), ("b.", 2.1, 4.0), end_s=4.0)
    assert [own.text for own in cut_at_pauses(alignment, pieces, limits)] == ["a.", "b."]
    alignment, pieces = spoken(("a.", 0.0, 2.0), ("b.", 2.02, 4.0), end_s=4.0)
    assert [own.text for own in cut_at_pauses(alignment, pieces, limits)] == ["a. b."]


def test_all_words_are_in_one_segment_each_whatever_the_lengths() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        n = int(draw.integers(1, 60))
        edges = np.cumsum(draw.uniform(0.02, 1.5, 2 * n))
        words = [(f"w{'.' if draw.random() < 0.2 else ''}", edges[2 * i], edges[2 * i + 1]) for i in range(n)]
        alignment, pieces = spoken(*words, end_s=float(edges[-1]) + 0.3)
        limits = Limits(1.0, 5.0)
        found = cut_at_pauses(alignment, pieces, limits)
        assert " ".join(own.text for own in found) == " ".join(piece.text for piece in pieces)
        assert sum(len(alignment.words[own.words]) for own in found) == n
        for own in found:
            inside = limits.shortest_s <= own.end_s - own.start_s <= limits.longest_s
            assert inside != bool(own.problem)
            own_words = alignment.words[own.words]
            assert own.start_s <= own_words[0].start_s
            assert own_words[-1].end_s <= own.end_s
        assert all(a.end_s <= b.start_s for a, b in zip(found[:-1], found[1:], strict=True))
