"""Tiers: labelled times of any source as tokens that cover an utterance, with words over them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

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
        AlignerError: Times are not numbers; a phone or word has no length or ends after the recording;
            phones overlap.
    """
    spoken = [word for word in words if not is_pause(word[0])]
    spans = tuple(Interval(w, start, end, score, i) for i, (w, start, end, score) in enumerate(spoken))
    check_times(id, spans, duration_s, may_be_empty=False, may_overlap=True)  # TIMIT's words do
    tokens = assign_words(tile(phones, duration_s, id), spans)
    return Alignment(id, duration_s, tokens, spans, speaker, text=" ".join(w.symbol for w in spans))


def tile(entries: Iterable[Entry], duration_s: float, id: str) -> tuple[Interval, ...]:
    """Tokens that cover [0, duration_s] without gap or overlap, from the entries of a tier.

    Gaps and empty labels become pauses. Gaps and overlaps of rounding size are closed at the later start.
    Pauses without extent are dropped.

    Args:
        entries: The tier's entries in order of time.
        duration_s: Length of the recording in seconds.
        id: The utterance's id, for error messages.

    Returns:
        The tokens; none if there are no entries.

    Raises:
        AlignerError: An entry's times are not numbers, it overlaps the one before it, ends after the
            recording, or is a phone of no length.
    """
    entries = [entry for entry in entries if not (is_pause(entry[0].strip()) and entry[1] == entry[2])]
    if not entries:
        return ()
    check_times(id, [Interval(*entry) for entry in entries], duration_s, may_be_empty=False)
    tokens: list[Interval] = []
    filled_s = 0.0
    for label, start_s, end_s, score in entries:
        if abs(start_s - filled_s) <= _ROUNDING_S:
            if tokens and start_s != filled_s:
                tokens[-1] = _with_end(tokens[-1], start_s)
            elif not tokens:
                start_s = 0.0
        else:
            tokens.append(Interval(PAUSE, filled_s, start_s))
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


def check_times(
    id: str,
    intervals: Iterable[Interval],
    duration_s: float,
    *,
    may_be_empty: bool = True,
    may_overlap: bool = False,
) -> None:
    """Check that intervals have times, follow each other and lie in the recording, up to rounding.

    Args:
        id: The utterance's id, for error messages.
        intervals: Tokens or words.
        duration_s: Length of the recording in seconds.
        may_be_empty: Whether they may have no length.
        may_overlap: Whether one may begin before the one before it ends.

    Raises:
        AlignerError: They do not.
    """
    if not (isinstance(duration_s, int | float) and 0 < duration_s < math.inf):
        raise AlignerError(f"{id}: its length is {duration_s} s, which is none")
    before_s = 0.0
    for i in intervals:
        times = (i.start_s, i.end_s)
        if not all(isinstance(time_s, int | float) and math.isfinite(time_s) for time_s in times):
            raise AlignerError(f"{id}: {i.symbol!r} has the times {i.start_s} and {i.end_s}, which are none")
        where = f"{id}: {i.symbol!r} at {i.start_s:.3f}-{i.end_s:.3f} s"
        if i.end_s < i.start_s:
            raise AlignerError(f"{where} ends before it begins")
        if i.end_s == i.start_s and not may_be_empty:
            raise AlignerError(f"{where} has no length; delete it or give it some")
        if i.start_s < before_s - _ROUNDING_S:
            raise AlignerError(f"{where} overlaps what stands before it, which ends at {before_s:.3f} s")
        if i.end_s > duration_s + _ROUNDING_S:
            raise AlignerError(f"{where} ends after the recording, at {duration_s:.3f} s")
        before_s = i.start_s if may_overlap else i.end_s


def without_rounding_gaps(tokens: Sequence[Interval]) -> tuple[Interval, ...]:
    """Tokens of which each ends where the next begins, if only the rounding of starts and lengths has parted
    them: neighbours share one boundary, and it must not count as two.

    Args:
        tokens: In order of time.
    """
    closed = [
        _with_end(token, after.start_s) if abs(token.end_s - after.start_s) <= _ROUNDING_S else token
        for token, after in pairwise(tokens)
    ]
    return (*closed, *tokens[-1:])


def with_added_pauses(tokens: Sequence[Interval], pauses: Sequence[Entry]) -> tuple[Interval, ...]:
    """The consumer's tokens with the added pauses between them, in order of time.

    Args:
        tokens: The consumer's own.
        pauses: Start, end and score of each pause that was added; its label is not read.
    """
    added = [Interval(PAUSE, start_s, end_s, score, added=True) for _, start_s, end_s, score in pauses]
    return tuple(
        sorted((*tokens, *added), key=lambda token: (token.start_s, token.end_s)) if added else tokens
    )


def cut_out_pauses(tokens: Sequence[Interval], pauses: Sequence[Entry]) -> tuple[Interval, ...]:
    """The inverse of `Alignment.own_tokens`: tokens that cover an utterance give back added pauses.

    Args:
        tokens: The consumer's own, without gaps.
        pauses: As `with_added_pauses` takes them; each at the edge of a token, or of two.
    """
    own = list(tokens)
    for _, start_s, end_s, _ in pauses:
        for t, token in enumerate(own):
            if token.start_s < start_s:
                own[t] = replace(token, end_s=min(token.end_s, start_s))
            elif token.start_s < end_s:
                own[t] = replace(token, start_s=min(token.end_s, end_s))
    return with_added_pauses(own, pauses)


def _with_end(token: Interval, end_s: float) -> Interval:
    if end_s <= token.start_s:  # the token is shorter than the rounding: it keeps its end
        return token
    return Interval(token.symbol, token.start_s, end_s, token.score, token.word)
