"""A spread for each boundary: how far it may be off, by how sure the search and the placement are and by what
lies beside it.

The posteriors alone are not errors: where a person puts a boundary is a convention, which no likelihood
knows, and the beginning and end of a pause are another. What of both becomes an error was fitted once, on
hand-made and exact times (`scripts/boundary_spread.py`); no label is needed to use it.

B utterances, N tokens.
"""

import numpy as np
from numpy.typing import NDArray

from aligner.boundaries.meetings import Meetings
from aligner.boundaries.placement import PlacedBoundaries
from aligner.ragged import starts_of
from aligner.search.held import HeldBoundaries
from aligner.spread import spread_s
from aligner.text.packed import PackedTokens

EVIDENCE = (
    *("posterior", "posterior above 10 ms", "posterior above 15 ms"),
    *("a pause before", "a pause after", "length before", "length after"),
    *("posterior after a pause", "posterior before a pause"),
    *("placement between phones", "placement after a pause", "placement before a pause"),
    *("placement above 12 ms", "a text that was read"),
)
# Fitted by `scripts/boundary_spread.py` to words and phones of TIMIT, to phones of Czech and to eSpeak's
# times, each weighted alike; recipes/ljspeech/README.md says how well they hold elsewhere.
WEIGHTS = np.array(
    [
        *(0.201, 0.677, -0.275),
        *(-0.240, 1.065, -0.029, -0.129),
        *(-0.475, -0.240),
        *(1.229, 1.647, 1.556),
        *(0.886, 0.375),
    ]
)
_KNOTS_S = (0.010, 0.015)  # around a frame and a half the error grows fastest
_PLACEMENT_KNOT_S = 0.012
_FLOOR_S = 0.001  # keeps logarithms of no spread finite
_LENGTH_FLOOR_S = 0.010
_USUAL_PLACEMENT_S = 0.010  # of a boundary that was not put anywhere


def boundary_evidence(
    tokens: PackedTokens,
    boundaries: PlacedBoundaries,
    posterior_s: NDArray[np.float64],
    is_read: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """What the spread of each boundary is made of, `[N + B, 14]`, as `EVIDENCE` names it.

    The logarithm of the spread of the search's posteriors, bent at two places, and again beside pauses;
    whether a pause is before or after; the logarithms of the lengths of the tokens beside it that are no
    pauses; that of what the placement left open, bent at one place; and whether the tokens may not be what is
    spoken.

    Args:
        tokens: N tokens of B utterances.
        boundaries: Around the tokens of each, as they are in the end.
        posterior_s: `[N + B]`, the standard deviations that the search gives them.
        is_read: `[B]`, whether the tokens were read from a text: people do not always speak as lexicons say.
    """
    meetings = Meetings.of(tokens, boundaries.times_s)
    count = meetings.last - meetings.first + 1
    place = np.repeat(np.arange(len(count)), count)
    own = np.arange(len(place)) - np.repeat(starts_of(count), count) + meetings.first[place]
    # An end of a recording is a pause's or a phone's; these are certain anyway.
    beside = np.zeros((len(posterior_s), 4))
    before, after = meetings.before_is_pause, meetings.after_is_pause
    lengths_s = meetings.edge_s - meetings.start_s, meetings.end_s - meetings.edge_s
    beside[own] = np.stack(
        [
            before,
            after,
            np.where(before, 0.0, np.log(lengths_s[0] + _LENGTH_FLOOR_S)),
            np.where(after, 0.0, np.log(lengths_s[1] + _LENGTH_FLOOR_S)),
        ],
        axis=1,
    )[place]
    log_s = 0.5 * np.log(np.square(posterior_s) + _FLOOR_S**2)
    bent = [np.maximum(log_s - np.log(knot), 0.0) for knot in _KNOTS_S]
    open_s = np.where(np.isnan(boundaries.deviations_s), _USUAL_PLACEMENT_S, boundaries.deviations_s)
    placement = np.log(open_s + _FLOOR_S)[:, None]
    at_pause = beside[:, :2]
    only = np.column_stack([(1 - at_pause).prod(1), at_pause * (1 - at_pause[:, ::-1])])
    above = only.sum(1) * np.maximum(placement[:, 0] - np.log(_PLACEMENT_KNOT_S), 0.0)
    read = np.repeat(is_read, tokens.lengths + 1)
    return np.column_stack([log_s, *bent, beside, log_s[:, None] * at_pause, placement * only, above, read])


def boundary_spreads_s(
    tokens: PackedTokens,
    boundaries: PlacedBoundaries,
    posterior_s: NDArray[np.float64],
    is_read: NDArray[np.bool_],
    held: HeldBoundaries,
) -> NDArray[np.float64]:
    """The spread of each boundary in seconds, `[N + B]`: 0 of a recording's ends and of what a person set.

    Args:
        tokens: As of `boundary_evidence`, like `boundaries` and `posterior_s`.
        boundaries: Of these.
        posterior_s: `[N + B]`.
        is_read: `[B]`.
        held: What a person set in these utterances.
    """
    spreads_s = spread_s(boundary_evidence(tokens, boundaries, posterior_s, is_read) @ WEIGHTS)
    first = starts_of(tokens.lengths + 1)
    spreads_s[first] = spreads_s[first + tokens.lengths] = 0.0
    for start, own in zip(first, held.times_s, strict=True):
        spreads_s[[start + t for t in own]] = 0.0
    return spreads_s
