"""Tiers: entries to tokens."""

from aligner.alignment import Interval
from aligner.formats.tiers import without_rounding_gaps


def test_neighbours_parted_by_rounding_share_a_boundary_again() -> None:
    """Starts and lengths are stored with eight digits, so that an end may miss the next start by one."""
    parted = [Interval("a", 0.0, 0.41396826), Interval("b", 0.41396825, 0.7), Interval("c", 0.71, 0.9)]
    closed = without_rounding_gaps(parted)
    assert [(t.start_s, t.end_s) for t in closed] == [(0.0, 0.41396825), (0.41396825, 0.7), (0.71, 0.9)]
    assert without_rounding_gaps([]) == ()
