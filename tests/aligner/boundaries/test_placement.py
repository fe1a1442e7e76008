"""Where a boundary is put, with weights made by hand, and what comes with the package.

n boundaries, K times near each, Q features.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aligner.boundaries.meetings import Meetings
from aligner.boundaries.placement import Candidates, Placement, fitted_placement
from aligner.text.manners import MANNERS

N_MANNERS = len(MANNERS)
TIMES_S = np.array([[0.29, 0.30, 0.31]])


def candidates(
    features: list[list[float]],
    allowed: tuple[bool, ...] = (True, True, True),
    before: int = 0,
    after: int = 0,
    edge_s: float = 0.3,
) -> Candidates:
    """One boundary with three times."""
    one = np.zeros(1, np.int64)
    flag = np.zeros(1, bool)
    meeting = Meetings(one, np.zeros(1), np.array([edge_s]), np.ones(1), flag, flag, one + 1, one + 1)
    return Candidates(
        meeting,
        np.array([before]),
        np.array([after]),
        TIMES_S,
        np.array([allowed]),
        torch.tensor([features], dtype=torch.float32),
    )


def weights(*values: float) -> NDArray[np.float32]:
    return np.tile(np.array(values, np.float32), (N_MANNERS, N_MANNERS, 1))


def test_without_merit_it_is_the_mean_of_the_times() -> None:
    own = Placement(weights(1.0))
    assert own.places(candidates([[0], [0], [0]])).times_s == pytest.approx([0.3])
    assert own.places(candidates([[0], [0], [0]], (False, True, True))).times_s == pytest.approx([0.305])


def test_times_count_by_the_exponential_of_their_merit() -> None:
    own = Placement(weights(1.0, -2.0))
    found = own.places(candidates([[0, 0], [np.log(2), 0], [np.log(5), np.log(2) / 2]]))
    shares = np.array([1, 2, 2.5]) / 5.5
    mean_s = (TIMES_S[0] * shares).sum()
    assert found.times_s == pytest.approx([mean_s], abs=1e-5)
    assert found.deviations_s == pytest.approx([np.sqrt((np.square(TIMES_S[0] - mean_s) * shares).sum())])


def test_where_no_time_is_allowed_it_stays() -> None:
    own = Placement(weights(1.0))
    found = own.places(candidates([[0], [9], [0]], (False,) * 3, edge_s=0.2987654321))
    assert found.times_s[0] == 0.2987654321
    assert np.isnan(found.deviations_s[0])


def test_weights_are_those_of_the_two_phones() -> None:
    table = weights(0.0)
    table[2, 3] = 100.0
    own, features = Placement(table), [[0.0], [0.0], [1.0]]
    assert own.places(candidates(features, before=2, after=3)).times_s == pytest.approx([0.31])
    assert own.places(candidates(features, before=3, after=2)).times_s == pytest.approx([0.30])


@pytest.mark.parametrize(("convention", "expected_s"), [(0.0, 0.30), (1.0, 0.31), (-1.0, 0.29)])
def test_a_convention_adds_to_the_weights(convention: float, expected_s: float) -> None:
    own = Placement(weights(0.0), np.array([200.0], np.float32))
    found = own.places(candidates([[-1], [0], [1]]), convention)
    assert found.times_s == pytest.approx([expected_s])


def test_no_merit_is_too_large() -> None:
    found = Placement(weights(1.0)).places(candidates([[1e6], [-1e6], [-1e6]]))
    assert found.times_s == pytest.approx([0.29])


@pytest.mark.parametrize(
    ("kind", "n_features", "by_convention"),
    [("between phones", 16, False), ("after a pause", 15, True), ("before a pause", 15, True)],
)
def test_what_comes_with_the_package(kind: str, n_features: int, by_convention: bool) -> None:
    own = fitted_placement(kind)
    assert own.weights.shape == (N_MANNERS, N_MANNERS, n_features)
    assert own.weights.dtype == np.float32
    assert np.isfinite(own.weights).all()
    assert (own.convention is not None) == by_convention
