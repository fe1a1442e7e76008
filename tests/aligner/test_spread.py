"""Spreads of boundaries: the curve from a spread to a probability, and how alignments keep them."""

import numpy as np
import pytest

from aligner.alignment import Alignment
from aligner.spread import (
    DISTANCES_S,
    LOG_ODDS,
    probability_within,
    spread_column,
    spread_s,
    spreads_of_column,
    with_spreads,
)


def alignment() -> Alignment:
    return Alignment.from_boundaries(
        "u", ["sil", "a", "sil", "b"], [-1, 0, -1, 1], ["a", "b"], [0, 0.2, 0.5, 0.5, 1.0], 1.0
    )


def test_half_of_all_boundaries_are_within_their_spread() -> None:
    for own_s in (0.003, 0.0081, 0.05, 0.2):
        assert probability_within(own_s, own_s) == pytest.approx(0.5)


def test_a_larger_distance_is_more_probable_and_a_larger_spread_less() -> None:
    spreads_s = np.array([0.004, 0.02, 0.1])
    found = np.stack([probability_within(spreads_s, at) for at in (0.001, 0.0025, 0.004, 0.02, 0.3, 1.0)])
    assert (np.diff(found, axis=0) > 0).all()
    assert (np.diff(found, axis=1) < 0).all()
    assert ((found > 0) & (found < 1)).all()


def test_the_log_odds_of_a_distance_are_its_own_less_those_of_the_spread() -> None:
    """By hand, at two of the distances that the curve is made of."""
    odds = np.exp(LOG_ODDS[4] - LOG_ODDS[2])
    assert probability_within(DISTANCES_S[2], DISTANCES_S[4]) == pytest.approx(odds / (1 + odds))


def test_a_difficulty_becomes_the_distance_of_even_odds() -> None:
    assert spread_s(LOG_ODDS) == pytest.approx(DISTANCES_S)
    assert spread_s(np.array([-100.0, 100.0])) == pytest.approx(DISTANCES_S[[0, -1]])


def test_what_a_person_set_is_certain() -> None:
    assert probability_within([0.0, 0.01], 0.001)[0] == 1.0


def test_a_distance_is_above_0() -> None:
    with pytest.raises(ValueError, match="distance_s 0: must be above 0"):
        probability_within(0.01, 0)


def test_of_boundaries_at_one_time_the_widest_spread_counts() -> None:
    own = with_spreads(alignment(), np.array([0, 0.2, 0.5, 0.5, 1.0]), np.array([0, 0.01, 0.003, 0.02, 0]))
    assert own.spreads_s == ((0.0, 0.0), (0.2, 0.01), (0.5, 0.02), (1.0, 0.0))


def test_the_ends_are_those_of_the_recording() -> None:
    boundaries_s = np.array([0.01, 0.2, 0.5, 0.5, 1.2])
    own = with_spreads(alignment(), boundaries_s, np.full(5, 0.01))
    assert [time_s for time_s, _ in own.spreads_s] == [0.0, 0.2, 0.5, 1.0]


def test_a_column_gives_back_what_it_is_made_of() -> None:
    own = with_spreads(alignment(), np.array([0, 0.2, 0.5, 0.5, 1.0]), np.array([0, 0.01, 0.003, 0.02, 0]))
    assert spread_column(own) == [0.0, 0.01, 0.02, 0.0]
    assert spreads_of_column(spread_column(own), own.tokens) == own.spreads_s
    assert spreads_of_column([0.01], own.tokens) == ()  # of other tokens
    assert spreads_of_column(None, own.tokens) == ()
    assert spread_column(alignment()) == [None] * 4
