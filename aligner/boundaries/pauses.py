"""Where pauses begin and end: what the search found, corrected by how loud it is there.

B batch, N tokens, P loudness values. Boundaries are packed: times in seconds, of each utterance one more than
it has tokens, the first and the last its own.
"""

import numpy as np
from numpy.typing import NDArray

from aligner.boundaries.loudness import STEP_S, pause_levels_db
from aligner.boundaries.meetings import Meetings
from aligner.ragged import Indices, ranges, rows_of, starts_of
from aligner.text.packed import PackedTokens

_PAUSE_BESIDE_S = 0.15  # of a pause, beside the phone, its quietness is measured
_OTHER_KIND_DB = 10.0  # louder than the quiet parts of its utterance, a pause is of another kind
_LEAST_PHONE_S = 0.015  # what a phone beside a pause keeps at least: a frame and a half of the search


def drop_short_pauses(
    tokens: PackedTokens, boundaries_s: NDArray[np.float64], shortest_s: float
) -> NDArray[np.float64]:
    """The boundaries with optional pauses between words that are too short given to the next word.

    Most of them are not pauses but the closure of a stop that the next word begins with.

    Args:
        tokens: N tokens of B utterances.
        boundaries_s: `[N + B]`, around the tokens of each.
        shortest_s: A shorter pause is dropped.
    """
    utterance = rows_of(tokens.lengths)
    start = np.arange(len(tokens)) + utterance  # the boundary before each token
    place = ranges(np.zeros_like(tokens.lengths), tokens.lengths)
    inside = (place > 0) & (place < tokens.lengths[utterance] - 1)
    dropped = start[tokens.skippable & inside & (boundaries_s[start + 1] - boundaries_s[start] < shortest_s)]
    boundaries = boundaries_s.copy()
    boundaries[dropped + 1] = boundaries_s[dropped]
    return boundaries


def fit_pauses_to_loudness(
    tokens: PackedTokens,
    boundaries_s: NDArray[np.float64],
    level_db: NDArray[np.float32],
    n_values: Indices,
    quiet_db: NDArray[np.float64],
    loud_db: NDArray[np.float64],
    fraction: float,
) -> NDArray[np.float64]:
    """The boundaries with every pause extended over the quiet part of the phone on either side.

    Mixtures give the dying away of a word, and the silent closure of a stop that begins one, to the phone:
    those frames differ from digital silence. People give them to the pause. A pause of another kind, louder
    than the utterance's quiet parts (noise that was put in), says itself what is quiet beside it. If the
    quiet part would leave less than 15 ms of the phone, the boundary stays where it is.

    Args:
        tokens: N tokens of B utterances.
        boundaries_s: `[N + B]`, around the tokens of each.
        level_db: Loudness `[B, P]`, one value a millisecond.
        n_values: `[B]`, how many of them each utterance has.
        quiet_db: `[B]`, the level of the quiet parts of each utterance (`loudness.typical_levels_db`).
        loud_db: `[B]`, that of the loud parts.
        fraction: Quiet is what is below this part of the way from the one to the other, in dB.
    """
    meetings = Meetings.of(tokens, boundaries_s)
    meetings = meetings.where(meetings.before_is_pause != meetings.after_is_pause)
    row, edge, grows_right = meetings.utterance, meetings.edge_s, meetings.before_is_pause
    last = n_values[row] - 1

    pause_start = np.where(grows_right, np.maximum(meetings.start_s, edge - _PAUSE_BESIDE_S), edge)
    pause_end = np.where(grows_right, edge, np.minimum(meetings.end_s, edge + _PAUSE_BESIDE_S))
    start = np.clip(_milliseconds(pause_start), 0, last)
    length = np.clip(_milliseconds(pause_end), start + 1, last + 1) - start
    pause_db = level_db[np.repeat(row, length), ranges(start, length)]
    low_db = pause_levels_db(pause_db, length)
    low_db = np.where(low_db > quiet_db[row] + _OTHER_KIND_DB, low_db, quiet_db[row])
    threshold = low_db + fraction * (loud_db[row] - low_db)

    # Outwards from the edge, one millisecond further than the phone may lose
    sign = np.where(grows_right, 1, -1)
    limit = np.where(grows_right, meetings.end_s - _LEAST_PHONE_S, meetings.start_s + _LEAST_PHONE_S)
    place = np.where(grows_right, _milliseconds(edge), np.minimum(_milliseconds(edge), last))
    there = np.where(grows_right, last - place, place) + 1
    looked_at = np.clip(np.ceil(sign * (limit - edge) / STEP_S).astype(np.int64) + 1, 0, np.maximum(there, 0))
    offset = ranges(np.zeros_like(looked_at), looked_at)
    levels = level_db[
        np.repeat(row, looked_at), np.repeat(place, looked_at) + np.repeat(sign, looked_at) * offset
    ]
    loud = np.flatnonzero(levels >= np.repeat(threshold, looked_at))
    first = starts_of(looked_at)
    first_loud = np.append(loud, len(levels))[np.searchsorted(loud, first)]
    found = edge + sign * np.minimum(first_loud - first, looked_at) * STEP_S
    return meetings.moved(boundaries_s, np.where(sign * (limit - found) >= 0, found, edge))


def _milliseconds(time_s: NDArray[np.float64]) -> Indices:
    return np.round(time_s / STEP_S).astype(np.int64)
