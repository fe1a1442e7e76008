"""How likely an utterance is as any phones whatever: what speech that a text lacks is measured by.

S frames, T states of all phones, P phones, M states of the model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.encoders.base import Encoder
from aligner.ragged import Indices
from aligner.text.packed import PackedTokens
from mas.backends.cpu_threads import compiled

# Where a path came from, a byte a cell.
_SAME, _BEFORE, _NEW_PHONE, _START = 0, 1, 2, 3


@dataclass(frozen=True)
class AnyPhones:
    """All phones, any of which may follow any other.

    Args:
        states: `[T]`, the model's states of all phones, in order; each takes a frame or more.
        first: `[P + 1]`, the first state of each phone, and T.
    """

    states: Indices
    first: Indices

    @classmethod
    def of(cls, encoder: Encoder, n_symbols: int) -> "AnyPhones":
        """The phones of an encoder.

        Args:
            encoder: A context-free one.
            n_symbols: That it knows; the first is the pause.
        """
        phones = np.arange(1, n_symbols)
        all_spoken = np.zeros(len(phones), np.bool_)
        tokens = PackedTokens(("",), phones, all_spoken, np.zeros_like(phones), np.array([len(phones)]))
        states = encoder.states(tokens, np.array([np.iinfo(np.int64).max]))
        return cls(states.states, np.searchsorted(states.token, np.arange(len(phones) + 1)))

    def scores(self, emissions: NDArray[np.float32], price: float) -> NDArray[np.float64]:
        """What each frame has in the best path through any phones, `[S]`, less the price where one begins.

        The path may begin and end within a phone.

        Args:
            emissions: `[S, M]`, log-likelihoods.
            price: Of each phone but the first.
        """
        return _scores(emissions, self.states, self.first, price)


@compiled
def _scores(
    emissions: NDArray[np.float32], states: Indices, first: Indices, price: float
) -> NDArray[np.float64]:
    """As `AnyPhones.scores`."""
    n_frames, n_states = len(emissions), len(states)
    begins = np.zeros(n_states, np.bool_)
    begins[first[:-1]] = True
    score = emissions[0, states].astype(np.float64)
    came_from = np.full((n_frames, n_states), _START, np.uint8)
    last_ended = np.zeros(n_frames, np.int64)  # before each frame the state that the best phone ended in
    for frame in range(1, n_frames):
        ended = first[1] - 1
        for phone in range(1, len(first) - 1):
            if score[first[phone + 1] - 1] > score[ended]:
                ended = first[phone + 1] - 1
        last_ended[frame] = ended
        anew = score[ended] - price
        for t in range(n_states - 1, -1, -1):  # from the end: what is before still is of the last frame
            best, came = score[t], _SAME
            before = anew if begins[t] else score[t - 1]
            if before > best:
                best, came = before, _NEW_PHONE if begins[t] else _BEFORE
            score[t] = best + emissions[frame, states[t]]
            came_from[frame, t] = came
    found = np.empty(n_frames)
    t = int(score.argmax())
    for frame in range(n_frames - 1, -1, -1):
        found[frame] = emissions[frame, states[t]]
        came = came_from[frame, t]
        if came == _NEW_PHONE:
            found[frame] -= price
            t = last_ended[frame]
        elif came == _BEFORE:
            t -= 1
    return found
