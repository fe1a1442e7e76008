"""Boundaries at pauses, finer than the rule of `pauses`: by the loudness on either side, and by the phone.

B batch, N tokens, P loudness values, n boundaries, K times near each.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from aligner.boundaries.loudness import STEP_S, Levels, milliseconds
from aligner.boundaries.meetings import Meetings
from aligner.boundaries.pauses import quiet_beside_db
from aligner.boundaries.placement import Candidates, PlacedBoundaries, Placement, fitted_placement
from aligner.ragged import Indices
from aligner.text.manners import SymbolManners
from aligner.text.packed import PackedTokens

_REACH, _EVERY = 120, 5  # milliseconds either side of what the rule found
_NEAR, _WIDE = 10, 20  # milliseconds either side that are heard
_KNOTS = (0.15, 0.30, 0.45)  # of loudness, where its weight may change
_LEAST_RANGE_DB = 1.0  # of an utterance that is nowhere louder than elsewhere
_LEAST, _MOST = -0.2, 1.3  # of it: what is quieter or louder says no more
_UNIT_S = 0.030  # of distances
_FURTHEST = 5.0  # of these: a search that is further off says no more


class PauseEdges:
    """Moves boundaries at pauses.

    Args:
        manners: Of the vocabulary.
    """

    def __init__(self, manners: SymbolManners) -> None:
        self._manners = manners
        self.placements: tuple[Placement, Placement] = (
            fitted_placement("after a pause"),
            fitted_placement("before a pause"),
        )

    def place(
        self,
        tokens: PackedTokens,
        found_s: NDArray[np.float64],
        boundaries: PlacedBoundaries,
        levels: Levels,
        convention: float,
    ) -> PlacedBoundaries:
        """The boundaries with those at pauses moved to where they are expected, at most 120 ms.

        Args:
            tokens: N tokens of B utterances.
            found_s: `[N + B]`, around the tokens of each, as the search has them.
            boundaries: As the rule has them.
            levels: Of the utterances.
            convention: As `correction.convention` has it.
        """
        meetings = Meetings.of(tokens, boundaries.times_s)
        after, before = (
            meetings.where(here & ~there)
            for here, there in (
                (meetings.before_is_pause, meetings.after_is_pause),
                (meetings.after_is_pause, meetings.before_is_pause),
            )
        )
        for own, placement in zip((after, before), self.placements, strict=True):
            candidates = self._candidates(tokens, found_s, own, levels, starts=own is after)
            boundaries = boundaries.moved(own, placement.places(candidates, convention))
        return boundaries

    def _candidates(
        self,
        tokens: PackedTokens,
        found_s: NDArray[np.float64],
        meetings: Meetings,
        levels: Levels,
        starts: bool,
    ) -> Candidates:
        """Where boundaries after pauses (`starts`) or before them may be, never past the middle of either.

        Other arguments as of `place`.
        """
        row, edge = meetings.utterance, meetings.edge_s
        quiet = quiet_beside_db(meetings, levels)[:, None]
        # Seen from the phone: the pause lies ahead.
        ahead = -1 if starts else 1
        far = _REACH + _WIDE
        near_ms = milliseconds(edge)
        place = near_ms[:, None] + ahead * np.arange(-far, far + 1)
        # Beyond the phone or the pause lies something else.
        first, last = (
            np.clip(milliseconds(limit), 0, levels.n_values[row] - 1)[:, None]
            for limit in (meetings.start_s, meetings.end_s)
        )
        level_db = levels.level_db[row[:, None], place.clip(first, last)]
        range_db = np.maximum(levels.loud_db[row][:, None] - quiet, _LEAST_RANGE_DB)
        loudness = ((level_db - quiet) / range_db).clip(_LEAST, _MOST)
        away = np.arange(-_REACH, _REACH + 1, _EVERY)
        times_s = (near_ms[:, None] + ahead * away) * STEP_S
        from_found = np.abs(times_s - found_s[meetings.first][:, None]) / _UNIT_S
        distance = np.broadcast_to(away * STEP_S / _UNIT_S, times_s.shape)
        features = [
            *(distance, -(distance**2), -np.abs(distance), -from_found.clip(max=_FURTHEST)),
            *_heard(loudness, away + far),
        ]
        pause = np.zeros_like(row)
        if starts:
            manners = pause, self._manners.begins(tokens.token_ids[meetings.after])
        else:
            manners = self._manners.ends(tokens.token_ids[meetings.before]), pause
        return Candidates(
            meetings,
            *manners,
            times_s,
            meetings.in_the_middle(times_s),
            torch.from_numpy(np.stack(features, 2).astype(np.float32)),
        )


def _heard(loudness: NDArray[np.float64], place: Indices) -> list[NDArray[np.float64]]:
    """What is heard at each of K times, `[n, K]` each.

    The mean loudness of 10 ms before and after it, bent at some knots, that of 20 ms before and after, and
    the loudest that is to come in the pause.

    Args:
        loudness: `[n, M]`, a value a millisecond, 0 as quiet and 1 as loud as the utterance is.
        place: `[K]`, of the times among these.
    """
    sums = np.pad(loudness.cumsum(1), ((0, 0), (1, 0)))

    def mean(start: Indices, end: Indices) -> NDArray[np.float64]:
        return (sums[:, end] - sums[:, start]) / (end - start)[0]

    to_come = np.maximum.accumulate(loudness[:, ::-1], 1)[:, ::-1]
    near = mean(place - _NEAR, place), mean(place, place + _NEAR)
    bent = [np.maximum(own - knot, 0.0) for own in near for knot in _KNOTS]
    return [
        *near,
        *bent,
        mean(place - _WIDE, place),
        mean(place, place + _WIDE),
        to_come[:, place + _NEAR // 2],
    ]
