"""How well the phones of a text fit the frames that the best path gives them.

S frames, T states of the words' pronunciations, W words, P phones of these pronunciations, M states of the
model. A pause may be at every junction.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices
from aligner.search.word_states import NEVER, WordStates, end_words
from mas.backends.cpu_threads import compiled


class PhoneFit(NamedTuple):
    """How well phones fit.

    Args:
        frames: `[P]`, how many each has; 0 of a pronunciation that is not the best.
        lost: `[P]`, how far these are below the likeliest states, on average; 0 of none.
        variants: `[W]`, the pronunciation of each word, counted over all of these words.
    """

    frames: Indices
    lost: NDArray[np.float64]
    variants: Indices

    @classmethod
    def of(
        cls,
        emissions: NDArray[np.float32],
        pause: NDArray[np.float64],
        likeliest: NDArray[np.float64],
        words: WordStates,
    ) -> "PhoneFit":
        """Of all phones of a text on its best path.

        Args:
            emissions: `[S, M]`, log-likelihoods.
            pause: `[S]`, that of a pause.
            likeliest: `[S]`, that of the likeliest state, whatever is said.
            words: Of the text.
        """
        if not len(words):
            return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        path, variants = _best_path(emissions, pause, *words.arrays)
        spoken = np.flatnonzero(path >= 0)
        phone = words.phones[path[spoken]]
        lost = likeliest[spoken] - emissions[spoken, words.states[path[spoken]]]
        frames = np.bincount(phone, minlength=len(words.phone_ids))
        return cls(frames, np.bincount(phone, lost, len(frames)) / np.maximum(frames, 1), variants)


@compiled
def _best_path(
    emissions: NDArray[np.float32],
    pause: NDArray[np.float64],
    states: Indices,
    first: Indices,
    variants: Indices,
    log_priors: NDArray[np.float64],
) -> tuple[Indices, Indices]:
    """The state that each frame is in, `[S]`, -1 for a pause; and the pronunciation of each word, `[W]`."""
    n_frames, n_states, n_words = len(emissions), len(states), len(variants) - 1
    # A word's first state may follow the pause before it or the last state of the word before.
    score = np.full(n_states, NEVER)
    ended, paused = np.full(n_words + 1, NEVER), np.full(n_words + 1, NEVER)
    moved = np.zeros((n_frames, n_states), np.bool_)  # into this state with this frame
    after_pause = np.zeros((n_frames, n_words), np.bool_)  # if so, into this word from a pause
    entered = np.zeros((n_frames, n_words + 1), np.bool_)  # this pause, with this frame
    ended_as = np.zeros((n_frames, n_words + 1), np.int32)  # which pronunciation of word j - 1
    paused[0] = 0.0
    for frame in range(n_frames):
        for j in range(n_words - 1, -1, -1):  # from the end: what is before still is of the last frame
            before = ended[j]
            if paused[j] > before:
                before = paused[j]
                after_pause[frame, j] = True
            for v in range(variants[j], variants[j + 1]):
                for t in range(first[v + 1] - 1, first[v] - 1, -1):
                    best = score[t - 1] if t > first[v] else before + log_priors[v]
                    moved[frame, t] = best > score[t]
                    score[t] = max(score[t], best) + emissions[frame, states[t]]
        for j in range(n_words + 1):
            entered[frame, j] = ended[j] > paused[j]
            paused[j] = max(paused[j], ended[j]) + pause[frame]
        end_words(score, first, variants, ended, ended_as[frame])
    path, chosen = np.full(n_frames, -1, np.int64), np.zeros(n_words, np.int64)
    # Word j - 1 is what the path is in, or what is before its junction j; t is -1 until the path is in it.
    j, t, in_pause = n_words, -1, paused[n_words] > ended[n_words]
    for frame in range(n_frames - 1, -1, -1):
        if in_pause:
            in_pause = not entered[frame, j]
            continue
        if t < 0:
            chosen[j - 1] = ended_as[frame, j]
            t = first[chosen[j - 1] + 1] - 1
        path[frame] = t
        if moved[frame, t]:
            if t > first[chosen[j - 1]]:
                t -= 1
            else:
                j, t = j - 1, -1
                in_pause = after_pause[frame, j]
    return path, chosen
