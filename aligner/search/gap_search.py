"""The best path through a text of which words may be missing, and through speech that it may lack.

Not `mas`: there what may be skipped never stands side by side, and here every word may be. So this is for the
few places that look as if (`search/gaps.py`).

S frames, T states, V pronunciations, W words, M states of the model. Junction j is the place before word j;
junction W the end.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices
from aligner.search.word_states import NEVER, WordStates, end_words
from mas.backends.cpu_threads import compiled

# Where a path came from, a byte a cell.
_SAME, _BEFORE, _PAUSE, _GAP, _UNSAID = 0, 1, 2, 3, 4


class GapCosts(NamedTuple):
    """What it costs that text and audio differ.

    Args:
        extra: `[W + 1]`, speech that the text lacks, by its junction.
        before: `[S]`, besides, where it begins with this frame.
        after: `[S + 1]`, besides, where it ends before this frame.
        beside: `[W + 1]`, how many times both, by the junction.
        run: `[W]`, a run of words that are not said, by the first of them.
        word: `[W]`, each of these words, besides.
        edge: `[W + 1]`, where a run begins or ends, besides.
    """

    extra: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    beside: NDArray[np.float64]
    run: NDArray[np.float64]
    word: NDArray[np.float64]
    edge: NDArray[np.float64]


class GapPath(NamedTuple):
    """Where text and audio differ.

    Args:
        unsaid: Bool `[W]`, the words that are not said.
        extra: `[W + 1]`, the frames of speech that the text lacks, at each junction.
        starts: `[W]`, the first frame of each word; -1 of one that is not said.
        variants: `[W]`, the pronunciation of each, counted over all words; -1 of one that is not said.
        heard: The symbols of what is said at a junction, where that is known.
    """

    unsaid: NDArray[np.bool_]
    extra: Indices
    starts: Indices
    variants: Indices
    heard: Mapping[int, tuple[int, ...]] = MappingProxyType({})

    @property
    def differs(self) -> bool:
        """Whether text and audio do."""
        return bool(self.unsaid.any() or self.extra.any())


def search_gaps(
    emissions: NDArray[np.float32],
    pause: NDArray[np.float64],
    gap: NDArray[np.float64],
    words: WordStates,
    costs: GapCosts,
) -> GapPath:
    """Which words are not said, and at which junctions something is said that the text lacks.

    Args:
        emissions: `[S, M]`, log-likelihoods.
        pause: `[S]`, that of a pause, which may be at every junction.
        gap: `[S]`, that of speech that the text lacks.
        words: Of the text.
        costs: Of both.
    """
    path = GapPath(*_search(emissions, pause, gap, *words.arrays, *costs))
    left_over = _left_over(path.unsaid, path.extra > 0)
    starts, variants = (np.where(left_over, -1, own) for own in (path.starts, path.variants))
    return GapPath(path.unsaid | left_over, path.extra, starts, variants)


def _left_over(unsaid: NDArray[np.bool_], extra: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Words, `[W]`, said between words that are not: as many or more on either side, on one twice as many.

    Of a missing sentence "the" is taken for any sound at its place.
    """
    result = np.zeros_like(unsaid)
    edges = np.flatnonzero(np.diff(unsaid, prepend=~unsaid[:1], append=~unsaid[-1:]))
    lengths = np.diff(edges)
    for run in range(1, len(lengths) - 1):
        start, end = edges[run], edges[run + 1]
        fewer, more = sorted((lengths[run - 1], lengths[run + 1]))
        few = lengths[run] <= min(fewer, more // 2)
        result[start:end] = few and not unsaid[start] and not extra[start : end + 1].any()
    return result


@compiled
def _search(  # type: ignore[no-untyped-def]
    emissions, pause, gap, states, first, variants, log_priors, extra, before, after, beside, run, word, edge
):
    """As `search_gaps`, with words that are left over."""
    n_frames, n_words = len(emissions), len(variants) - 1
    score = np.full(len(states), NEVER)
    # Before the next frame: word j - 1 has ended; junction j is a pause, or has speech that the text lacks;
    # word j - 1 has been passed over.
    ended, at_pause = np.full(n_words + 1, NEVER), np.full(n_words + 1, NEVER)
    in_gap, unsaid = np.full(n_words + 1, NEVER), np.full(n_words + 1, NEVER)
    from_state = np.zeros((n_frames, len(states)), np.uint8)
    from_pause = np.zeros((n_frames, n_words + 1), np.uint8)
    from_gap = np.zeros((n_frames, n_words + 1), np.uint8)
    from_unsaid = np.zeros((n_frames + 1, n_words + 1), np.uint8)
    ended_as = np.zeros((n_frames, n_words + 1), np.int32)  # which pronunciation of word j - 1
    ended[0] = 0.0
    for frame in range(n_frames):
        ends = beside * after[frame]
        _pass_over(ended, at_pause, in_gap, unsaid, ends, run, word, edge, from_unsaid[frame])
        for j in range(n_words - 1, -1, -1):  # from the end: what is before still is of the last frame
            entered, entered_from = ended[j], _BEFORE
            if at_pause[j] > entered:
                entered, entered_from = at_pause[j], _PAUSE
            if in_gap[j] - ends[j] > entered:
                entered, entered_from = in_gap[j] - ends[j], _GAP
            if unsaid[j] - edge[j] > entered:
                entered, entered_from = unsaid[j] - edge[j], _UNSAID
            for v in range(variants[j], variants[j + 1]):
                for t in range(first[v + 1] - 1, first[v] - 1, -1):  # from the end, as words
                    best, came = score[t], _SAME
                    if t > first[v]:
                        if score[t - 1] > best:
                            best, came = score[t - 1], _BEFORE
                    elif entered + log_priors[v] > best:
                        best, came = entered + log_priors[v], entered_from
                    score[t] = best + emissions[frame, states[t]]
                    from_state[frame, t] = came
        begins = extra + beside * before[frame]
        _stay_between(ended, at_pause, in_gap, unsaid, begins, ends, edge, from_pause[frame], from_gap[frame])
        at_pause += pause[frame]
        in_gap += gap[frame]
        ended[0] = NEVER
        end_words(score, first, variants, ended, ended_as[frame])
    ends = beside * after[n_frames]
    _pass_over(ended, at_pause, in_gap, unsaid, ends, run, word, edge, from_unsaid[n_frames])
    finished = np.array(
        [
            NEVER,
            ended[n_words],
            at_pause[n_words],
            in_gap[n_words] - ends[n_words],
            unsaid[n_words] - edge[n_words],
        ]
    )
    kind = int(finished.argmax())
    return _followed_back(kind, from_state, from_pause, from_gap, from_unsaid, ended_as, first, variants)


@compiled
def _pass_over(ended, at_pause, in_gap, unsaid, ends, run, word, edge, came_from):  # type: ignore[no-untyped-def]
    """Words that are not said: they take no frame."""
    for j in range(1, len(ended)):
        best, came = ended[j - 1], _BEFORE
        if at_pause[j - 1] > best:
            best, came = at_pause[j - 1], _PAUSE
        if in_gap[j - 1] - ends[j - 1] > best:
            best, came = in_gap[j - 1] - ends[j - 1], _GAP
        best -= run[j - 1] + edge[j - 1]
        if unsaid[j - 1] > best:
            best, came = unsaid[j - 1], _SAME
        unsaid[j] = best - word[j - 1]
        came_from[j] = came


@compiled
def _stay_between(  # type: ignore[no-untyped-def]
    ended, at_pause, in_gap, unsaid, begins, ends, edge, from_pause, from_gap
):
    """Pauses, and speech that the text lacks: the best way into a frame of either."""
    for j in range(len(ended)):
        best, came = ended[j], _BEFORE
        if unsaid[j] - edge[j] > best:
            best, came = unsaid[j] - edge[j], _UNSAID
        paused, pause_came = (at_pause[j], _SAME) if at_pause[j] >= best else (best, came)
        if in_gap[j] - ends[j] > paused:
            paused, pause_came = in_gap[j] - ends[j], _GAP
        if at_pause[j] > best:
            best, came = at_pause[j], _PAUSE
        if best - begins[j] > in_gap[j]:
            in_gap[j] = best - begins[j]
            from_gap[j] = came
        at_pause[j], from_pause[j] = paused, pause_came


@compiled
def _followed_back(
    kind: int,
    from_state: NDArray[np.uint8],
    from_pause: NDArray[np.uint8],
    from_gap: NDArray[np.uint8],
    from_unsaid: NDArray[np.uint8],
    ended_as: NDArray[np.int32],
    first: Indices,
    variants: Indices,
) -> tuple[NDArray[np.bool_], Indices, Indices, Indices]:
    """The path back from the end: `kind` is where it ended, as where it came from."""
    n_words = len(variants) - 1
    dropped, extra = np.zeros(n_words, np.bool_), np.zeros(n_words + 1, np.int64)
    starts, chosen = np.full(n_words, -1, np.int64), np.full(n_words, -1, np.int64)
    # Word j - 1 is what the path is in, or what is before its junction j; t is -1 until the path is in it.
    frame, j, t = len(from_state) - 1, n_words, -1
    while frame >= 0 or kind == _UNSAID:
        if kind == _UNSAID:
            came = from_unsaid[frame + 1, j]
            j -= 1
            dropped[j] = True
            kind = _UNSAID if came == _SAME else came
            continue
        if kind == _BEFORE:
            if t < 0:
                chosen[j - 1] = ended_as[frame, j]
                t = first[chosen[j - 1] + 1] - 1
            came = from_state[frame, t]
            if came != _SAME:
                if t > first[chosen[j - 1]]:
                    t -= 1
                else:
                    j -= 1
                    starts[j] = frame
                    kind, t = came, -1
        elif kind == _PAUSE:
            came = from_pause[frame, j]
            kind = kind if came == _SAME else came
        else:
            extra[j] += 1
            came = from_gap[frame, j]
            kind = kind if came == _SAME else came
        frame -= 1
    return dropped, extra, starts, chosen
