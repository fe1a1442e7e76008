"""The search in which words may be missing and speech may be extra, against every way through small texts.

S frames, T states, W words, M states of the model.
"""

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from aligner.search.gap_search import _left_over, search_gaps

BEGIN = np.array([5.0, 6.0, 4.0, 5.0, 7.0, 5.0])  # where speech that the text lacks begins with a frame
END = np.array([9.0, 0.0, 2.0, 0.0, 1.0, 3.0, 0.0])  # where it ends before one
UNSAID = np.array([3.0, 4.0, 2.0])  # of words that are not said, by the first of them
WORD_COSTS = np.array([1.0, 2.0, 1.0])  # of each of these


def best_with(
    emissions: np.ndarray,
    pause: np.ndarray,
    gap: np.ndarray,
    words: Sequence[Sequence[int]],
    unsaid: frozenset[int],
    extra: frozenset[int],
) -> float:
    """The score of the best path on which these words are not said and so many places have extra speech.

    Args:
        emissions: `[S, M]`.
        pause: `[S]`.
        gap: `[S]`.
        words: The states of each word.
        unsaid: Indices of words.
        extra: The places with extra speech, each by how many words that are said are before it.
    """
    said = [states for index, states in enumerate(words) if index not in unsaid]
    n_frames = len(emissions)

    @cache
    def between(place: int, start: int) -> float:
        """From `start` on, where a place between words begins."""
        best = -np.inf
        for a in range(start, n_frames + 1):
            ends = range(a + 1, n_frames + 1) if place in extra else (a,)
            for b in ends:
                score = (
                    pause[start:a].sum()
                    + gap[a:b].sum()
                    - (BEGIN[a] + END[-1 - n_frames + b] if place in extra else 0.0)
                )
                for c in range(b, n_frames + 1):
                    if place < len(said):
                        best = max(best, score + pause[b:c].sum() + inside(place, 0, c))
                    elif c == n_frames:
                        best = max(best, score + pause[b:c].sum())
        return best

    @cache
    def inside(word: int, part: int, start: int) -> float:
        """From `start` on, where a state of a word begins."""
        if part == len(said[word]):
            return between(word + 1, start)
        return max(
            (
                emissions[start:end, said[word][part]].sum() + inside(word, part + 1, end)
                for end in range(start + 1, n_frames + 1)
            ),
            default=-np.inf,
        )

    runs = [index for index in unsaid if index - 1 not in unsaid]
    return float(between(0, 0) - UNSAID[runs].sum() - WORD_COSTS[list(unsaid)].sum())


def subsets(of: range) -> list[frozenset[int]]:
    return [frozenset(own) for n in range(len(of) + 1) for own in itertools.combinations(of, n)]


@pytest.mark.parametrize("seed", range(40))
def test_no_other_words_left_out_and_no_other_speech_put_in_score_more(seed: int) -> None:
    draw = np.random.default_rng(seed)
    words = [draw.integers(4, size=draw.integers(1, 3)).tolist() for _ in range(draw.integers(1, 4))]
    emissions = draw.integers(-6, 3, (int(draw.integers(2, 7)), 4)).astype(np.float32)
    pause, gap = draw.integers(-6, 3, (2, len(emissions))).astype(float)
    first = np.cumsum([0, *map(len, words)])
    ends = END[-1 - len(emissions) :]
    dropped, speech, starts = search_gaps(
        emissions, pause, gap, np.concatenate(words), first, BEGIN, ends, UNSAID, WORD_COSTS[: len(words)]
    )
    assert (starts < 0).tolist() == dropped.tolist()
    assert (np.diff(starts[~dropped]) > 0).all()
    unsaid = frozenset(np.flatnonzero(dropped).tolist())
    extra = frozenset(int((~dropped[:junction]).sum()) for junction in np.flatnonzero(speech))
    scores = {
        (left_out, put_in): best_with(emissions, pause, gap, words, left_out, put_in)
        for left_out in subsets(range(len(words)))
        for put_in in subsets(range(len(words) - len(left_out) + 1))
    }
    assert scores[unsaid, extra] == max(scores.values())


def test_where_nothing_is_gained_nothing_is_marked() -> None:
    emissions = np.full((6, 3), -9.0, np.float32)
    emissions[[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]] = 0.0
    likeliest = np.zeros(6) - 1.0
    dropped, speech, starts = search_gaps(
        emissions,
        np.full(6, -9.0),
        likeliest,
        np.array([0, 1, 2]),
        np.arange(4),
        BEGIN,
        END,
        UNSAID,
        WORD_COSTS,
    )
    assert not dropped.any()
    assert not speech.any()
    assert starts.tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("unsaid", "extra", "left_over"),
    [
        ("110110", "", "001000"),
        ("11110011110", "", "00001100000"),
        ("10100", "", "00000"),  # one word, said between two that are not
        ("1100110", "", "0000000"),  # as many on either side
        ("10110", "", "01000"),  # its second word
        ("11011", "", "00100"),
        ("1001111", "", "0000000"),
        ("0110", "", "0000"),
        ("110110", "2", "000000"),  # speech that the text lacks begins there
        ("110110", "3", "000000"),
        ("110110", "5", "001000"),
        ("11", "", "00"),
        ("0", "", "0"),
    ],
)
def test_words_left_over_of_a_sentence_that_is_not_said(unsaid: str, extra: str, left_over: str) -> None:
    is_extra = np.zeros(len(unsaid) + 1, bool)
    is_extra[[int(place) for place in extra]] = True
    found = _left_over(np.array([letter == "1" for letter in unsaid]), is_extra)
    assert "".join("01"[own] for own in found.astype(int)) == left_over
