"""How well phones fit on a best path, against every way through small utterances."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from aligner.search.phone_fit import PhoneFit
from aligner.search.word_states import WordStates

# Two words: "ab" in three states, or "c" in one; and "d" in one.
PHONES = np.array([0, 0, 1, 2, 3])
WORDS = WordStates(
    np.array([1, 2, 3, 4, 0]),
    np.array([0, 3, 4, 5]),
    np.array([0, 2, 3]),
    PHONES,
    np.array([1, 2, 3, 4]),
    np.array([0.0, -1.0, 0.0]),
)


def ways(n_frames: int, tokens: Sequence[int], least: Sequence[int]) -> Iterator[np.ndarray]:
    """Every way of so many frames through tokens, each of which has at least so many."""
    for lengths in itertools.product(range(n_frames + 1), repeat=len(tokens)):
        if sum(lengths) == n_frames and all(n >= own for n, own in zip(lengths, least, strict=True)):
            yield np.repeat(tokens, lengths)


@pytest.mark.parametrize("seed", range(20))
def test_frames_and_losses_are_those_of_the_best_way(seed: int) -> None:
    """With a pause before, between and after the words, or none."""
    draw = np.random.default_rng(seed)
    emissions = draw.normal(0.0, 3.0, (7, 5)).astype(np.float32)
    pause, likeliest = draw.normal(1.0, 3.0, 7), draw.normal(5.0, 1.0, 7)
    scores = np.column_stack([emissions[:, WORDS.states], pause])  # the pause is the last
    frames = np.arange(7)

    def score(way: np.ndarray) -> float:
        return scores[frames, way].sum() - 1.0 * (3 in way)

    every = (
        *ways(7, [5, 0, 1, 2, 5, 4, 5], [0, 1, 1, 1, 0, 1, 0]),
        *ways(7, [5, 3, 5, 4, 5], [0, 1, 0, 1, 0]),
    )
    best = max(every, key=score)
    found = PhoneFit.of(emissions, pause, likeliest, WORDS)
    assert found.variants.tolist() == [int(3 in best), 2]
    of_phone = [np.flatnonzero((best < 5) & (np.append(PHONES, -1)[best] == phone)) for phone in range(4)]
    assert found.frames.tolist() == [len(own) for own in of_phone]
    lost = [(likeliest[own] - scores[own, best[own]]).mean() if len(own) else 0.0 for own in of_phone]
    np.testing.assert_allclose(found.lost, lost, rtol=1e-6)


def test_a_text_without_words_has_no_phones() -> None:
    fit = PhoneFit.of(np.zeros((3, 2), np.float32), np.zeros(3), np.zeros(3), WORDS.part(1, 1))
    assert fit.frames.tolist() == fit.lost.tolist() == fit.variants.tolist() == []
