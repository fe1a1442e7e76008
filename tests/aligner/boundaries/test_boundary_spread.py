"""What the spread of a boundary is made of."""

from dataclasses import replace

import numpy as np
from stub_encoder import tokens_of, transcript_of

from aligner.boundaries.placement import PlacedBoundaries
from aligner.boundaries.spread import EVIDENCE, WEIGHTS, boundary_evidence, boundary_spreads_s
from aligner.search.held import HeldBoundaries
from aligner.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["sil", "a", "b", "c"])
TOKENS = tokens_of(VOCABULARY, transcript_of("ab"), transcript_of("c"))  # sil a b sil, sil c sil
BOUNDARIES = PlacedBoundaries(  # of the second both pauses are not there
    np.array([0, 0.1, 0.3, 0.4, 0.5, 0, 0, 0.2, 0.2]),
    np.array([np.nan, 0.02, 0.005, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan]),
)
POSTERIOR_S = np.array([0, 0.004, 0.012, 0.02, 0, 0, 0, 0, 0])
READ = np.array([False, True])
NOTHING_HELD = HeldBoundaries([{}, {}], [(), ()])


def test_evidence_of_each_boundary_by_hand() -> None:
    assert list(TOKENS.lengths) == [4, 3]
    assert len(WEIGHTS) == len(EVIDENCE)
    found = boundary_evidence(TOKENS, BOUNDARIES, POSTERIOR_S, READ)
    log_s = 0.5 * np.log(POSTERIOR_S**2 + 0.001**2)
    np.testing.assert_allclose(found[:, 0], log_s)
    over = np.log(np.sqrt(0.012**2 + 0.001**2) / 0.010)
    beside = [log_s[2], over, 0, 0, 0, np.log(0.21), np.log(0.11), 0, 0]
    np.testing.assert_allclose(found[2], [*beside, np.log(0.006), 0, 0, 0, 0])
    beside = [log_s[1], 0, 0, 1, 0, 0, np.log(0.21), log_s[1], 0]
    np.testing.assert_allclose(found[1], [*beside, 0, np.log(0.021), 0, np.log(0.021 / 0.012), 0])
    usual = np.log(0.011)  # of one that was not put anywhere
    np.testing.assert_allclose(found[3, 3:], [0, 1, np.log(0.11), 0, 0, log_s[3], 0, 0, usual, 0, 0])
    np.testing.assert_array_equal(found[:, 13], [0] * 5 + [1] * 4)


def test_what_the_search_is_less_sure_of_may_be_further_off() -> None:
    sure, unsure = POSTERIOR_S.copy(), POSTERIOR_S.copy()
    sure[2], unsure[2] = 0.003, 0.03
    spreads = [boundary_spreads_s(TOKENS, BOUNDARIES, own, READ, NOTHING_HELD) for own in (sure, unsure)]
    assert spreads[1][2] > 1.5 * spreads[0][2] > 0
    np.testing.assert_array_equal(np.delete(spreads[0], 2), np.delete(spreads[1], 2))


def test_what_the_placement_leaves_open_may_be_further_off() -> None:
    wide_s = BOUNDARIES.deviations_s.copy()
    wide_s[2] = 0.02
    wide = replace(BOUNDARIES, deviations_s=wide_s)
    spreads = [boundary_spreads_s(TOKENS, own, POSTERIOR_S, READ, NOTHING_HELD) for own in (BOUNDARIES, wide)]
    assert spreads[1][2] > 1.5 * spreads[0][2] > 0
    np.testing.assert_array_equal(np.delete(spreads[0], 2), np.delete(spreads[1], 2))


def test_ends_of_recordings_and_what_a_person_set_are_certain() -> None:
    free = boundary_spreads_s(TOKENS, BOUNDARIES, POSTERIOR_S, READ, NOTHING_HELD)
    assert (free[[0, 4, 5, 8]] == 0).all()
    assert (free[[1, 2, 3]] > 0).all()
    held = boundary_spreads_s(TOKENS, BOUNDARIES, POSTERIOR_S, READ, HeldBoundaries([{2: 0.3}, {}], [(), ()]))
    assert held[2] == 0
    assert (held[[1, 3]] == free[[1, 3]]).all()


def test_of_a_text_that_was_read_boundaries_may_be_further_off() -> None:
    """People do not always speak as lexicons say."""
    given, read = (
        boundary_spreads_s(TOKENS, BOUNDARIES, POSTERIOR_S, np.array([own, own]), NOTHING_HELD)
        for own in (False, True)
    )
    assert (read[[1, 2, 3]] > 1.1 * given[[1, 2, 3]]).all()
