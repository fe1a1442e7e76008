"""Where a boundary is put, of the times near where the search found it: a conditional logit over these times.

The search decides on frames of 10 ms and 20 ms wide, and where one mixture becomes likelier than the next is
not where a person puts a boundary. What a person looks for depends on what is on either side: a vowel ends
where it grows quiet before a stop, and where its high formants change before a liquid. So each time near the
found one has a merit, linear in what is heard there, with weights for the manners of the two phones. They
were fitted once, to hand-made and exact times (`scripts/boundary_placement.py`); no label is needed to use
them.

n boundaries, K times near each, Q features, C manners.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

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


@dataclass(frozen=True)
class Placement:
    """The weights of a kind of boundary.

    Args:
        weights: `[C, C, Q]`, by how what is before ends and how what is after begins.
        convention: `[Q]`, what is added to them for each unit of a convention, or None.
    """

    weights: NDArray[np.float32]
    convention: NDArray[np.float32] | None = None

    def expected_s(self, candidates: Candidates, convention: float = 0.0) -> NDArray[np.float64]:
        """The mean of the times by their probability, `[n]`; where none is allowed, where the boundary is.

        Args:
            candidates: The times.
            convention: How much of it holds.
        """
        edge_s, allowed = candidates.meetings.edge_s, candidates.allowed.any(1)
        if not allowed.any():
            return edge_s
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
        away_s = (probability * (candidates.times_s - edge_s[:, None])).sum(1) / total
        return np.where(allowed, np.round(edge_s + away_s, _DIGITS), edge_s)


@cache
def fitted_placement(kind: str) -> Placement:
    """The weights that come with the package.

    Args:
        kind: "between phones", "after a pause" or "before a pause".
    """
    with np.load(_FITTED) as file:
        return Placement(file[f"{kind}: weights"], file.get(f"{kind}: convention"))
