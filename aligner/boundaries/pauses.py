"""Where pauses begin and end: what the search found, corrected by how loud it is there.

B batch, N tokens, P loudness values. Boundaries are packed: times in seconds, of each utterance one more than
it has tokens, the first and the last its own.
"""

import numpy as np
from numpy.typing import NDArray

from aligner.boundaries.loudness import STEP_S, Levels, milliseconds, pause_levels_db
from aligner.boundaries.meetings import Meetings
from aligner.ragged import Indices, ranges, rows_of, starts_of
from aligner.text.packed import PackedTokens

_PAUSE_BESIDE_S = 0.15  # of a pause, beside the phone, its quietness is measured
_OTHER_KIND_DB = 10.0  # louder than the quiet parts of its utterance, a pause is of another kind
_LONGEST_DECAY_S = 0.2  # of a word, beyond where the search has it end
_LEAST_PAUSE_S = 0.05  # what pauses inside keep at least of what the search gave them
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
    levels: Levels,
    fraction: float,
    decay_fraction: float,
) -> NDArray[np.float64]:
    """The boundaries with every pause extended over the quiet part of the phone on either side, and every
    phone over the loud part of the pause beside it.

    Mixtures give the dying away of a word, and the silent closure of a stop that begins one, to the phone:
    those frames differ from digital silence. People give them to the pause. A pause of another kind, louder
    than the utterance's quiet parts (noise that was put in), says itself what is quiet beside it. If the
    quiet part would leave less than 15 ms of the phone, the boundary stays where it is.

    Args:
        tokens: N tokens of B utterances.
        boundaries_s: `[N + B]`, around the tokens of each.
        levels: Of the utterances.
        fraction: Quiet is what is below this part of the way from the one to the other, in dB.
        decay_fraction: What is above this part of the way belongs to a word that ends before it.
    """
    meetings = Meetings.of(tokens, boundaries_s)
    meetings = meetings.where(meetings.before_is_pause != meetings.after_is_pause)
    low_db = quiet_beside_db(meetings, levels)
    range_db = levels.loud_db[meetings.utterance] - low_db
    starts, edge = meetings.before_is_pause, meetings.edge_s

    into_phone = np.where(starts, 1, -1)
    limit = np.where(starts, meetings.end_s - _LEAST_PHONE_S, meetings.start_s + _LEAST_PHONE_S)
    room_s = into_phone * (limit - edge)
    row = meetings.utterance
    quiet_s = _until(levels, row, edge, into_phone, room_s, low_db + fraction * range_db, 1)
    edge = edge + np.where(quiet_s <= room_s, quiet_s, 0.0) * into_phone

    # A pause inside stays one, whatever grows into it from both sides.
    length = np.where(starts, edge - meetings.start_s, meetings.end_s - edge)
    first = starts_of(tokens.lengths + 1)
    own_start, own_end = (boundaries_s[at][meetings.utterance] for at in (first, first + tokens.lengths))
    at_end = np.where(starts, meetings.start_s <= own_start, meetings.end_s >= own_end)
    room_s = np.where(at_end, length, np.maximum(length - _LEAST_PAUSE_S, 0.0) / 2)
    room_s = np.minimum(room_s, _LONGEST_DECAY_S)
    loud_enough = np.where(starts, fraction, decay_fraction)
    loud_s = _until(levels, row, edge, -into_phone, room_s, low_db + loud_enough * range_db, -1)
    return meetings.moved(boundaries_s, edge - np.minimum(loud_s, room_s) * into_phone)


def quiet_beside_db(meetings: Meetings, levels: Levels) -> NDArray[np.float64]:
    """What is quiet beside each pause, `[n]`.

    Args:
        meetings: Of a pause and a phone each.
        levels: Of the utterances.
    """
    row, edge, starts = meetings.utterance, meetings.edge_s, meetings.before_is_pause
    last, quiet_db = levels.n_values[row] - 1, levels.quiet_db
    pause_start = np.where(starts, np.maximum(meetings.start_s, edge - _PAUSE_BESIDE_S), edge)
    pause_end = np.where(starts, edge, np.minimum(meetings.end_s, edge + _PAUSE_BESIDE_S))
    start = np.clip(milliseconds(pause_start), 0, last)
    length = np.clip(milliseconds(pause_end), start + 1, last + 1) - start
    pause_db = levels.level_db[np.repeat(row, length), ranges(start, length)]
    low_db = pause_levels_db(pause_db, length)
    return np.where(low_db > quiet_db[row] + _OTHER_KIND_DB, low_db, quiet_db[row])


def _until(
    levels: Levels,
    row: Indices,
    edge_s: NDArray[np.float64],
    sign: Indices,
    room_s: NDArray[np.float64],
    threshold_db: NDArray[np.float64],
    side: int,
) -> NDArray[np.float64]:
    """How far it is from each edge to the first level on a side of the threshold, `[n]` in seconds.

    Args:
        levels: Of the utterances.
        row: `[n]`, the utterance of each edge.
        edge_s: `[n]`.
        sign: `[n]`, 1 to look at what follows the edge, -1 at what is before it.
        room_s: `[n]`, how far is looked, and a millisecond further.
        threshold_db: `[n]`.
        side: 1: a level of the threshold or more, from the edge on; -1: a level below it, beyond the edge.
    """
    last = levels.n_values[row] - 1
    place = np.where(sign > 0, milliseconds(edge_s), np.minimum(milliseconds(edge_s), last))
    if side < 0:  # the level at the edge itself is the phone's
        place = place + sign
    there = np.where(sign > 0, last - place, place) + 1
    looked_at = np.clip(np.ceil(room_s / STEP_S).astype(np.int64) + 1, 0, np.maximum(there, 0))
    offset = ranges(np.zeros_like(looked_at), looked_at)
    level_db = levels.level_db[
        np.repeat(row, looked_at), np.repeat(place, looked_at) + np.repeat(sign, looked_at) * offset
    ]
    stops = np.flatnonzero((level_db >= np.repeat(threshold_db, looked_at)) == (side > 0))
    first = starts_of(looked_at)
    nearest = np.append(stops, len(level_db))[np.searchsorted(stops, first)]
    return np.minimum(nearest - first, looked_at) * STEP_S
