"""A long recording cut at its pauses into utterances, each with its own part of the text as it is written.

N samples.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from aligner.align_batches import align_usable, batches
from aligner.aligner import Aligner
from aligner.alignment import Alignment, Gap, Interval
from aligner.confidence import too_long_phone
from aligner.corpus.recording import Recording, heard
from aligner.errors import AlignerError
from aligner.text.transcript import Transcript

# To be cut at. Inside a sentence a shorter one may be the closure of a stop.
_SHORTEST_PAUSE_S, _SHORTEST_PAUSE_INSIDE_S = 0.05, 0.15
_KEPT_PAUSE_S = 0.25  # of a pause at most, at each end of an utterance
_LEAST_SCORE, _SMALL = 0.001, 1e-4  # of an utterance with a text that is not its own; scores have four digits
_MOST_CHUNKS = 12  # that are read together: the longest date or number written with spaces
_SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’»)\]]*$")
# Costs of a plan: each second that is left out, a cut inside a sentence, one at a short pause.
_LEFT_OUT, _INSIDE, _SHORT_PAUSE = 1000.0, 1.0, 0.5
_LONG_PAUSE_S = 0.5
_EACH = -0.3  # an utterance a sentence, unless the pause between two is short


@dataclass(frozen=True)
class Piece:
    """The smallest part of a text that can stand alone, its words being the same alone and in the text.

    Args:
        text: As it is written: a word, or several that are read together, such as "St. Paul".
        n_words: How many are spoken.
    """

    text: str
    n_words: int


@dataclass(frozen=True)
class Segment:
    """A part of a recording with what is said in it.

    Args:
        start_s: Where it begins in the recording.
        end_s: Where it ends.
        text: As it is written.
        words: Its words among those of the whole.
        problem: Why it is no utterance to be used; "" if it is one.
        score: The confidence of its own alignment; 0 if there is none.
    """

    start_s: float
    end_s: float
    text: str
    words: slice
    problem: str = ""
    score: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What an utterance must be to be used.

    Args:
        shortest_s: It is not shorter.
        longest_s: Nor longer.
        least_odds: Nor are the odds that its text is what is said lower than this part of the recording's
            usual ones (their median): a voice that the aligner does not know has low ones throughout.
    """

    shortest_s: float = 1.0  # LJSpeech's are 1.1 to 10.1 s long
    longest_s: float = 12.0
    least_odds: float = 0.005


def segment(
    aligner: Aligner, id: str, samples: NDArray[np.float32], rate_hz: int, text: str, limits: Limits
) -> list[Segment]:
    """A recording, aligned in one piece and cut at pauses; each part is then aligned by itself.

    Args:
        aligner: A trained one.
        id: What the recording is called.
        samples: `[N]`, in -1..1.
        rate_hz: Theirs.
        text: What is said, as it is written.
        limits: Of what can be used.

    Returns:
        All that is said, in order; what cannot be used has the reason.

    Raises:
        AlignerError: If the text cannot be read, or is not the recording's by its length.
    """
    phonemize, own_rate_hz = aligner.phonemizer(), aligner.frontend.sample_rate_hz
    pieces = pieces_of(text, phonemize)
    audio = heard(samples, rate_hz, own_rate_hz)
    (whole,) = aligner.align_batch([Recording(id, audio, phonemize(text), len(samples) / rate_hz)])
    whole = with_unsaid(whole)
    found = cut_at_pauses(whole, pieces, limits)
    parts: dict[str, Recording] = {}
    for n, own in enumerate(found):
        transcript = phonemize(own.text)
        if [word.text for word in transcript.words] != [word.symbol for word in whole.words[own.words]]:
            found[n] = replace(
                own, problem=own.problem or "its text is read otherwise alone than in the whole"
            )
        if not found[n].problem:
            start, end = round(own.start_s * own_rate_hz), round(own.end_s * own_rate_hz)
            parts[str(n)] = Recording(str(n), audio[start:end], transcript, own.end_s - own.start_s)
    for batch in batches({key: own.duration_s for key, own in parts.items()}):
        alignments, failed = align_usable(aligner, [parts[key] for key in batch])
        for key in batch:
            found[int(key)] = _aligned(found[int(key)], alignments.get(key), failed.get(key, ""))
    extra = [
        Segment(gap.start_s, gap.end_s, "", slice(0, 0), str(Gap(gap.start_s, gap.end_s)))
        for gap in whole.gaps
        if gap.end_s > gap.start_s
    ]
    return sorted([*_without_doubtful(found, limits), *extra], key=lambda own: (own.start_s, own.end_s))


def _aligned(found: Segment, own: Alignment | None, problem: str) -> Segment:
    """The segment with the score of its own alignment, or with the reason why it cannot be used."""
    if own is None:
        return replace(found, problem=problem)
    longest = too_long_phone(own)
    doubt = "; ".join(map(str, own.gaps)) or (f"{longest}: is this what is said?" if longest else "")
    return replace(found, problem=doubt, score=own.score or 0.0)


def _without_doubtful(found: Sequence[Segment], limits: Limits) -> list[Segment]:
    """The segments, where those that fit their text far worse than most have the reason."""
    usable = [own.score / (1 - own.score + _SMALL) for own in found if not own.problem]
    least_odds = limits.least_odds * float(np.median(usable)) if usable else 0.0
    least = max(_LEAST_SCORE, least_odds / (1 + least_odds)) if limits.least_odds else 0.0
    why = f", below {least:.4f}: is this what is said?"
    return [
        own if own.problem or own.score >= least else replace(own, problem=f"confidence {own.score:.4f}{why}")
        for own in found
    ]


def pieces_of(text: str, phonemize: Callable[[str], Transcript]) -> list[Piece]:
    """The pieces of a text, from white space to white space or, where what follows changes it, longer.

    Args:
        text: Of a recording.
        phonemize: What reads it.

    Raises:
        AlignerError: If it cannot be read, or no part of it can be read alone.
    """
    whole = [word.text for word in phonemize(text).words]
    chunks = text.split()

    @cache
    def read(part: str) -> tuple[str, ...] | None:
        try:
            return tuple(word.text for word in phonemize(part).words)
        except AlignerError:
            return None

    # From the beginning, pieces as short as can be; where that leads nowhere, the last one is made longer.
    ends, nowhere = [(0, 0)], set[tuple[int, int]]()
    while ends[-1] != (len(chunks), len(whole)):
        first, n_before = ends[-1]
        for last in range(first + 1, min(first + _MOST_CHUNKS, len(chunks)) + 1):
            words = read(" ".join(chunks[first:last]))
            if words is None or list(words) != whole[n_before : n_before + len(words)]:
                continue
            end = (last, n_before + len(words))
            if end not in nowhere:
                ends.append(end)
                break
        else:
            nowhere.add(ends.pop())
            if not ends:
                raise AlignerError("its text has no part that is read alone as it is in the whole")
    return [
        Piece(" ".join(chunks[first:last]), n_after - n_before)
        for (first, n_before), (last, n_after) in pairwise(ends)
    ]


def with_unsaid(alignment: Alignment) -> Alignment:
    """The alignment with all words of its text: those that are not said have no extent.

    Args:
        alignment: With its gaps.
    """
    words = list(alignment.words)
    for gap in reversed(alignment.gaps):
        place = bisect_right(words, gap.start_s, key=lambda word: word.end_s)
        time_s = gap.start_s
        if gap.end_s == gap.start_s and place < len(words):  # each side keeps a part of the pause
            time_s = (gap.start_s + words[place].start_s) / 2
        words[place:place] = [Interval(word, time_s, time_s) for word in gap.unsaid]
    return replace(alignment, words=tuple(words))


def cut_at_pauses(alignment: Alignment, pieces: Sequence[Piece], limits: Limits) -> list[Segment]:
    """The plan that leaves out least, then cuts least inside sentences, then at the longest pauses.

    Words that are not said, and speech that the text lacks, are never in an utterance that is used.

    Args:
        alignment: Of the whole recording (`with_unsaid`).
        pieces: Of its text.
        limits: Of what can be used.

    Returns:
        All that is said, in order; what is too short or too long has the reason.
    """
    wrong = _Wrong(alignment)
    places, costs = _places_to_cut(alignment, pieces, wrong)
    first_word = [0, *accumulate(piece.n_words for piece in pieces)]
    edges = [_edges(alignment, first_word[place]) for place in places]

    def span_s(a: int, b: int) -> tuple[float, float]:
        return edges[a][1], edges[b][0]

    def words_of(a: int, b: int) -> slice:
        return slice(first_word[places[a]], first_word[places[b]])

    best, before = [0.0], [0]
    for b in range(1, len(places)):
        options = []
        for a in range(b - 1, -1, -1):
            start_s, end_s = span_s(a, b)
            fits = limits.shortest_s <= end_s - start_s <= limits.longest_s
            if wrong.in_all(words_of(a, b)):
                fits = True  # nothing of it could be used in any plan
            elif wrong.in_some(words_of(a, b)):
                fits = False
            left_out = 0.0 if fits else _LEFT_OUT * (1.0 + end_s - start_s)
            options.append((best[a] + costs[b] + _EACH + left_out, a))
            if end_s - start_s > limits.longest_s:
                break
        cost, a = min(options)
        best.append(cost)
        before.append(a)
    cuts = [len(places) - 1]
    while cuts[-1]:
        cuts.append(before[cuts[-1]])
    found = []
    for a, b in pairwise(reversed(cuts)):
        (start_s, end_s), problem = span_s(a, b), ""
        if wrong.in_some(words_of(a, b)):
            problem = wrong.why(words_of(a, b))
        elif end_s - start_s < limits.shortest_s:
            problem = f"{end_s - start_s:.1f} s between two pauses, shorter than {limits.shortest_s:g} s"
        elif end_s - start_s > limits.longest_s:
            problem = f"{end_s - start_s:.1f} s without a pause to cut at, longer than {limits.longest_s:g} s"
        text = " ".join(piece.text for piece in pieces[places[a] : places[b]])
        found.append(Segment(start_s, end_s, text, words_of(a, b), problem))
    return found


class _Wrong:
    """Where words are not said, or something is said that the text lacks.

    Args:
        alignment: As of `cut_at_pauses`.
    """

    def __init__(self, alignment: Alignment) -> None:
        self.gaps = alignment.gaps
        # Of the words up to each: how many are not said, and after how many is speech that the text lacks.
        unsaid = (int(word.end_s == word.start_s) for word in alignment.words)
        self.unsaid = [0, *accumulate(unsaid)]
        starts_s = [word.start_s for word in alignment.words]
        extra = [bisect_right(starts_s, gap.start_s) for gap in self.gaps if gap.end_s > gap.start_s]
        self.extra = [sum(before <= word for before in extra) for word in range(len(starts_s) + 1)]

    def in_all(self, words: slice) -> bool:
        """Whether none of these words is said."""
        return self.unsaid[words.stop] - self.unsaid[words.start] == words.stop - words.start

    def in_some(self, words: slice) -> bool:
        """Whether one of these words is not said, or something between them that the text lacks."""
        return self.unsaid[words.stop] > self.unsaid[words.start] or self.between(words)

    def between(self, words: slice) -> bool:
        """Whether something is said between these words that the text lacks."""
        return self.extra[words.stop - 1] > self.extra[words.start]

    def at(self, word: int) -> bool:
        """Whether a word is said and the one before it is not, or not alike, or speech is between them that
        the text lacks."""
        before, own = (self.unsaid[n + 1] > self.unsaid[n] for n in (word - 1, word))
        return before != own or self.between(slice(word - 1, word + 1))

    def why(self, words: slice) -> str:
        """What is wrong in these words."""
        n_unsaid = self.unsaid[words.stop] - self.unsaid[words.start]
        if n_unsaid:
            return f"{n_unsaid} of its {words.stop - words.start} words are not said"
        return "something is said in it that the text lacks"


def _places_to_cut(
    alignment: Alignment, pieces: Sequence[Piece], wrong: _Wrong
) -> tuple[list[int], list[float]]:
    """Between which pieces there is a pause, the two ends included, and what a cut there costs."""
    places, costs, n_words = [0], [0.0], 0
    for place, piece in enumerate(pieces[:-1], 1):
        n_words += piece.n_words
        pause_s = alignment.words[n_words].start_s - alignment.words[n_words - 1].end_s
        is_end = bool(_SENTENCE_END.search(piece.text))
        if wrong.at(n_words):
            places.append(place)
            costs.append(0.0)
        elif pause_s >= (_SHORTEST_PAUSE_S if is_end else _SHORTEST_PAUSE_INSIDE_S):
            places.append(place)
            short = _SHORT_PAUSE * max(0.0, 1 - pause_s / _LONG_PAUSE_S)
            costs.append(short + (0.0 if is_end else _INSIDE))
    return [*places, len(pieces)], [*costs, 0.0]


def _edges(alignment: Alignment, word: int) -> tuple[float, float]:
    """Of the pause before a word: the end of what is before it and the start of what follows, both in it."""
    words = alignment.words
    pause_start_s = words[word - 1].end_s if word else 0.0
    pause_end_s = words[word].start_s if word < len(words) else alignment.duration_s
    for gap in alignment.gaps:
        if gap.end_s > gap.start_s and pause_start_s <= gap.start_s and gap.end_s <= pause_end_s:
            return min(pause_start_s + _KEPT_PAUSE_S, gap.start_s), max(
                pause_end_s - _KEPT_PAUSE_S, gap.end_s
            )
    share = 1.0 if word in (0, len(words)) else 0.5
    kept_s = min(_KEPT_PAUSE_S, share * (pause_end_s - pause_start_s))
    return pause_start_s + kept_s, pause_end_s - kept_s
