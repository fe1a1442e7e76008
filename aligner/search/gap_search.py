"""The best path through a text of which words may be missing, and through speech that it may lack.

Not `mas`: there what may be skipped never stands side by side, and here every word may be. So this is for the
few places that look as if (`search/gaps.py`).

S frames, T states, W words, M states of the model. Junction j is the place before word j; junction W the end.
"""

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices
from mas.backends.cpu_threads import compiled

_NEVER = -1e30
# Where a path came from, a byte a cell.
_SAME, _BEFORE, _PAUSE, _GAP, _UNSAID = 0, 1, 2, 3, 4


def search_gaps(
    emissions: NDArray[np.float32],
    pause: NDArray[np.float64],
    gap: NDArray[np.float64],
    states: Indices,
    first: Indices,
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    run_costs: NDArray[np.float64],
    word_costs: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Indices]:
    """Which words are not said, at which junctions something is said that the text lacks; where words begin.

    Args:
        emissions: `[S, M]`, log-likelihoods.
        pause: `[S]`, that of a pause, which may be at every junction.
        gap: `[S]`, that of speech that the text lacks.
        states: `[T]`, the model's states of all words, in order; each takes a frame or more.
        first: `[W + 1]`, the first state of each word, and T.
        begin: `[S]`, what it costs where speech that the text lacks begins with this frame.
        end: `[S + 1]`, what it costs where such speech ends before this frame.
        run_costs: `[W]`, of a run of words that are not said, by the first of them.
        word_costs: `[W]`, of each of these words, besides.

    Returns:
        Bool `[W]` and `[W + 1]`, and the first frame of each word, `[W]`; -1 of one that is not said.
    """
    unsaid, extra, starts = _search(emissions, pause, gap, states, first, begin, end, run_costs, word_costs)
    left_over = _left_over(unsaid, extra)
    return unsaid | left_over, extra, np.where(left_over, -1, starts)


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
    emissions, pause, gap, states, first, begin, end, run_costs, word_costs
):
    """As `search_gaps`, with words that are left over."""
    n_frames, n_words = len(emissions), len(first) - 1
    word_of = np.full(len(states), -1, np.int64)  # of its first state
    for word in range(n_words):
        word_of[first[word]] = word
    score = np.full(len(states), _NEVER)
    # Before the next frame: word j - 1 has ended; junction j is a pause, or has speech that the text lacks;
    # word j - 1 has been passed over.
    ended, at_pause = np.full(n_words + 1, _NEVER), np.full(n_words + 1, _NEVER)
    in_gap, unsaid = np.full(n_words + 1, _NEVER), np.full(n_words + 1, _NEVER)
    from_state = np.zeros((n_frames, len(states)), np.uint8)
    from_pause = np.zeros((n_frames, n_words + 1), np.uint8)
    from_gap = np.zeros((n_frames, n_words + 1), np.uint8)
    from_unsaid = np.zeros((n_frames + 1, n_words + 1), np.uint8)
    ended[0] = 0.0
    for frame in range(n_frames):
        _pass_over(ended, at_pause, in_gap, unsaid, end[frame], run_costs, word_costs, from_unsaid[frame])
        for t in range(len(states) - 1, -1, -1):  # from the end: what is before still is of the last frame
            best, came, j = score[t], _SAME, word_of[t]
            before = score[t - 1] if j < 0 else ended[j]
            if before > best:
                best, came = before, _BEFORE
            if j >= 0:
                if at_pause[j] > best:
                    best, came = at_pause[j], _PAUSE
                if in_gap[j] - end[frame] > best:
                    best, came = in_gap[j] - end[frame], _GAP
                if unsaid[j] > best:
                    best, came = unsaid[j], _UNSAID
            score[t] = best + emissions[frame, states[t]]
            from_state[frame, t] = came
        _stay_between(
            ended, at_pause, in_gap, unsaid, begin[frame], end[frame], from_pause[frame], from_gap[frame]
        )
        at_pause += pause[frame]
        in_gap += gap[frame]
        ended[0] = _NEVER
        for j in range(1, n_words + 1):
            ended[j] = score[first[j] - 1]
    _pass_over(ended, at_pause, in_gap, unsaid, end[n_frames], run_costs, word_costs, from_unsaid[n_frames])
    ends = np.array(
        [_NEVER, ended[n_words], at_pause[n_words], in_gap[n_words] - end[n_frames], unsaid[n_words]]
    )
    return _followed_back(int(ends.argmax()), from_state, from_pause, from_gap, from_unsaid, word_of, first)


@compiled
def _pass_over(ended, at_pause, in_gap, unsaid, end, run_costs, word_costs, came_from):  # type: ignore[no-untyped-def]
    """Words that are not said: they take no frame."""
    for j in range(1, len(ended)):
        best, came = ended[j - 1], _BEFORE
        if at_pause[j - 1] > best:
            best, came = at_pause[j - 1], _PAUSE
        if in_gap[j - 1] - end > best:
            best, came = in_gap[j - 1] - end, _GAP
        best -= run_costs[j - 1]
        if unsaid[j - 1] > best:
            best, came = unsaid[j - 1], _SAME
        unsaid[j] = best - word_costs[j - 1]
        came_from[j] = came


@compiled
def _stay_between(ended, at_pause, in_gap, unsaid, begin, end, from_pause, from_gap):  # type: ignore[no-untyped-def]
    """Pauses, and speech that the text lacks: the best way into a frame of either."""
    for j in range(len(ended)):
        best, came = ended[j], _BEFORE
        if unsaid[j] > best:
            best, came = unsaid[j], _UNSAID
        paused, pause_came = (at_pause[j], _SAME) if at_pause[j] >= best else (best, came)
        if in_gap[j] - end > paused:
            paused, pause_came = in_gap[j] - end, _GAP
        if at_pause[j] > best:
            best, came = at_pause[j], _PAUSE
        if best - begin > in_gap[j]:
            in_gap[j] = best - begin
            from_gap[j] = came
        at_pause[j], from_pause[j] = paused, pause_came


@compiled
def _followed_back(
    kind: int,
    from_state: NDArray[np.uint8],
    from_pause: NDArray[np.uint8],
    from_gap: NDArray[np.uint8],
    from_unsaid: NDArray[np.uint8],
    word_of: Indices,
    first: Indices,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Indices]:
    """The path back from the end: `kind` is where it ended, as where it came from."""
    n_words = len(first) - 1
    dropped, extra = np.zeros(n_words, np.bool_), np.zeros(n_words + 1, np.bool_)
    starts = np.full(n_words, -1, np.int64)
    frame, j, t = len(from_state) - 1, n_words, first[n_words] - 1
    while frame >= 0 or kind == _UNSAID:
        if kind == _UNSAID:
            came = from_unsaid[frame + 1, j]
            j -= 1
            dropped[j] = True
            kind = _UNSAID if came == _SAME else came
            t = first[j] - 1
            continue
        if kind == _BEFORE:
            came = from_state[frame, t]
            if came != _SAME:
                j = word_of[t]
                if j >= 0:
                    starts[j] = frame
                kind = _BEFORE if came == _BEFORE else came
                t -= 1
        elif kind == _PAUSE:
            came = from_pause[frame, j]
            kind, t = kind if came == _SAME else came, first[j] - 1
        else:
            extra[j] = True
            came = from_gap[frame, j]
            kind, t = kind if came == _SAME else came, first[j] - 1
        frame -= 1
    return dropped, extra, starts
