"""What readers share: labelled times of any making to tokens that tile an utterance, with words over them."""

from collections.abc import Iterable

from aligner.alignment import Interval, is_pause
from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE

_ROUNDING_S = 2e-3  # times written with two or three decimals leave gaps and overlaps of this size at most

Entry = tuple[str, float, float, float | None]


def tile(entries: Iterable[Entry], duration_s: float, id: str) -> tuple[Interval, ...]:
    """(label, start, end, score) in order to tokens that tile [0, duration_s]; none for no entry.

    Gaps and empty labels become pauses; gaps and overlaps of rounding size are closed at the later start.
    Entries without extent are dropped. Raises AlignerError for overlaps.
    """
    entries = list(entries)
    if not entries:
        return ()
    tokens: list[Interval] = []
    filled_s = 0.0
    for label, start_s, end_s, score in entries:
        if start_s < filled_s - _ROUNDING_S or end_s > duration_s + _ROUNDING_S:
            raise AlignerError(
                f"{id}: {label!r} at {start_s:.3f}-{end_s:.3f} s overlaps what stands before it "
                f"or lies beyond the end ({duration_s:.3f} s)"
            )
        if abs(start_s - filled_s) <= _ROUNDING_S:
            if tokens and start_s != filled_s:
                tokens[-1] = _ending(tokens[-1], start_s)
            elif not tokens:
                start_s = 0.0
        else:
            tokens.append(Interval(PAUSE, filled_s, start_s))
        if end_s > start_s:
            tokens.append(Interval(label.strip() or PAUSE, start_s, end_s, score))
            filled_s = end_s
    if duration_s - filled_s > _ROUNDING_S:
        tokens.append(Interval(PAUSE, filled_s, duration_s))
    elif tokens:
        tokens[-1] = _ending(tokens[-1], duration_s)
    return tuple(tokens)


def assign_words(tokens: tuple[Interval, ...], words: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """The tokens, each with the index of the word its middle lies in; pauses belong to none."""
    result, index = [], 0
    for token in tokens:
        middle_s = (token.start_s + token.end_s) / 2
        while index < len(words) and words[index].end_s <= middle_s:
            index += 1
        inside = index < len(words) and words[index].start_s <= middle_s and not is_pause(token.symbol)
        result.append(
            Interval(token.symbol, token.start_s, token.end_s, token.score, index if inside else -1)
        )
    return tuple(result)


def _ending(token: Interval, end_s: float) -> Interval:
    if end_s <= token.start_s:  # shorter than the rounding: leave it what it has
        return token
    return Interval(token.symbol, token.start_s, end_s, token.score, token.word)
