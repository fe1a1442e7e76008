"""Boundaries at pauses, moved by how loud it is on either side, with weights made by hand.

N tokens, P loudness values.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from stub_encoder import packed

from aligner.boundaries.loudness import Levels
from aligner.boundaries.pause_edges import PauseEdges
from aligner.boundaries.placement import PlacedBoundaries, Placement
from aligner.text.manners import MANNERS, SymbolManners
from aligner.text.packed import PackedTokens
from aligner.text.transcript import PAUSE, Tokens

N_FEATURES, SQUARE, NEAR_BEFORE, NEAR_AFTER, TO_COME = 15, 1, 4, 5, 14
STEP_S = 0.005  # between the times that are looked at


def tokens_of(symbols: str) -> PackedTokens:
    """Tokens of one letter each; "." is an optional pause."""
    names = tuple(PAUSE if letter == "." else letter for letter in symbols)
    return packed(Tokens(names, tuple(range(len(names))), tuple(name == PAUSE for name in names)))


def edges_of(**values: float) -> PauseEdges:
    """Weights of features by their names here, of all phones and on both sides of a pause."""
    weights = np.zeros((len(MANNERS), len(MANNERS), N_FEATURES), np.float32)
    for name, value in values.items():
        weights[..., globals()[name]] = value
    edges = PauseEdges(SymbolManners([]))
    edges.placements = (Placement(weights), Placement(weights))
    return edges


def placed(
    symbols: str,
    boundaries_s: list[float],
    loud: list[tuple[float, float]],
    edges: PauseEdges,
    convention: float = 0.0,
) -> NDArray[np.float64]:
    """The boundaries in 1 s that is 40 dB louder in some stretches."""
    level_db = np.full((1, 1000), -80.0, np.float32)
    for start_s, end_s in loud:
        level_db[0, round(start_s * 1000) : round(end_s * 1000)] = -40.0
    before = np.array(boundaries_s)
    levels = Levels(level_db, np.array([1000]), np.array([-80.0]), np.array([-40.0]))
    placed = PlacedBoundaries.at(before)
    found = edges.place(tokens_of(symbols), before, placed, levels, convention).times_s
    assert before.tolist() == boundaries_s
    assert (np.diff(found) >= 0).all()
    return found


LOUDEST_STEP = {"NEAR_BEFORE": 60.0, "NEAR_AFTER": -60.0}


@pytest.mark.parametrize("off_s", [-0.1, -0.03, 0.0, 0.03, 0.1])
def test_edges_move_to_where_the_loudness_changes(off_s: float) -> None:
    found = placed(".a.", [0, 0.3 + off_s, 0.7 - off_s, 1], [(0.3, 0.7)], edges_of(**LOUDEST_STEP))
    assert found == pytest.approx([0, 0.3, 0.7, 1], abs=STEP_S)


def test_no_edge_moves_more_than_120_ms() -> None:
    found = placed(".a.", [0, 0.3, 0.7, 1], [(0.17, 0.83)], edges_of(**LOUDEST_STEP, SQUARE=0.1))
    assert found == pytest.approx([0, 0.3, 0.7, 1], abs=0.05)
    found = placed(".a.", [0, 0.3, 0.7, 1], [(0.19, 0.81)], edges_of(**LOUDEST_STEP, SQUARE=0.1))
    assert found == pytest.approx([0, 0.19, 0.81, 1], abs=STEP_S)


def test_no_edge_moves_past_the_middle_of_a_phone_or_pause() -> None:
    """The pause from 0.45 to 0.5 s keeps a middle, however loud it is around."""
    found = placed("a.b", [0, 0.45, 0.50, 1], [(0, 0.49), (0.495, 1)], edges_of(**LOUDEST_STEP))
    assert found[1] <= 0.475 <= found[2]


def test_what_is_to_come_in_the_pause_ends_with_it() -> None:
    """Loudness in the next phone is not the release of the last one."""
    edges = edges_of(TO_COME=-600.0, SQUARE=20.0)
    found = placed("a.b", [0, 0.4, 0.7, 1], [(0, 0.4), (0.7, 1)], edges)
    assert found[1] == pytest.approx(0.4, abs=2 * STEP_S)
    with_release = placed("a.b", [0, 0.4, 0.7, 1], [(0, 0.4), (0.45, 0.46), (0.7, 1)], edges)
    assert with_release[1] == pytest.approx(0.46, abs=3 * STEP_S)


def test_boundaries_between_phones_stay() -> None:
    found = placed("ab", [0, 0.5, 1], [(0, 0.45)], edges_of(**LOUDEST_STEP))
    assert found.tolist() == [0, 0.5, 1]


def test_digital_silence_is_no_error() -> None:
    level_db = np.full((1, 1000), -90.0, np.float32)
    boundaries_s = np.array([0, 0.3, 0.7, 1])
    levels = Levels(level_db, np.array([1000]), np.array([-90.0]), np.array([-90.0]))
    placed = PlacedBoundaries.at(boundaries_s)
    found = PauseEdges(SymbolManners([])).place(tokens_of(".a."), boundaries_s, placed, levels, 0.5)
    assert np.isfinite(found.times_s).all()
    assert (np.diff(found.times_s) >= 0).all()
    assert (found.deviations_s[1:-1] > 0).all()
