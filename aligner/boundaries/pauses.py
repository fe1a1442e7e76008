"""Where pauses begin and end: what the search found, corrected by how loud it is there.

B batch, N tokens, P loudness values. Boundaries are packed: times in seconds, of each utterance one more than
it has tokens, the first and the last its own.
"""

import numpy as np
from numpy.typing import NDArray

from aligner.boundaries.loudness import STEP_S
from aligner.boundaries.meetings import Meetings
from aligner.ragged import Indices, ranges, rows_of
from aligner.text.packed import PackedTokens

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
    quiet: NDArray[np.bool_],
    n_values: Indices,
) -> NDArray[np.float64]:
    """The boundaries with every pause extended over the quiet part of the phone on either side.

    Mixtures give the dying away of a word, and the silent closure of a stop that begins one, to the phone:
    those frames differ from digital silence. People give them to the pause. If the quiet part would leave
    less than 15 ms of the phone, the boundary stays where it is.

    Args:
        tokens: N tokens of B utterances.
        boundaries_s: `[N + B]`, around the tokens of each.
        quiet: `[B, P]`, whether it is quiet in each millisecond; false after an utterance's end.
        n_values: `[B]`, milliseconds of each utterance.
    """
    meetings = Meetings.of(tokens, boundaries_s)
    meetings = meetings.where(meetings.before_is_pause != meetings.after_is_pause)
    row, edge, grows_right = meetings.utterance, meetings.edge_s, meetings.before_is_pause
    place = np.round(edge / STEP_S).astype(np.int64)
    from_here, up_to_here = np.clip(place, 0, quiet.shape[1]), np.clip(place, 0, n_values[row] - 1)
    runs = np.where(
        grows_right,
        _quiet_until(quiet)[row, from_here] - from_here,
        up_to_here - _quiet_from(quiet)[row, up_to_here],
    )
    found = edge + np.where(grows_right, runs, -runs) * STEP_S
    leaves_enough = np.where(
        grows_right, found <= meetings.end_s - _LEAST_PHONE_S, found >= meetings.start_s + _LEAST_PHONE_S
    )
    return meetings.moved(boundaries_s, np.where(leaves_enough, found, edge))


def _quiet_until(quiet: NDArray[np.bool_]) -> Indices:
    """`[B, P + 1]`: for each millisecond the first from it on that is not quiet; after the last is none."""
    quiet = np.pad(quiet, ((0, 0), (0, 1)))
    place = np.where(quiet, quiet.shape[1], np.arange(quiet.shape[1]))
    return np.minimum.accumulate(place[:, ::-1], 1)[:, ::-1]


def _quiet_from(quiet: NDArray[np.bool_]) -> Indices:
    """`[B, P]`: for each millisecond the last up to it that is not quiet; -1 if there is none."""
    return np.maximum.accumulate(np.where(quiet, -1, np.arange(quiet.shape[1])), 1)
