"""Initial alignments: alignments made elsewhere that training starts from, matched with a corpus' utterances.

T text tokens, S speech frames.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment, FrameGrid, Interval, is_pause
from aligner.corpus.prepared import Utterance
from aligner.encoders.base import PackedStates
from aligner.errors import AlignerError
from aligner.formats.corrections import marked_as_wrong
from aligner.formats.lookup import AlignmentLookup, NoMatch
from aligner.ragged import Indices, ranges, rows_of, starts_of
from aligner.text.transcript import Transcript, Word, normalised_word

_LONGER_S = 0.1  # than the recording: what rounding and resampling leave at most


@dataclass(frozen=True)
class InitialAlignment:
    """What the training of one utterance starts from.

    Args:
        variants: The pronunciation of each word, as `Transcript.tokens` takes them.
        boundaries_s: `[T + 1]`, the times around its tokens, in order. An optional pause may have no extent.
        evenly_split_words: How many words' phones share the word's time evenly, because theirs are not known.
    """

    variants: tuple[int, ...]
    boundaries_s: NDArray[np.float64]
    evenly_split_words: int


def states_of_frames(
    boundaries_s: NDArray[np.float64],
    lengths: Indices,
    states: PackedStates,
    grid: FrameGrid,
    n_frames: Indices,
) -> Indices:
    """The state of each frame of B utterances, `[F]`: a token's states share its frames evenly.

    Args:
        boundaries_s: `[N + B]`, the times around the tokens of each utterance.
        lengths: `[B]`, tokens of each.
        states: Of the N tokens.
        grid: Where the frames lie.
        n_frames: `[B]`, of each utterance.
    """
    frame = grid.first_frame_after(boundaries_s).clip(0, np.repeat(n_frames, lengths + 1))
    frame[starts_of(lengths + 1)], frame[np.cumsum(lengths + 1) - 1] = 0, n_frames
    start = np.arange(lengths.sum()) + rows_of(lengths)
    durations = frame[start + 1] - frame[start]
    token, place = rows_of(durations), ranges(np.zeros_like(durations), durations)
    counts = np.bincount(states.token, minlength=len(durations))
    return states.states[starts_of(counts)[token] + place * counts[token] // durations[token]]


@dataclass
class InitialAlignments:
    """What was found for a corpus.

    Args:
        matched: Initial alignments by utterance id.
        unmatched: For each utterance without one, which has a flat start, the reason.
    """

    matched: dict[str, InitialAlignment] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)


def read_init_alignments(path: str | Path, utterances: Iterable[Utterance]) -> InitialAlignments:
    """Match alignments with the utterances of a corpus by id and text.

    Args:
        path: Alignments in any format that `formats.read` reads.
        utterances: Of the corpus.

    Raises:
        AlignerError: If they can be read but fit no utterance.
    """
    alignments, result = AlignmentLookup(path), InitialAlignments()
    for utterance in utterances:
        try:
            given = alignments.find(utterance.id)
            found = match(utterance.transcript, given, utterance.duration_s)
        except NoMatch as reason:
            result.unmatched[utterance.id] = str(reason)
        else:
            result.matched[utterance.id] = found
    if not result.matched:
        id, why = next(iter(result.unmatched.items()))
        raise AlignerError(f"{path}: fits none of {len(result.unmatched)} utterances, such as {id}: {why}")
    return result


def match(transcript: Transcript, given: Alignment, duration_s: float) -> InitialAlignment:
    """The times of an alignment for the tokens of a transcript.

    If the words are the same, a word whose phones are one of its pronunciations takes their times, and the
    phones of any other share the word's. Without the words, all phones must be the text's.

    Args:
        transcript: Of the utterance.
        given: The alignment made elsewhere.
        duration_s: Of the recording.

    Raises:
        NoMatch: If they do not fit, with the reason.
    """
    if wrong := marked_as_wrong(given):
        raise NoMatch(f"of its words a person marked as wrong: {wrong}")
    if max((i.end_s for i in (*given.tokens, *given.words)), default=0.0) > duration_s + _LONGER_S:
        raise NoMatch(f"its times end after the recording, at {given.duration_s:.3f} s of {duration_s:.3f} s")
    if given.words:
        if [normalised_word(w.text) for w in transcript.words] != [
            normalised_word(w.symbol) for w in given.words
        ]:
            raise _difference(
                "words", [w.text for w in transcript.words], [w.symbol for w in given.words], normalised_word
            )
        phones: list[list[Interval]] = [[] for _ in given.words]
        for token in given.tokens:
            if token.word >= 0:
                phones[token.word].append(token)
        chosen = [_variant(word, own) for word, own in zip(transcript.words, phones, strict=True)]
        spans = [
            [word] if variant is None else own
            for word, own, variant in zip(given.words, phones, chosen, strict=True)
        ]
    else:
        spoken = [token for token in given.tokens if not is_pause(token.symbol)]
        symbols = [token.symbol for token in spoken]
        read = _read_as(transcript.words, symbols)
        if read is None:
            usual = [phone for word in transcript.words for phone in word.variants[0]]
            raise _difference("phones", usual, symbols)
        chosen, rest = list(read), iter(spoken)
        spans = [
            [next(rest) for _ in word.variants[variant]]
            for word, variant in zip(transcript.words, read, strict=True)
        ]
    variants = tuple(variant or 0 for variant in chosen)
    return InitialAlignment(
        variants, _boundaries_s(transcript, variants, spans, duration_s), chosen.count(None)
    )


def _variant(word: Word, phones: Sequence[Interval]) -> int | None:
    symbols = tuple(phone.symbol for phone in phones)
    return word.variants.index(symbols) if symbols in word.variants else None


def _read_as(words: Sequence[Word], phones: Sequence[str]) -> tuple[int, ...] | None:
    """The variants of the words that together are these phones; None if none are."""
    readings: dict[int, tuple[int, ...]] = {0: ()}  # number of phones read so far -> variants
    for word in words:
        longer: dict[int, tuple[int, ...]] = {}
        for n_read, variants in readings.items():
            for index, variant in enumerate(word.variants):
                if tuple(phones[n_read : n_read + len(variant)]) == variant:
                    longer.setdefault(n_read + len(variant), (*variants, index))
        readings = longer
    return readings.get(len(phones))


def _boundaries_s(
    transcript: Transcript, variants: tuple[int, ...], spans: list[list[Interval]], duration_s: float
) -> NDArray[np.float64]:
    """Between the known times, what stands there shares evenly: phones in a word, pauses in a gap."""
    tokens = transcript.tokens(variants)
    known_s: dict[int, float] = {}
    for word, own in enumerate(spans):
        places = [t for t, owner in enumerate(tokens.words) if owner == word]
        whole = len(own) < len(places)  # one interval, of the word
        firsts, lasts = (places[:1], places[-1:]) if whole else (places, places)
        for first, last, interval in zip(firsts, lasts, own, strict=True):
            known_s[first] = interval.start_s  # instead of the end of what stands right before it
            known_s[last + 1] = interval.end_s
    known_s |= {0: 0.0, len(tokens): duration_s}
    places = sorted(known_s)
    times_s = np.interp(np.arange(len(tokens) + 1), places, [known_s[t] for t in places])
    return np.maximum.accumulate(times_s.clip(0.0, duration_s))


def _difference(what: str, text: list[str], given: list[str], seen_as: Callable[[str], str] = str) -> NoMatch:
    if len(text) != len(given):
        return NoMatch(f"it has {len(given)} {what}, the text {len(text)}")
    place = next(i for i, (a, b) in enumerate(zip(text, given, strict=True)) if seen_as(a) != seen_as(b))
    return NoMatch(f"of its {what} number {place + 1} is {given[place]!r}, the text's {text[place]!r}")
