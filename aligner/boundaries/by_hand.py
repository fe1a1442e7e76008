"""Boundaries that a person set, after all corrections: they are exactly where he put them.

B batch, N tokens.
"""

import numpy as np
from numpy.typing import NDArray

from aligner.search.held import HeldBoundaries
from aligner.text.packed import PackedTokens

_LEAST_S = 0.005  # what a token beside a held boundary keeps at least, if there is room


def hold(
    held: HeldBoundaries, tokens: PackedTokens, boundaries_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The boundaries with those that are held at their times, and the others between them, in order.

    Args:
        held: Of B utterances.
        tokens: N tokens of these.
        boundaries_s: `[N + B]`, around the tokens of each.
    """
    result = boundaries_s.copy()
    start = 0
    for b, times_s in enumerate(held.times_s):
        end = start + int(tokens.lengths[b]) + 1
        if times_s:
            least_s = np.where(tokens.skippable[start - b : end - 1 - b], 0.0, _LEAST_S)
            own = result[start:end]
            anchors = {0: own[0], **dict(sorted(times_s.items())), len(own) - 1: own[-1]}
            places = list(anchors)
            for first, last in zip(places, places[1:], strict=False):
                _fit(own[first : last + 1], anchors[first], anchors[last], least_s[first:last])
        start = end
    return result


def _fit(
    boundaries_s: NDArray[np.float64], first_s: float, last_s: float, least_s: NDArray[np.float64]
) -> None:
    """Put the boundaries around a few tokens into a span, in place; each token keeps at least `least_s`."""
    needed_s = least_s.sum()
    if needed_s > last_s - first_s:
        least_s = least_s * ((last_s - first_s) / needed_s)
    from_left = first_s + np.concatenate([[0], least_s.cumsum()])
    from_right = last_s - np.concatenate([least_s[::-1].cumsum()[::-1], [0]])
    boundaries_s[:] = np.maximum(from_left, np.minimum(from_right, boundaries_s))
    boundaries_s[0], boundaries_s[-1] = first_s, last_s
