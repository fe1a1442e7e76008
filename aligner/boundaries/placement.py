"""Where a boundary is put, of the times near where the search found it: a conditional logit over these times.

The search decides on frames of 10 ms and 20 ms wide, and where one mixture becomes likelier than the next is
not where a person puts a boundary. What a person looks for depends on what is on either side: a vowel ends
where it grows quiet before a stop, and where its high formants change before a liquid. So each time near the
found one has a merit, linear in what is heard there, with weights for the manners of the two phones. They
were fitted once, to hand-made and exact times (`scripts/boundary_placement.py`); no label is needed to use
them.

n boundaries, K times near each, Q features, C manners. All boundaries of B utterances with N tokens: N + B.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.boundaries.meetings import Meetings
from aligner.ragged import Indices

_FITTED = Path(__file__).with_name("placements.npz")
_DIGITS = 5  # of seconds: what rounding makes of other batches does not show


@dataclass(frozen=True)
class Candidates:
    """The times where each of n boundaries may be.

    Args:
        meetings: The boundaries, where they are now.
        before: `[n]`, how what is before it ends: an index in `text.manners.MANNERS`.
        after: `[n]`, how what is after it begins.
        times_s: `[n, K]`.
        allowed: `[n, K]`, whether it may be there.
        features: `[n, K, Q]`, what is heard there, float32.
    """

    meetings: Meetings
    before: Indices
    after: Indices
    times_s: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    features: Tensor


class Places(NamedTuple):
    """Where n boundaries are put.

    Args:
        times_s: `[n]`, the mean of the times by their probability.
        deviations_s: `[n]`, their standard deviation: how much is left open. No number where none is allowed.
    """

    times_s: NDArray[np.float64]
    deviations_s: NDArray[np.float64]


@dataclass(frozen=True)
class PlacedBoundaries:
    """All boundaries around the tokens of a batch.

    Args:
        times_s: `[N + B]`.
        deviations_s: `[N + B]`, as of `Places`; no number of those that were not put anywhere.
    """

    times_s: NDArray[np.float64]
    deviations_s: NDArray[np.float64]

    @classmethod
    def at(cls, times_s: NDArray[np.float64]) -> "PlacedBoundaries":
        """Boundaries `[N + B]` that have not been put anywhere yet."""
        return cls(times_s, np.full(len(times_s), np.nan))

    def moved(self, meetings: Meetings, places: Places) -> "PlacedBoundaries":
        """These, with those of some meetings of tokens where they are put."""
        return PlacedBoundaries(
            meetings.moved(self.times_s, places.times_s),
            meetings.moved(self.deviations_s, places.deviations_s),
        )


@dataclass(frozen=True)
class Placement:
    """The weights of a kind of boundary.

    Args:
        weights: `[C, C, Q]`, by how what is before ends and how what is after begins.
        convention: `[Q]`, what is added to them for each unit of a convention, or None.
    """

    weights: NDArray[np.float32]
    convention: NDArray[np.float32] | None = None

    def places(self, candidates: Candidates, convention: float = 0.0) -> Places:
        """Where the boundaries are put; where no time is allowed, where they are.

        Args:
            candidates: The times.
            convention: How much of it holds.
        """
        edge_s, allowed = candidates.meetings.edge_s, candidates.allowed.any(1)
        if not allowed.any():
            return Places(edge_s, np.full(len(edge_s), np.nan))
        weights = self.weights[candidates.before, candidates.after]
        if self.convention is not None:
            weights = weights + np.float32(convention) * self.convention
        device = candidates.features.device
        merit = (candidates.features * torch.from_numpy(weights).to(device)[:, None]).sum(2)
        score = np.where(candidates.allowed, merit.cpu().numpy().astype(np.float64), -np.inf)
        score -= np.where(allowed, score.max(1, initial=-np.inf), 0.0)[:, None]
        probability = np.exp(score)
        total = np.where(allowed, probability.sum(1), 1.0)
        # From where it is now: times themselves are large, and would be rounded more.
        away_s = candidates.times_s - edge_s[:, None]
        mean_s = (probability * away_s).sum(1) / total
        deviation_s = np.sqrt((probability * np.square(away_s - mean_s[:, None])).sum(1) / total)
        return Places(
            np.where(allowed, np.round(edge_s + mean_s, _DIGITS), edge_s),
            np.where(allowed, deviation_s, np.nan),
        )


@cache
def fitted_placement(kind: str) -> Placement:
    """The weights that come with the package.

    Args:
        kind: "between phones", "after a pause" or "before a pause".
    """
    with np.load(_FITTED) as file:
        return Placement(file[f"{kind}: weights"], file.get(f"{kind}: convention"))
