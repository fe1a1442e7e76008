"""The best path through any phones, against every such path through small utterances."""

import itertools

import numpy as np
import pytest
from stub_encoder import StubEncoder

from aligner.search.any_phones import AnyPhones

PRICE = 2.0


def best_score(emissions: np.ndarray, phones: AnyPhones) -> float:
    """Of all sequences of states, those that stay, go on within a phone, or begin one where one has ended."""
    ends, begins = set(phones.first[1:] - 1), set(phones.first[:-1])

    def price_of(before: int, after: int) -> float:
        if before == after or (after == before + 1 and after not in begins):
            return 0.0
        return PRICE if before in ends and after in begins else np.inf

    places = range(len(phones.states))
    return max(
        sum(emissions[frame, phones.states[place]] for frame, place in enumerate(path))
        - sum(itertools.starmap(price_of, itertools.pairwise(path)))
        for path in itertools.product(places, repeat=len(emissions))
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_path_through_any_phones_scores_more(seed: int) -> None:
    draw = np.random.default_rng(seed)
    phones = AnyPhones.of(StubEncoder(states=1 + seed % 2), 3)
    emissions = draw.integers(-6, 3, (int(draw.integers(1, 6)), 5)).astype(np.float32)
    assert phones.scores(emissions, PRICE).sum() == best_score(emissions, phones)


def test_phones_have_the_encoders_states_and_a_pause_is_none() -> None:
    phones = AnyPhones.of(StubEncoder(states=3), 3)
    assert phones.states.tolist() == [1, 2, 3, 4, 5, 6]
    assert phones.first.tolist() == [0, 3, 6]
