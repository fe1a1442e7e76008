"""Frames to seconds: the times of tokens, corrected by loudness at pauses and by the spectrum elsewhere."""

from aligner.boundaries.by_hand import hold
from aligner.boundaries.correction import (
    DECAY_FRACTION,
    PAUSE_FRACTION,
    SHORTEST_PAUSE_S,
    BoundaryCorrection,
)
from aligner.boundaries.placement import PlacedBoundaries
from aligner.boundaries.refine import BoundaryRefiner
from aligner.boundaries.spread import boundary_spreads_s

__all__ = [
    "DECAY_FRACTION",
    "PAUSE_FRACTION",
    "SHORTEST_PAUSE_S",
    "BoundaryCorrection",
    "BoundaryRefiner",
    "PlacedBoundaries",
    "boundary_spreads_s",
    "hold",
]
