"""Common words that the text lacks: how much likelier an utterance is with one of them at a junction.

Most words that are left out of a text are short, and a short one as any phones (`any_phones.py`) fits hardly
better than a sound that is said otherwise than the lexicon has it. As a word it does, and such a sound is no
word. Where a word beside it is said otherwise ("poor" as "pore"), most of that may sound like some other
word; but then what is left for its own phones is too short, and does not sound like them.

S frames, T states of the text's words in all pronunciations, L states of all common words, W words of the
text, K common words (each pronunciation is one), M states of the model. Junction j is the place before word
j; junction W the end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligner.encoders.base import Encoder
from aligner.ragged import Indices, starts_of
from aligner.search.phone_fit import PhoneFit
from aligner.search.word_states import NEVER, WordStates
from aligner.text.common_words import CommonWord
from aligner.text.packed import PackedTokens
from aligner.text.vocabulary import Vocabulary
from mas.backends.cpu_threads import compiled

# Natural logarithms of likelihoods, as the prices in `gaps.py` and chosen like these.
_WORD, _PRIOR = 90.0, 3.0  # what a word must gain; of its log prior so many times, for frames are not apart
# More in a text of more words: it has more places where something may look as if.
_MORE_WORDS, _USUAL_WORDS = 15.0, 10
_LOOKED_AT = 60.0  # what any phones must gain at a junction before words are tried there
_FRAMES_AROUND = 30  # on both sides of these phones
# Speech that the text lacks is a common word if it is as likely as any phones less so much; of its log prior
# so many times.
_HEARD, _HEARD_PRIOR = 20.0, 1.0
# And for each phone of so many words on either side that loses frames to the word: so many times what its
# other frames are below their likeliest states, on average, beyond what a phone that is said may be.
_BESIDE, _WORDS_BESIDE, _SAID = 4.0, 2, 5.0


class MissingWord(NamedTuple):
    """A common word that the text lacks.

    Args:
        junction: Where.
        start_frame: Its first frame.
        end_frame: One after its last.
        word: Which, by its place among the common ones.
    """

    junction: int
    start_frame: int
    end_frame: int
    word: int


@dataclass(frozen=True)
class CommonWords:
    """Common words as states of the model.

    Args:
        states: `[L]`, of all words, in order; each takes a frame or more.
        first: `[K + 1]`, the first state of each word, and L.
        log_priors: `[K]`, the logarithm of each one's probability.
        phones: Of each word, as symbols.
    """

    states: Indices
    first: Indices
    log_priors: NDArray[np.float64]
    phones: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, encoder: Encoder, vocabulary: Vocabulary, words: Sequence[CommonWord]) -> "CommonWords":
        """Those of an aligner.

        Args:
            encoder: A context-free one.
            vocabulary: Its symbols.
            words: Whose phones are among these.
        """
        symbols = tuple(tuple(vocabulary.index[phone] for phone in phones) for phones, _ in words)
        ids = np.array([id for own in symbols for id in own], np.int64)
        lengths = np.array([len(own) for own in symbols], np.int64)
        spoken = np.zeros(len(ids), np.bool_)
        tokens = PackedTokens(("",), ids, spoken, np.zeros_like(ids), np.array([len(ids)]))
        states = encoder.states(tokens, np.array([np.iinfo(np.int64).max]))
        first = np.searchsorted(states.token, np.append(starts_of(lengths), len(ids)))
        return cls(states.states, first, np.array([log_prior for _, log_prior in words]), symbols)

    def missing(
        self,
        emissions: NDArray[np.float32],
        pause: NDArray[np.float64],
        any_phones: NDArray[np.float64],
        likeliest: NDArray[np.float64],
        words: WordStates,
        scale: float,
        n_words: int,
    ) -> list[MissingWord]:
        """The words that a text lacks which lacks no other speech, and which is said whole.

        Args:
            emissions: `[S, M]`, log-likelihoods.
            pause: `[S]`, that of a pause, which may be at every junction.
            any_phones: `[S]`, that of any phones, less their price.
            likeliest: `[S]`, that of the likeliest state, whatever is said.
            words: Of the text.
            scale: How much more than of a known voice a difference must be to say as much.
            n_words: Of the whole text.
        """
        if not len(self.states):
            return []
        before, after = _around(emissions, pause, words)
        whole = before[-1, -1]
        least = scale * (_WORD + _MORE_WORDS * max(0.0, math.log(n_words / _USUAL_WORDS)))
        found: list[tuple[float, MissingWord]] = []
        gains, starts, ends = _with_any_phones(before, after, np.append(0.0, np.cumsum(any_phones)))
        for junction in np.flatnonzero(gains - whole >= _LOOKED_AT * scale).tolist():
            score, own = self._likeliest_at(
                junction, int(starts[junction]), int(ends[junction]), emissions, before, after, _PRIOR * scale
            )
            if score - whole >= least and score - whole >= least + _lost_beside(
                own, emissions, pause, likeliest, words, scale
            ):
                found.append((score, own))
        # Two junctions may both lack the same sound.
        chosen: list[MissingWord] = []
        for _, own in sorted(found, reverse=True):
            if all(own.end_frame <= x.start_frame or x.end_frame <= own.start_frame for x in chosen):
                chosen.append(own)
        return sorted(chosen)

    def heard(
        self,
        junction: int,
        emissions: NDArray[np.float32],
        pause: NDArray[np.float64],
        any_phones: NDArray[np.float64],
        words: WordStates,
        scale: float,
    ) -> tuple[int, ...]:
        """The phones of the word that the text lacks at a junction, if it may be a common one; else none.

        Args:
            junction: Where something is said that the text lacks, and only there.
            emissions: And all else as of `missing`.
        """
        if not len(self.states):
            return ()
        before, after = _around(emissions, pause, words)
        at = slice(junction, junction + 1)
        sums = np.append(0.0, np.cumsum(any_phones))
        gains, starts, ends = _with_any_phones(before[at], after[at], sums)
        score, own = self._likeliest_at(
            junction, int(starts[0]), int(ends[0]), emissions, before, after, _HEARD_PRIOR * scale
        )
        return self.phones[own.word] if score >= gains[0] - _HEARD * scale else ()

    def _likeliest_at(
        self,
        junction: int,
        start: int,
        end: int,
        emissions: NDArray[np.float32],
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        prior: float,
    ) -> tuple[float, MissingWord]:
        """The likeliest word at a junction near these frames, and the score of all with it.

        Args:
            junction: Where.
            start: The first frame of the any phones there.
            end: One after their last.
            emissions: `[S, M]`, log-likelihoods.
            before: `[W + 1, S + 1]`, of `_around`.
            after: The same.
            prior: How many times the logarithm of a word's probability counts.
        """
        near = slice(max(0, start - _FRAMES_AROUND), end + _FRAMES_AROUND)
        score, first, last, word = _with_a_word(
            emissions[near],
            before[junction, near],
            after[junction, near.start : near.stop + 1],
            self.states,
            self.first,
            prior * self.log_priors,
        )
        return score, MissingWord(junction, near.start + first, near.start + last, word)


def pronunciations_beside(
    missing: Sequence[MissingWord],
    emissions: NDArray[np.float32],
    pause: NDArray[np.float64],
    likeliest: NDArray[np.float64],
    words: WordStates,
) -> Indices:
    """The pronunciation of each of the text's words, `[W]`, where these others are said between them.

    Args:
        missing: Words that the text lacks, in order.
        emissions: And all else as of `CommonWords.missing`.
    """
    junctions = [0, *(own.junction for own in missing), len(words)]
    starts, ends = [0, *(own.end_frame for own in missing)], [*(own.start_frame for own in missing), None]
    found = []
    for first, last, start, end in zip(junctions, junctions[1:], starts, ends, strict=False):
        own = slice(start, end)
        fit = PhoneFit.of(emissions[own], pause[own], likeliest[own], words.part(first, last))
        found.append(fit.variants + words.variants[first])
    return np.concatenate(found)


def _lost_beside(
    word: MissingWord,
    emissions: NDArray[np.float32],
    pause: NDArray[np.float64],
    likeliest: NDArray[np.float64],
    words: WordStates,
    scale: float,
) -> float:
    """What the words beside a missing one cost, because phones of theirs lose frames to it.

    Args:
        word: The missing one.
        emissions: And all else as of `CommonWords.missing`.
    """

    def fit(frames: slice, own: WordStates) -> PhoneFit:
        return PhoneFit.of(emissions[frames], pause[frames], likeliest[frames], own)

    n_words, junction = len(words), word.junction
    without = fit(slice(0, len(emissions)), words)
    before = fit(slice(0, word.start_frame), words.part(0, junction))
    after = fit(slice(word.end_frame, len(emissions)), words.part(junction, n_words))
    frames, lost, _ = map(np.concatenate, zip(before, after, strict=True))
    beside = max(0, junction - _WORDS_BESIDE), min(n_words, junction + _WORDS_BESIDE)
    near = np.unique(words.phones[slice(*words.first[words.variants[list(beside)]])])
    # A phone of another pronunciation than before loses what its word does.
    word_of = np.repeat(np.arange(n_words), np.diff(words.first[words.variants]))
    of_phone = np.zeros(len(frames), np.int64)
    of_phone[words.phones] = word_of
    fewer = frames < without.frames
    in_word = np.bincount(of_phone, frames) < np.bincount(of_phone, without.frames)
    fewer |= (without.frames == 0) & in_word[of_phone]
    chosen = near[fewer[near] & (frames[near] > 0)]
    return _BESIDE * float(np.maximum(0.0, lost[chosen] - _SAID * scale).sum())


def _around(
    emissions: NDArray[np.float32], pause: NDArray[np.float64], words: WordStates
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best score of all frames before one in all words before a junction, and of all from this frame on
    in all words after the junction: `[W + 1, S + 1]` each.
    """
    reverse = (np.ascontiguousarray(own[::-1]) for own in (emissions, pause))
    backwards = _before(*reverse, *words.backwards().arrays)
    return _before(emissions, pause, *words.arrays), np.ascontiguousarray(backwards[::-1, ::-1])


@compiled
def _before(
    emissions: NDArray[np.float32],
    pause: NDArray[np.float64],
    states: Indices,
    first: Indices,
    variants: Indices,
    log_priors: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The best score of all frames before one in all words before a junction, `[W + 1, S + 1]`."""
    n_frames, n_words = len(emissions), len(variants) - 1
    result = np.full((n_words + 1, n_frames + 1), NEVER)
    result[0, 0] = 0.0
    score, paused = np.full(len(states), NEVER), np.full(n_words + 1, NEVER)
    for frame in range(n_frames):
        for v in range(len(log_priors)):
            # From the end: what is before still is of the last frame.
            for t in range(first[v + 1] - 1, first[v], -1):
                score[t] = max(score[t], score[t - 1]) + emissions[frame, states[t]]
        for word in range(n_words):
            for v in range(variants[word], variants[word + 1]):
                entered = result[word, frame] + log_priors[v]
                score[first[v]] = max(score[first[v]], entered) + emissions[frame, states[first[v]]]
        for junction in range(n_words + 1):
            paused[junction] = max(paused[junction], result[junction, frame]) + pause[frame]
            result[junction, frame + 1] = paused[junction]
            if junction > 0:
                for v in range(variants[junction - 1], variants[junction]):
                    ended = score[first[v + 1] - 1]
                    result[junction, frame + 1] = max(result[junction, frame + 1], ended)
    return result


@compiled
def _with_any_phones(
    before: NDArray[np.float64], after: NDArray[np.float64], sums: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Indices, Indices]:
    """The best score with any phones at each junction, `[W + 1]`, and where these begin and end.

    Args:
        before: Of `_before`.
        after: The same of the frames from one on and the words after a junction.
        sums: `[S + 1]`, of the scores of any phones in all frames before one.
    """
    n_junctions, n_frames = before.shape[0], before.shape[1] - 1
    best = np.full(n_junctions, NEVER)
    starts, ends = np.zeros(n_junctions, np.int64), np.zeros(n_junctions, np.int64)
    for junction in range(n_junctions):
        entered, start = NEVER, 0
        for frame in range(n_frames + 1):
            if before[junction, frame] - sums[frame] > entered:
                entered, start = before[junction, frame] - sums[frame], frame
            score = entered + sums[frame] + after[junction, frame]
            if score > best[junction]:
                best[junction], starts[junction], ends[junction] = score, start, frame
    return best, starts, ends


@compiled
def _with_a_word(
    emissions: NDArray[np.float32],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    states: Indices,
    first: Indices,
    log_priors: NDArray[np.float64],
) -> tuple[float, int, int, int]:
    """The best score with one of the words at a junction; its first frame, one after its last, and which.

    Args:
        emissions: `[S, M]`, of the frames that are tried.
        before: `[S]`, the best score of all that is before the junction and before each of these frames.
        after: `[S + 1]`, of all that is after the junction, from each frame on.
        states: `[L]`, of all words.
        first: `[K + 1]`, of these the first of each word, and L.
        log_priors: `[K]`, what each word has besides.
    """
    best, best_start, best_end, best_word = NEVER, 0, 0, 0
    score, start = np.full(len(states), NEVER), np.zeros(len(states), np.int64)
    for frame in range(len(emissions)):
        for word in range(len(first) - 1):
            for t in range(first[word + 1] - 1, first[word] - 1, -1):
                entered, entered_at = before[frame], frame
                if t > first[word]:
                    entered, entered_at = score[t - 1], start[t - 1]
                if entered > score[t]:
                    score[t], start[t] = entered, entered_at
                score[t] += emissions[frame, states[t]]
            last = first[word + 1] - 1
            total = score[last] + after[frame + 1] + log_priors[word]
            if total > best:
                best, best_start, best_end, best_word = total, start[last], frame + 1, word
    return best, best_start, best_end, best_word
