"""Times as whole numbers of a unit, for formats that have no fractions."""

from itertools import pairwise

import numpy as np

from aligner.alignment import Alignment, DoesNotFit, FrameGrid, Interval

Whole = tuple[str, int, int]  # symbol, start and end in the unit


def in_whole_units(
    alignment: Alignment, per_s: int, words_alone: bool = False
) -> tuple[list[Whole], list[Whole]]:
    """The tokens and the words with times in a whole unit, rounded; each keeps one unit at least.

    Tokens follow each other without a gap from 0 on, and words begin and end with theirs.

    Args:
        alignment: One utterance.
        per_s: Units of a second, such as 1000 for milliseconds.
        words_alone: Whether there may be no tokens.

    Raises:
        DoesNotFit: More tokens than units, or none.
    """
    grid, units = FrameGrid(1, per_s, "same"), max(1, round(alignment.duration_s * per_s))
    if len(alignment.tokens) > units:
        raise DoesNotFit(
            f"{alignment.id}: {len(alignment.tokens)} tokens in {units} units of 1/{per_s} s, of which each "
            "needs one in this format; leave this utterance out"
        )
    if words_alone and not alignment.tokens:
        return [], [_rounded(word, per_s, units) for word in alignment.words]
    edges = [0, *np.cumsum(alignment.durations_on(grid, units)).tolist()]
    tokens = [(t.symbol, *edge) for t, edge in zip(alignment.tokens, pairwise(edges), strict=True)]
    extents: dict[int, tuple[int, int]] = {}
    for token, (_, start, end) in zip(alignment.tokens, tokens, strict=True):
        extents[token.word] = (extents.get(token.word, (start, end))[0], end)
    words = [
        (word.symbol, *extents[index]) if index in extents else _rounded(word, per_s, units)
        for index, word in enumerate(alignment.words)
    ]
    return tokens, words


def _rounded(word: Interval, per_s: int, units: int) -> Whole:
    start = min(round(word.start_s * per_s), units - 1)
    return word.symbol, start, max(round(word.end_s * per_s), start + 1)
