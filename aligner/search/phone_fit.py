"""How well the phones of a text fit the frames that the best path gives them.

S frames, T states of the text, W words, P phones, M states of the model. A pause may be at every junction.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices
from mas.backends.cpu_threads import compiled

_NEVER = -1e30


class PhoneFit(NamedTuple):
    """How well phones fit.

    Args:
        frames: `[P]`, how many each has.
        lost: `[P]`, how far these are below the likeliest states, on average.
    """

    frames: Indices
    lost: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        emissions: NDArray[np.float32],
        pause: NDArray[np.float64],
        likeliest: NDArray[np.float64],
        states: Indices,
        first: Indices,
        phones: Indices,
    ) -> "PhoneFit":
        """Of all phones of a text on its best path.

        Args:
            emissions: `[S, M]`, log-likelihoods.
            pause: `[S]`, that of a pause.
            likeliest: `[S]`, that of the likeliest state, whatever is said.
            states: `[T]`, the model's states of all words, in order; each takes a frame or more.
            first: `[W + 1]`, the first state of each word, and T.
            phones: `[T]`, which phone each state is of, in order, none left out.
        """
        if not len(states):
            return cls(np.zeros(0, np.int64), np.zeros(0))
        path = _best_path(emissions, pause, states, first)
        spoken = np.flatnonzero(path >= 0)
        phone = phones[path[spoken]] - phones[0]
        lost = likeliest[spoken] - emissions[spoken, states[path[spoken]]]
        frames = np.bincount(phone)
        return cls(frames, np.bincount(phone, lost) / frames)


@compiled
def _best_path(
    emissions: NDArray[np.float32], pause: NDArray[np.float64], states: Indices, first: Indices
) -> Indices:
    """The state that each frame is in, `[S]`, counted over the text; -1 for a pause."""
    n_frames, n_states, n_words = len(emissions), len(states), len(first) - 1
    # A word's first state may follow the pause before it or the last state of the word before.
    score, paused = np.full(n_states, _NEVER), np.full(n_words + 1, _NEVER)
    word_of = np.full(n_states, -1, np.int64)  # of its first state
    word_of[first[:-1]] = np.arange(n_words)
    moved = np.zeros((n_frames, n_states), np.bool_)  # into this state with this frame
    after_pause = np.zeros((n_frames, n_words), np.bool_)  # if so, into this word from a pause
    entered = np.zeros((n_frames, n_words + 1), np.bool_)  # this pause, with this frame
    paused[0] = 0.0
    for frame in range(n_frames):
        last_paused = paused.copy()
        for junction in range(n_words + 1):
            ended = score[first[junction] - 1] if junction > 0 else _NEVER
            entered[frame, junction] = ended > paused[junction]
            paused[junction] = max(paused[junction], ended) + pause[frame]
        for t in range(n_states - 1, -1, -1):  # from the end: what is before still is of the last frame
            before, word = score[t - 1] if t > 0 else _NEVER, word_of[t]
            if word >= 0 and last_paused[word] > before:
                before = last_paused[word]
                after_pause[frame, word] = True
            moved[frame, t] = before > score[t]
            score[t] = max(score[t], before) + emissions[frame, states[t]]
    path = np.full(n_frames, -1, np.int64)
    t, junction = n_states - 1, n_words
    in_pause = paused[n_words] > score[t]
    for frame in range(n_frames - 1, -1, -1):
        if in_pause:
            if entered[frame, junction]:
                in_pause, t = False, first[junction] - 1
            continue
        path[frame] = t
        if moved[frame, t]:
            if word_of[t] >= 0 and after_pause[frame, word_of[t]]:
                in_pause, junction = True, word_of[t]
            t -= 1
    return path
