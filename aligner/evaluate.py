"""Evaluation: errors of word and phone boundaries against reference times, in milliseconds.

What is compared, and what is not:

Words: the start and the end of every word. Words are matched in order and by text, without case and
punctuation.

Phones: every boundary between consecutive phones, the start of the first and the end of the last. Pauses are
dropped on both sides first; where either side has a pause between two phones, the end before it and the start
after it are two boundaries, otherwise they are one. TIMIT's closures are one phone with their bursts (`tcl t`
is `t`), its `h#`, `pau` and `epi` are pauses. Phones are paired one to one, whatever their names, if both
utterances have equally many; otherwise within each pair of matched words that have equally many. Anything
else is counted as skipped, with its reason. An error is positive where the aligner is late.

Of a reference that a person made by correcting an alignment, only the times that he set are compared: the
others are the aligner's own.
"""

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, Interval, is_pause
from aligner.errors import AlignerError
from aligner.formats.lookup import AlignmentLookup, NoMatch
from aligner.formats.timit import merge_phones
from aligner.text.transcript import normalised_word

# Tolerances that papers report: 20 ms for TIMIT's phones; 10, 25, 50, 100 ms by MFA (McAuliffe et al. 2017).
THRESHOLDS_MS = (10, 20, 25, 50, 100)
_WORST_SHOWN = 10  # utterances in `worst`, enough to listen to
_SAME_S = 1e-6  # times that differ by less are one, written twice


@dataclass
class Comparison:
    """The boundary errors of one utterance, and what of it could not be compared.

    Args:
        id: The utterance's id.
        speaker: The speaker's name, "" if unknown.
        word_starts_ms: Error of each matched word's start, positive where the aligner is late.
        word_ends_ms: Error of each matched word's end.
        phones_ms: Error of each phone boundary.
        words_skipped: (reason, word) for each word of the reference that was not compared.
        phones_skipped: (reason, phone) for each phone of the reference that was not compared.
    """

    id: str
    speaker: str
    word_starts_ms: list[float] = field(default_factory=list)
    word_ends_ms: list[float] = field(default_factory=list)
    phones_ms: list[float] = field(default_factory=list)
    words_skipped: list[tuple[str, str]] = field(default_factory=list)
    phones_skipped: list[tuple[str, str]] = field(default_factory=list)


def compare(alignment: Alignment, reference: Alignment) -> Comparison:
    """The boundary errors of one utterance.

    Args:
        alignment: What an aligner made.
        reference: The times it is compared with.
    """
    result = Comparison(alignment.id, alignment.speaker or reference.speaker)
    pairs = _match_words(alignment.words, reference.words)
    counts = _counted_times(reference)
    for ours, theirs in pairs:
        own, known = alignment.words[ours], reference.words[theirs]
        if counts(known.start_s):
            result.word_starts_ms.append(_error_ms(own.start_s, known.start_s))
        if counts(known.end_s):
            result.word_ends_ms.append(_error_ms(own.end_s, known.end_s))
    result.words_skipped += [
        ("word is marked as wrong", f"{alignment.id}: {reference.words[index].symbol}")
        for index in reference.wrong_words
    ]
    if alignment.words and reference.words:
        matched = {theirs for _, theirs in pairs}
        result.words_skipped += [
            ("word has no counterpart in the alignment", f"{alignment.id}: {word.symbol}")
            for index, word in enumerate(reference.words)
            if index not in matched
        ]
    _compare_phones(alignment, reference, pairs, result)
    return result


def compared_times_s(alignment: Alignment, reference: Alignment) -> list[tuple[float, float]]:
    """The times that `compare` compares, of words and phones: ours and the known one, each pair once.

    Args:
        alignment: What an aligner made.
        reference: The times it is compared with.
    """
    counts = _counted_times(reference)
    words = _match_words(alignment.words, reference.words)
    times_s = [
        edge
        for own, known in ((alignment.words[i], reference.words[j]) for i, j in words)
        for edge in ((own.start_s, known.start_s), (own.end_s, known.end_s))
    ]
    ours, theirs = _phones(alignment.tokens), _phones(reference.tokens)
    times_s += _phone_times_s(ours, theirs, _paired_phones(ours, theirs, words))
    return [(ours_s, known_s) for ours_s, known_s in dict.fromkeys(times_s) if counts(known_s)]


def evaluate(alignments: Iterable[Alignment], references: AlignmentLookup) -> dict[str, Any]:
    """A summary of the boundary errors of many utterances.

    Args:
        alignments: What an aligner made.
        references: The times they are compared with.

    Returns:
        Plain JSON types. `words` and `phones`: what `boundary_figures` gives, the mean signed error (words:
        start_bias_ms and end_bias_ms, phones: bias_ms) and skipped (words or phones of compared utterances
        without a counterpart). `speakers`: the same for each speaker. `worst`: utterances with the largest
        mean error. `utterances`: how many were compared, `by_hand`: how many of them only in
        the times that a person set. `skipped`: how many were not. `reasons`: what was
        skipped, by reason. Figures are None where there is nothing to take them over.

    Raises:
        AlignerError: No boundary could be compared.
    """
    comparisons: list[Comparison] = []
    reasons: dict[str, list[str]] = defaultdict(list)
    skipped = by_hand = 0
    for alignment in alignments:
        try:
            reference = references.find(alignment.id)
        except NoMatch as error:
            reasons[str(error)].append(alignment.id)
            skipped += 1
            continue
        comparison = compare(alignment, reference)
        comparisons.append(comparison)
        by_hand += reference.by_hand_s is not None
        for reason, what in (*comparison.words_skipped, *comparison.phones_skipped):
            reasons[reason].append(what)
    for name in references.unused():
        reasons["no alignment for this reference"].append(name)
        skipped += 1
    if not any(c.word_starts_ms or c.phones_ms for c in comparisons):
        found = "; ".join(f"{reason}: {len(what)} (such as {what[0]!r})" for reason, what in reasons.items())
        raise AlignerError(f"nothing to compare with {references.path}: {found or 'no alignment'}")
    return {
        **summarise(comparisons),
        "utterances": len(comparisons),
        "by_hand": by_hand,
        "skipped": skipped,
        "worst": _worst(comparisons),
        "reasons": dict(reasons),
    }


def summarise(comparisons: Iterable[Comparison]) -> dict[str, Any]:
    """The figures of several utterances together, `words`, `phones` and `speakers` as `evaluate` gives them.

    Args:
        comparisons: One an utterance.
    """
    comparisons = list(comparisons)
    by_speaker: dict[str, list[Comparison]] = defaultdict(list)
    for comparison in comparisons:
        by_speaker[comparison.speaker].append(comparison)
    return {
        **_levels(comparisons),
        "speakers": {speaker: _levels(group) for speaker, group in sorted(by_speaker.items())},
    }


def boundary_figures(errors_ms: Iterable[float]) -> dict[str, float | int | None]:
    """The usual figures of boundary errors.

    Args:
        errors_ms: Signed errors in ms.

    Returns:
        n, and of the absolute errors mean_ms, median_ms, within_10ms .. within_100ms and beyond_100ms (these
        in per cent of n). All but n are None where there is no error.
    """
    sizes = np.abs(np.fromiter(errors_ms, np.float64))
    some = len(sizes) > 0
    figures: dict[str, float | int | None] = {
        "n": len(sizes),
        "mean_ms": _rounded(sizes.mean()) if some else None,
        "median_ms": _rounded(np.median(sizes)) if some else None,
    }
    for limit_ms in THRESHOLDS_MS:
        figures[f"within_{limit_ms}ms"] = _rounded(100 * (sizes <= limit_ms).mean()) if some else None
    figures["beyond_100ms"] = _rounded(100 * (sizes > 100).mean()) if some else None
    return figures


def _levels(comparisons: list[Comparison]) -> dict[str, Any]:
    starts = [e for c in comparisons for e in c.word_starts_ms]
    ends = [e for c in comparisons for e in c.word_ends_ms]
    phones = [e for c in comparisons for e in c.phones_ms]
    return {
        "words": {
            **boundary_figures((*starts, *ends)),
            "start_bias_ms": _mean(starts),
            "end_bias_ms": _mean(ends),
            "skipped": sum(len(c.words_skipped) for c in comparisons),
        },
        "phones": {
            **boundary_figures(phones),
            "bias_ms": _mean(phones),
            "skipped": sum(len(c.phones_skipped) for c in comparisons),
        },
    }


def _worst(comparisons: list[Comparison]) -> list[dict[str, Any]]:
    rows: list[tuple[float, str, float]] = []
    for c in comparisons:
        errors = c.word_starts_ms + c.word_ends_ms or c.phones_ms
        if errors:
            sizes = np.abs(errors)
            rows.append((_rounded(sizes.mean()), c.id, _rounded(sizes.max())))
    rows.sort(key=lambda row: (-row[0], row[1]))
    return [{"id": id, "mean_ms": mean, "max_ms": worst} for mean, id, worst in rows[:_WORST_SHOWN]]


def _match_words(ours: tuple[Interval, ...], theirs: tuple[Interval, ...]) -> list[tuple[int, int]]:
    a, b = [normalised_word(w.symbol) for w in ours], [normalised_word(w.symbol) for w in theirs]
    if a == b:
        return [(i, i) for i in range(len(a))]
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(i + k, j + k) for i, j, size in blocks for k in range(size)]


def _compare_phones(
    alignment: Alignment, reference: Alignment, words: list[tuple[int, int]], result: Comparison
) -> None:
    ours, theirs = _phones(alignment.tokens), _phones(reference.tokens)
    if not ours or not theirs:
        return
    pairs = _paired_phones(ours, theirs, words)
    counts = _counted_times(reference)
    result.phones_ms = [
        _error_ms(our_s, their_s) for our_s, their_s in _phone_times_s(ours, theirs, pairs) if counts(their_s)
    ]
    paired = {j for _, j in pairs}
    result.phones_skipped = [
        (
            "phone in a word that has another number of phones in the alignment",
            f"{alignment.id}: {phone.symbol}",
        )
        for j, phone in enumerate(theirs)
        if j not in paired
    ]


def _phones(tokens: tuple[Interval, ...]) -> list[Interval]:
    return [phone for phone in merge_phones(tokens) if not is_pause(phone.symbol)]


def _paired_phones(
    ours: list[Interval], theirs: list[Interval], words: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    if len(ours) == len(theirs):
        return [(i, i) for i in range(len(ours))]
    return list(_phones_of_words(ours, theirs, words))


def _phones_of_words(
    ours: list[Interval], theirs: list[Interval], words: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    own, their = defaultdict(list), defaultdict(list)
    for index, phone in enumerate(ours):
        own[phone.word].append(index)
    for index, phone in enumerate(theirs):
        their[phone.word].append(index)
    for i, j in words:
        if len(own[i]) == len(their[j]):
            yield from zip(own[i], their[j], strict=True)


def _counted_times(reference: Alignment) -> Callable[[float], bool]:
    """Which of a reference's times count: all, or those that a person set and that are of no wrong word."""
    if reference.by_hand_s is None:
        return lambda time_s: True
    wrong = [reference.words[index] for index in reference.wrong_words]
    known_s = [
        time_s
        for time_s in reference.by_hand_s
        if not any(word.start_s - _SAME_S <= time_s <= word.end_s + _SAME_S for word in wrong)
    ]
    return lambda time_s: any(abs(time_s - known) <= _SAME_S for known in known_s)


def _phone_times_s(
    ours: list[Interval], theirs: list[Interval], pairs: list[tuple[int, int]]
) -> Iterator[tuple[float, float]]:
    before: tuple[int, int] | None = None
    for i, j in pairs:
        if before is not None:
            touching = (
                before == (i - 1, j - 1)
                and ours[i - 1].end_s == ours[i].start_s
                and theirs[j - 1].end_s == theirs[j].start_s
            )
            if not touching:
                yield ours[before[0]].end_s, theirs[before[1]].end_s
        yield ours[i].start_s, theirs[j].start_s
        before = i, j
    if before is not None:
        yield ours[before[0]].end_s, theirs[before[1]].end_s


def _error_ms(ours_s: float, theirs_s: float) -> float:
    return round((ours_s - theirs_s) * 1000, 6)  # so that 20 ms is 20 ms, not 20.000000000000018


def _rounded(value: float | np.floating | NDArray[np.float64]) -> float:
    return round(float(value), 3)


def _mean(errors_ms: list[float]) -> float | None:
    return _rounded(np.mean(errors_ms)) if errors_ms else None
