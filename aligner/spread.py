"""How far a boundary may be off: its spread, and with that the probability that it is within any distance.

Half of all boundaries with a spread of 8 ms are within 8 ms of where a person puts them. How many are within
another distance follows from one curve, whatever the spread. N boundaries.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aligner.alignment import Alignment, Interval

SPREAD_DIGITS = 4  # of seconds: a tenth of a millisecond
# The log odds of being within a distance, up to a constant for each boundary, and straight lines over the log
# of the distance between these. Fitted with the weights in `boundaries/spread.py`, which says on what.
DISTANCES_S = np.array([0.001, 0.0025, 0.005, 0.010, 0.020, 0.030, 0.050, 0.100, 0.200])
LOG_ODDS = np.array([-8.596, -7.286, -6.143, -5.114, -4.035, -3.395, -2.533, -0.838, 1.834])


def spread_s(difficulty: NDArray[np.float64]) -> NDArray[np.float64]:
    """The spread in seconds of boundaries that are within x with the log odds of x minus a difficulty, `[N]`.

    Args:
        difficulty: `[N]`. A spread is not less than the shortest of the distances, nor more than the longest.
    """
    return np.exp(np.interp(difficulty, LOG_ODDS, np.log(DISTANCES_S)))


def probability_within(spreads_s: ArrayLike, distance_s: float) -> NDArray[np.float64]:
    """The probability that boundaries are at most so far from where a person puts them.

    Args:
        spreads_s: In seconds, any shape, which the result has. What a person set has 0, and is certain.
        distance_s: In seconds, above 0.

    Raises:
        ValueError: For a distance that is not above 0.
    """
    if not distance_s > 0:
        raise ValueError(f"distance_s {distance_s}: must be above 0")
    own = np.asarray(spreads_s, np.float64)
    log_s = np.log(DISTANCES_S)

    def log_odds(times_s: ArrayLike) -> NDArray[np.float64]:
        at = np.log(times_s)
        inside = np.interp(at, log_s, LOG_ODDS)
        slopes = np.diff(LOG_ODDS)[[0, -1]] / np.diff(log_s)[[0, -1]]
        below, above = np.minimum(at - log_s[0], 0), np.maximum(at - log_s[-1], 0)
        return inside + slopes[0] * below + slopes[1] * above

    odds = np.exp(log_odds(distance_s) - log_odds(np.where(own > 0, own, DISTANCES_S[0])))
    return np.where(own > 0, odds / (1 + odds), 1.0)


def with_spreads(
    alignment: Alignment, boundaries_s: NDArray[np.float64], spreads_s: NDArray[np.float64]
) -> Alignment:
    """The alignment with the spread of each of its boundaries.

    Args:
        alignment: Of T tokens or fewer: those that are not spoken are not in it.
        boundaries_s: `[T + 1]`, around these, in order.
        spreads_s: `[T + 1]`. Of boundaries at one time the widest counts.
    """
    edges_s = np.clip(boundaries_s, 0.0, alignment.duration_s)
    edges_s[0], edges_s[-1] = 0.0, alignment.duration_s
    first = np.flatnonzero(np.diff(edges_s, prepend=-1.0))
    widest = np.maximum.reduceat(spreads_s, first).round(SPREAD_DIGITS)
    return replace(alignment, spreads_s=tuple(zip(edges_s[first].tolist(), widest.tolist(), strict=True)))


def spread_column(alignment: Alignment) -> list[float | None]:
    """The spreads of the boundaries around an alignment's tokens, T + 1; None where nobody gave one.

    Args:
        alignment: Of T tokens, which follow each other without gap.
    """
    known = dict(alignment.spreads_s)
    return [known.get(time_s) for time_s in _edges_s(alignment.tokens)]


def spreads_of_column(
    column: Sequence[float | None] | None, tokens: Sequence[Interval]
) -> tuple[tuple[float, float], ...]:
    """The inverse of `spread_column`: what `Alignment.spreads_s` is.

    Args:
        column: T + 1 spreads; another number, or None: there are none.
        tokens: T of them.
    """
    times_s = _edges_s(tokens)
    if column is None or len(column) != len(times_s):
        return ()
    return tuple((at, float(its)) for at, its in zip(times_s, column, strict=True) if its is not None)


def _edges_s(tokens: Sequence[Interval]) -> list[float]:
    return [*(token.start_s for token in tokens), *(token.end_s for token in tokens[-1:])]
