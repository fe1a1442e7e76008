"""Frames to seconds: the times of tokens, corrected by loudness at pauses and by the spectrum elsewhere."""

from aligner.boundaries.correction import BoundaryCorrection
from aligner.boundaries.refine import BoundaryRefiner

__all__ = ["BoundaryCorrection", "BoundaryRefiner"]
