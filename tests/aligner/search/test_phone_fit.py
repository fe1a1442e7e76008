"""How well phones fit on a best path, against every way through small utterances."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from aligner.search.phone_fit import PhoneFit

STATES, FIRST, PHONES = np.array([1, 2, 3, 4]), np.array([0, 3, 4]), np.array([0, 0, 1, 2])


def ways(n_frames: int, tokens: Sequence[int], least: Sequence[int]) -> Iterator[np.ndarray]:
    """Every way of so many frames through tokens, each of which has at least so many."""
    for lengths in itertools.product(range(n_frames + 1), repeat=len(tokens)):
        if sum(lengths) == n_frames and all(n >= own for n, own in zip(lengths, least, strict=True)):
            yield np.repeat(tokens, lengths)


@pytest.mark.parametrize("seed", range(20))
def test_frames_and_losses_are_those_of_the_best_way(seed: int) -> None:
    """Two words, "aab" in three states and "c" in one, with a pause before, between and after, or none."""
    draw = np.random.default_rng(seed)
    emissions = draw.normal(0.0, 3.0, (7, 5)).astype(np.float32)
    pause, likeliest = draw.normal(1.0, 3.0, 7), draw.normal(5.0, 1.0, 7)
    scores = np.column_stack([emissions[:, STATES], pause])  # the pause is the last
    frames = np.arange(7)
    best = max(
        ways(7, [4, 0, 1, 2, 4, 3, 4], [0, 1, 1, 1, 0, 1, 0]), key=lambda way: scores[frames, way].sum()
    )
    found = PhoneFit.of(emissions, pause, likeliest, STATES, FIRST, PHONES)
    of_phone = [np.flatnonzero((best < 4) & (np.append(PHONES, -1)[best] == phone)) for phone in range(3)]
    assert found.frames.tolist() == [len(own) for own in of_phone]
    lost = [(likeliest[own] - scores[own, best[own]]).mean() for own in of_phone]
    np.testing.assert_allclose(found.lost, lost, rtol=1e-6)


def test_a_text_without_words_has_no_phones() -> None:
    none = np.zeros(0, np.int64)
    fit = PhoneFit.of(np.zeros((3, 2), np.float32), np.zeros(3), np.zeros(3), none, np.zeros(1, int), none)
    assert fit.frames.tolist() == fit.lost.tolist() == []
