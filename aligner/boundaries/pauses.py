"""Where pauses begin and end: what the search found, corrected by how loud it is there.

T text tokens, P loudness values. Boundaries are T + 1 times in seconds, the first and the last those of the
utterance.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.boundaries.loudness import STEP_S, threshold_db
from aligner.text.transcript import PAUSE, Tokens

_LEAST_PHONE_S = 0.015  # what a phone beside a pause keeps at least: a frame and a half of the search


def drop_short_pauses(
    tokens: Tokens, boundaries_s: NDArray[np.float64], shortest_s: float
) -> NDArray[np.float64]:
    """The boundaries with optional pauses between words that are too short given to the next word.

    Most of them are not pauses but the closure of a stop that the next word begins with.

    Args:
        tokens: T tokens.
        boundaries_s: `[T + 1]`.
        shortest_s: A shorter pause is dropped.
    """
    boundaries = boundaries_s.copy()
    for t in range(1, len(tokens) - 1):
        if tokens.skippable[t] and boundaries[t + 1] - boundaries[t] < shortest_s:
            boundaries[t + 1] = boundaries[t]
    return boundaries


def fit_pauses_to_loudness(
    tokens: Tokens, boundaries_s: NDArray[np.float64], loudness: Tensor, fraction: float
) -> NDArray[np.float64]:
    """The boundaries with every pause extended over the quiet part of the phone on either side.

    Mixtures give the dying away of a word, and the silent closure of a stop that begins one, to the phone:
    those frames differ from digital silence. People give them to the pause. If the quiet part would leave
    less than 15 ms of the phone, the boundary stays where it is.

    Args:
        tokens: T tokens.
        boundaries_s: `[T + 1]`.
        loudness: `[P]` in dB, one value a millisecond.
        fraction: What is quiet, see `threshold_db`.
    """
    quiet = (loudness < threshold_db(loudness, fraction)).cpu().numpy()
    boundaries = boundaries_s.copy()
    spoken = [t for t in range(len(tokens)) if boundaries_s[t + 1] > boundaries_s[t]]
    for before, after in zip(spoken, spoken[1:], strict=False):
        if (tokens.symbols[before] == PAUSE) == (tokens.symbols[after] == PAUSE):
            continue
        edge = boundaries_s[after]
        if tokens.symbols[before] == PAUSE:
            edge = _quiet_until(quiet, edge, boundaries_s[after + 1] - _LEAST_PHONE_S)
        else:
            edge = _quiet_from(quiet, edge, boundaries_s[before] + _LEAST_PHONE_S)
        boundaries[before + 1 : after + 1] = edge
    return boundaries


def _quiet_until(quiet: NDArray[np.bool_], start_s: float, limit_s: float) -> float:
    """The end of the quiet stretch that begins at `start_s`; `start_s` if it lasts beyond `limit_s`."""
    position = max(0, round(start_s / STEP_S))
    time_s = start_s
    while position < len(quiet) and quiet[position]:
        position += 1
        time_s += STEP_S
        if time_s > limit_s:
            return start_s
    return time_s


def _quiet_from(quiet: NDArray[np.bool_], end_s: float, limit_s: float) -> float:
    """The beginning of the quiet stretch that ends at `end_s`; `end_s` if it begins before `limit_s`."""
    last = len(quiet) - 1
    position = min(last, round(end_s / STEP_S))
    time_s = end_s
    while position >= 0 and quiet[position]:
        position -= 1
        time_s -= STEP_S
        if time_s < limit_s:
            return end_s
    return time_s
