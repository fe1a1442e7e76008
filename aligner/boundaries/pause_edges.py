"""Boundaries at pauses, finer than the rule of `pauses`: by the loudness on either side, and by the phone.

B batch, N tokens, P loudness values, n boundaries, K times near each, V symbols.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from aligner.boundaries.loudness import STEP_S
from aligner.boundaries.meetings import Meetings
from aligner.boundaries.pauses import quiet_beside_db
from aligner.boundaries.placement import Candidates, Placement, fitted_placement
from aligner.ragged import Indices
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
        begins: `[V]`, how each symbol begins, as `text.manners` has it; further ones are unknown.
        ends: `[V]`, how it ends.
    """

    def __init__(self, begins: Indices, ends: Indices) -> None:
        self._begins, self._ends = np.append(begins, 0), np.append(ends, 0)
        self.placements: tuple[Placement, Placement] = (
            fitted_placement("after a pause"),
            fitted_placement("before a pause"),
        )

    def place(
        self,
        tokens: PackedTokens,
        found_s: NDArray[np.float64],
        boundaries_s: NDArray[np.float64],
        level_db: NDArray[np.float32],
        n_values: Indices,
        quiet_db: NDArray[np.float64],
        loud_db: NDArray[np.float64],
        convention: float,
    ) -> NDArray[np.float64]:
        """The boundaries with those at pauses moved to where they are expected, at most 120 ms.

        Args:
            tokens: N tokens of B utterances.
            found_s: `[N + B]`, around the tokens of each, as the search has them.
            boundaries_s: `[N + B]`, as the rule has them.
            level_db: Loudness `[B, P]`, one value a millisecond.
            n_values: `[B]`, how many of them each utterance has.
            quiet_db: `[B]`, the level of the quiet parts of each utterance.
            loud_db: `[B]`, that of the loud parts.
            convention: As `correction.convention` has it.
        """
        moved = boundaries_s
        for starts, placement in zip((True, False), self.placements, strict=True):
            candidates = self.candidates(
                tokens, found_s, boundaries_s, level_db, n_values, quiet_db, loud_db, starts
            )
            moved = candidates.meetings.moved(moved, placement.expected_s(candidates, convention))
        return moved

    def candidates(
        self,
        tokens: PackedTokens,
        found_s: NDArray[np.float64],
        boundaries_s: NDArray[np.float64],
        level_db: NDArray[np.float32],
        n_values: Indices,
        quiet_db: NDArray[np.float64],
        loud_db: NDArray[np.float64],
        starts: bool,
    ) -> Candidates:
        """Where boundaries at pauses may be, never past the middle of the phone or of the pause.

        Args:
            tokens: As of `place`, like all but `starts`.
            found_s: `[N + B]`.
            boundaries_s: `[N + B]`.
            level_db: `[B, P]`.
            n_values: `[B]`.
            quiet_db: `[B]`.
            loud_db: `[B]`.
            starts: Those after a pause; else those before one.
        """
        meetings = Meetings.of(tokens, boundaries_s)
        at_pause = meetings.before_is_pause != meetings.after_is_pause
        meetings = meetings.where(at_pause & (meetings.before_is_pause == starts))
        row, edge = meetings.utterance, meetings.edge_s
        quiet = quiet_beside_db(meetings, level_db, n_values, quiet_db)[:, None]
        # Seen from the phone: the pause lies ahead.
        ahead = -1 if starts else 1
        far = _REACH + _WIDE
        near_ms = np.round(edge / STEP_S).astype(np.int64)
        place = near_ms[:, None] + ahead * np.arange(-far, far + 1)
        # Beyond the phone or the pause lies something else.
        first, last = (
            np.clip(np.round(limit / STEP_S).astype(np.int64), 0, n_values[row] - 1)[:, None]
            for limit in (meetings.start_s, meetings.end_s)
        )
        levels = level_db[row[:, None], place.clip(first, last)]
        range_db = np.maximum(loud_db[row][:, None] - quiet, _LEAST_RANGE_DB)
        loudness = ((levels - quiet) / range_db).clip(_LEAST, _MOST)
        away = np.arange(-_REACH, _REACH + 1, _EVERY)
        times_s = (near_ms[:, None] + ahead * away) * STEP_S
        low, high = (meetings.start_s + edge) / 2, (edge + meetings.end_s) / 2
        from_found = np.abs(times_s - found_s[meetings.first][:, None]) / _UNIT_S
        distance = np.broadcast_to(away * STEP_S / _UNIT_S, times_s.shape)
        features = [
            *(distance, -(distance**2), -np.abs(distance), -from_found.clip(max=_FURTHEST)),
            *_heard(loudness, away + far),
        ]
        spoken = tokens.token_ids[meetings.last - row if starts else meetings.first - row - 1]
        manner = self._begins if starts else self._ends
        own, pause = manner[np.minimum(spoken, len(manner) - 1)], np.zeros_like(spoken)
        return Candidates(
            meetings,
            *((pause, own) if starts else (own, pause)),
            times_s,
            (times_s >= low[:, None]) & (times_s <= high[:, None]),
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
