"""Which parts of a text are searched for gaps: words around frames that the best path fits badly.

B batch, N packed tokens, F packed frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices, rows_of, sums_of
from aligner.text.packed import PackedTokens
from mas.backends.cpu_threads import compiled

# Natural logarithms of likelihoods, as in `gaps.py`. What a stretch of the best path must lose to be searched
# again, besides so much a frame; more where that is too much at once.
_ALLOWED = 1.8
_LOOKED_AT = (40.0, 80.0, 160.0, 320.0, 640.0)
_WORDS_AROUND = 3  # of which that search takes so many on both sides
_LARGEST = 2_000_000  # of a part: words times frames, some minutes. A page of another text is no gap


@dataclass(frozen=True)
class Part:
    """Words of one utterance that are to be searched again, and their frames, both counted over the batch."""

    row: int
    first_word: int
    end_word: int
    first_frame: int
    end_frame: int

    @property
    def size(self) -> int:
        """Words times frames: what a search takes is in proportion to it."""
        return (self.end_word - self.first_word) * (self.end_frame - self.first_frame)


def badly_fitting_parts(
    lost: NDArray[np.float64],
    scale: NDArray[np.float64],
    durations: Indices,
    words: Indices,
    tokens: PackedTokens,
) -> list[Part]:
    """Where the best path fits badly. In a chapter such places may run into one another; the worst of them
    then are parts of their own.

    Args:
        lost: `[F]`, how far each frame is below its likeliest state.
        scale: `[B]`, how much more than of a known voice a difference must be to say as much.
        durations: `[N]`, of the tokens, by that path.
        words: `[N]`, the word of each, counted over the batch.
        tokens: Of the B utterances.
    """
    row_of_frame = rows_of(sums_of(durations, tokens.lengths))
    lost = lost - _ALLOWED * scale[row_of_frame]
    frame_word = np.repeat(words, durations)
    row_of_word = np.zeros(words[-1] + 1, np.int64)
    row_of_word[words] = rows_of(tokens.lengths)
    parts: list[Part] = []
    too_large = [Part(0, 0, len(row_of_word), 0, len(lost))]
    for look_at in _LOOKED_AT:
        stretches = _losing(lost, row_of_frame, look_at * scale)
        found = [
            part
            for part in _around(stretches, frame_word, row_of_word)
            if any(large.first_word <= part.first_word < large.end_word for large in too_large)
        ]
        parts += [part for part in found if part.size <= _LARGEST]
        too_large = [part for part in found if part.size > _LARGEST]
        if not too_large:
            break
    return parts


def _around(stretches: Indices, frame_word: Indices, row_of_word: Indices) -> list[Part]:
    """The words of stretches of frames, `[n, 2]`, and some on both sides of them, in their utterance."""
    rows = row_of_word[frame_word[stretches[:, 0]]]
    first = np.maximum(np.searchsorted(row_of_word, rows), frame_word[stretches[:, 0]] - _WORDS_AROUND)
    end = np.minimum(np.searchsorted(row_of_word, rows + 1), frame_word[stretches[:, 1]] + 1 + _WORDS_AROUND)
    change = np.zeros(len(row_of_word) + 1, np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, end, -1)
    chosen = change.cumsum()[:-1] > 0
    begins = np.diff(row_of_word, prepend=-1) > 0
    starts = np.flatnonzero(chosen & (begins | ~np.append(False, chosen[:-1])))
    ends = 1 + np.flatnonzero(chosen & np.append(begins[1:] | ~chosen[1:], True))
    frames = np.searchsorted(frame_word, [starts, ends])
    return [
        Part(*own)
        for own in zip(*np.stack([row_of_word[starts], starts, ends, *frames]).tolist(), strict=True)
    ]


@compiled
def _losing(lost: NDArray[np.float64], row: Indices, least: NDArray[np.float64]) -> Indices:
    """First and last frame of the stretches, `[n, 2]`, whose frames lose so much together.

    A stretch ends where it has won back as much, or all.

    Args:
        lost: `[F]`, what each frame loses, which may be less than 0.
        row: `[F]`, the utterance of each.
        least: `[B]`, what a stretch of each utterance must lose.
    """
    found = np.empty((len(lost), 2), np.int64)
    n, first, last, total, most = 0, 0, 0, 0.0, 0.0
    for frame in range(len(lost) + 1):
        ends = frame == len(lost) or row[frame] != row[first]
        if ends or total <= 0.0 or total < most - least[row[first]]:
            if most >= least[row[first]]:
                found[n, 0], found[n, 1] = first, last
                n += 1
            first, total, most = frame, 0.0, 0.0
        if frame < len(lost):
            total += lost[frame]
            if total > most:
                most, last = total, frame
    return found[:n]
