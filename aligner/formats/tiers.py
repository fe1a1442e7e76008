"""Tiers: labelled times of any source as tokens that cover an utterance, with words over them."""

from collections.abc import Iterable

from aligner.alignment import Alignment, Interval, is_pause
from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE

_ROUNDING_S = 2e-3  # times written with two or three decimals leave gaps and overlaps of this size at most

Entry = tuple[str, float, float, float | None]  # label, start in seconds, end in seconds, score


def alignment_from_entries(
    id: str, duration_s: float, phones: Iterable[Entry], words: Iterable[Entry], speaker: str = ""
) -> Alignment:
    """The alignment of one utterance from its phone tier and its word tier.

    Args:
        id: The utterance's id.
        duration_s: Length of the recording in seconds.
        phones: Entries of the phone tier in order of time; may be empty.
        words: Entries of the word tier in order of time; may be empty. Entries that are pauses are dropped.
        speaker: The speaker's name, "" if unknown.

    Raises:
        AlignerError: Phones overlap or end after the recording.
    """
    spoken = [word for word in words if not is_pause(word[0])]
    spans = tuple(Interval(w, start, end, score, i) for i, (w, start, end, score) in enumerate(spoken))
    tokens = assign_words(tile(phones, duration_s, id), spans)
    return Alignment(id, duration_s, tokens, spans, speaker, text=" ".join(w.symbol for w in spans))


def tile(entries: Iterable[Entry], duration_s: float, id: str) -> tuple[Interval, ...]:
    """Tokens that cover [0, duration_s] without gap or overlap, from the entries of a tier.

    Gaps and empty labels become pauses. Gaps and overlaps of rounding size are closed at the later start.
    Entries without extent are dropped.

    Args:
        entries: The tier's entries in order of time.
        duration_s: Length of the recording in seconds.
        id: The utterance's id, for error messages.

    Returns:
        The tokens; none if there are no entries.

    Raises:
        AlignerError: An entry overlaps the one before it or ends after the recording.
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
                tokens[-1] = _with_end(tokens[-1], start_s)
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
        tokens[-1] = _with_end(tokens[-1], duration_s)
    return tuple(tokens)


def assign_words(tokens: tuple[Interval, ...], words: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """The tokens, each with the index of the word that its middle lies in, -1 for pauses and outside words.

    Args:
        tokens: In order of time.
        words: In order of time, without overlap.
    """
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


def _with_end(token: Interval, end_s: float) -> Interval:
    if end_s <= token.start_s:  # the token is shorter than the rounding: it keeps its end
        return token
    return Interval(token.symbol, token.start_s, end_s, token.score, token.word)
