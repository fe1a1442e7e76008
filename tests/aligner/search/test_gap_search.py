"""The search in which words may be missing and speech may be extra, against every way through small texts.

S frames, V pronunciations, W words, M states of the model.
"""

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from aligner.search.gap_search import GapCosts, _left_over, search_gaps
from aligner.search.word_states import WordStates

EXTRA = np.array([4.0, 5.0, 3.0, 4.0])  # speech that the text lacks, at each junction
BEGIN = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0])  # where it begins with a frame
END = np.array([9.0, 0.0, 2.0, 0.0, 1.0, 3.0, 0.0])  # where it ends before one
BESIDE = np.array([1.0, 0.0, 2.0, 1.0])  # so many times both, at each junction
UNSAID = np.array([3.0, 4.0, 2.0])  # of words that are not said, by the first of them
WORD_COSTS = np.array([1.0, 2.0, 1.0])  # of each of these
EDGE = np.array([0.0, 1.0, -2.0, 1.0])  # at either end of these

Words = Sequence[Sequence[Sequence[int]]]  # the states of each pronunciation of each word


def of(words: Words, log_priors: Sequence[float] | None = None) -> WordStates:
    """Words with a phone for each state."""
    variants = [own for word in words for own in word]
    states = np.array([state for own in variants for state in own], np.int64)
    return WordStates(
        states,
        np.cumsum([0, *map(len, variants)]),
        np.cumsum([0, *map(len, words)]),
        np.arange(len(states)),
        states,
        np.zeros(len(variants)) if log_priors is None else np.array(log_priors),
    )


def best_with(
    emissions: np.ndarray,
    pause: np.ndarray,
    gap: np.ndarray,
    words: Words,
    log_priors: Sequence[float],
    unsaid: frozenset[int],
    extra: frozenset[int],
) -> float:
    """The score of the best path on which these words are not said and so many places have extra speech.

    Args:
        emissions: `[S, M]`.
        pause: `[S]`.
        gap: `[S]`.
        words: The states of each pronunciation of each word.
        log_priors: `[V]`.
        unsaid: Indices of words.
        extra: The junctions with extra speech, none within a run of words that are not said.
    """
    n_frames, n_words = len(emissions), len(words)
    first = np.cumsum([0, *map(len, words)])
    after = END[-1 - n_frames :]

    @cache
    def between(junction: int, start: int, run: bool) -> float:
        """From `start` on, where a junction begins; whether the word before it is not said."""
        best = -np.inf
        run_end = EDGE[junction] if run else 0.0
        for a in range(start, n_frames + 1):
            ends = range(a + 1, n_frames + 1) if junction in extra else (a,)
            for b in ends:
                score = pause[start:a].sum() + gap[a:b].sum()
                if junction in extra:
                    score -= EXTRA[junction] + BESIDE[junction] * (BEGIN[a] + after[b])
                for c in range(b, n_frames + 1):
                    total = score + pause[b:c].sum()
                    if junction == n_words:
                        best = max(best, total - run_end) if c == n_frames else best
                    elif junction not in unsaid:
                        best = max(best, total - run_end + inside(junction, c))
                    elif run and c == start:
                        best = max(best, between(junction + 1, c, True) - WORD_COSTS[junction])
                    else:
                        cost = run_end + UNSAID[junction] + EDGE[junction] + WORD_COSTS[junction]
                        best = max(best, total + between(junction + 1, c, True) - cost)
        return float(best)

    @cache
    def inside(word: int, start: int) -> float:
        """From `start` on, where a word begins."""
        best = -np.inf
        for n, states in enumerate(words[word]):
            for end in range(start + len(states), n_frames + 1):
                for cuts in itertools.combinations(range(start + 1, end), len(states) - 1):
                    edges = (start, *cuts, end)
                    own = sum(
                        emissions[a:b, state].sum()
                        for a, b, state in zip(edges, edges[1:], states, strict=False)
                    )
                    total = own + log_priors[first[word] + n] + between(word + 1, end, False)
                    best = max(best, total)
        return float(best)

    return between(0, 0, False)


def subsets(of: range) -> list[frozenset[int]]:
    return [frozenset(own) for n in range(len(of) + 1) for own in itertools.combinations(of, n)]


@pytest.mark.parametrize("seed", range(40))
def test_no_other_words_left_out_and_no_other_speech_put_in_score_more(seed: int) -> None:
    draw = np.random.default_rng(seed)
    words = [
        [draw.integers(4, size=draw.integers(1, 3)).tolist() for _ in range(draw.integers(1, 3))]
        for _ in range(draw.integers(1, 4))
    ]
    log_priors = -draw.integers(3, size=sum(map(len, words))).astype(float)
    emissions = draw.integers(-6, 3, (int(draw.integers(2, 6)), 4)).astype(np.float32)
    pause, gap = draw.integers(-6, 3, (2, len(emissions))).astype(float)
    n = len(words)
    costs = GapCosts(
        EXTRA[: n + 1],
        BEGIN[: len(emissions)],
        END[-1 - len(emissions) :],
        BESIDE[: n + 1],
        UNSAID[:n],
        WORD_COSTS[:n],
        EDGE[: n + 1],
    )
    path = search_gaps(emissions, pause, gap, of(words, log_priors), costs)
    assert (path.starts < 0).tolist() == (path.variants < 0).tolist() == path.unsaid.tolist()
    assert (np.diff(path.starts[~path.unsaid]) > 0).all()
    scores = {
        (left_out, put_in): best_with(emissions, pause, gap, words, log_priors, left_out, put_in)
        for left_out in subsets(range(n))
        for put_in in subsets(range(n + 1))
    }
    unsaid = frozenset(np.flatnonzero(path.unsaid).tolist())
    found = scores[unsaid, frozenset(np.flatnonzero(path.extra).tolist())]
    assert found == max(scores.values())
    # With the pronunciations it has chosen alone it is as good.
    chosen = np.where(path.unsaid, np.cumsum([0, *map(len, words)])[:-1], path.variants)
    alone = [[[own for word in words for own in word][variant]] for variant in chosen]
    extra = frozenset(np.flatnonzero(path.extra).tolist())
    assert found == best_with(emissions, pause, gap, alone, log_priors[chosen], unsaid, extra)


def test_where_nothing_is_gained_nothing_is_marked() -> None:
    emissions = np.full((6, 3), -9.0, np.float32)
    emissions[[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]] = 0.0
    likeliest = np.zeros(6) - 1.0
    costs = GapCosts(EXTRA, BEGIN, END, BESIDE, UNSAID, WORD_COSTS, EDGE)
    path = search_gaps(emissions, np.full(6, -9.0), likeliest, of([[[0]], [[1]], [[2]]]), costs)
    assert not path.differs
    assert path.starts.tolist() == [0, 2, 4]


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
