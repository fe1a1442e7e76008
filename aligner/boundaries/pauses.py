"""Where pauses begin and end: what the search found, corrected by how loud it is there.

T tokens. Boundaries are T + 1 times in seconds, the first and the last those of the utterance.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aligner.boundaries.loudness import STEP_S, threshold_db
from aligner.text.transcript import PAUSE, Tokens

_LEAST_PHONE_S = 0.015  # what a phone beside a pause keeps at least


def drop_short_pauses(
    tokens: Tokens, boundaries_s: NDArray[np.float64], shortest_s: float
) -> NDArray[np.float64]:
    """Boundaries with optional pauses between words shorter than `shortest_s` given to the next word.

    Most of them are not pauses but the closure of a stop the next word begins with.
    """
    boundaries = boundaries_s.copy()
    for t in range(1, len(tokens) - 1):
        if tokens.skippable[t] and boundaries[t + 1] - boundaries[t] < shortest_s:
            boundaries[t + 1] = boundaries[t]
    return boundaries


def fit_pauses_to_loudness(
    tokens: Tokens, boundaries_s: NDArray[np.float64], loudness: Tensor, fraction: float
) -> NDArray[np.float64]:
    """Boundaries with every pause grown over the quiet part of the phone on either side.

    Mixtures give the dying away of a word, and the silent closure of a stop that begins one, to the phone:
    those frames differ from digital silence. People do not. A pause never grows beyond the phone beside it,
    of which 15 ms stay. fraction: see `loudness.threshold_db`. loudness: one value a millisecond.
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
            edge = -_quiet_until(
                quiet[::-1], _mirror(quiet, edge), _mirror(quiet, boundaries_s[before] + _LEAST_PHONE_S)
            ) + _mirror(quiet, 0)
        boundaries[before + 1 : after + 1] = edge
    return boundaries


def _mirror(quiet: NDArray[np.bool_], time_s: float) -> float:
    return (len(quiet) - 1) * STEP_S - time_s


def _quiet_until(quiet: NDArray[np.bool_], start_s: float, limit_s: float) -> float:
    """The end of the quiet stretch that begins at `start_s`; `start_s` if it goes on until `limit_s`."""
    position = max(0, round(start_s / STEP_S))
    time_s = start_s
    while position < len(quiet) and quiet[position]:
        position += 1
        time_s += STEP_S
        if time_s > limit_s:
            return start_s
    return time_s
