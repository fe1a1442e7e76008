"""Words that are not said, and speech that the text lacks, found after a search that takes a text as said.

Wherever the best path fits far worse than the likeliest states, whatever they are, a part of the utterance is
searched again (`gap_search.py`): there every word may be missing and at every junction there may be any
phones (`any_phones.py`), each at a price. Where there are such phones, a second search decides between which
words they stand: it prefers pauses beside them. Where nothing is found, a common word that the text lacks may
be (`missing_words.py`).

B batch, N packed tokens, F packed frames, M states. Junction j is the place before word j.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.devices import on_device
from aligner.encoders.base import Encoder, PackedStates
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, medians_of, ranges, rows_of, starts_of, sums_of
from aligner.search.any_phones import AnyPhones
from aligner.search.forced_alignment import TokenDurations, states_of
from aligner.search.gap_parts import Part, badly_fitting_parts
from aligner.search.gap_search import search_gaps
from aligner.search.missing_words import CommonWords
from aligner.text.packed import PackedTokens
from mas.backends.cpu_threads import threads

# Natural logarithms of likelihoods, chosen on CMU ARCTIC prompts, TIMIT and LJSpeech (scripts/bench_gaps.py),
# as are the others.
_PHONE, _FRAME = 4.0, 2.0  # of speech that the text lacks, each phone and each frame
_EXTRA, _UNSAID = 160.0, 30.0  # speech that the text lacks; words that are not said
_EACH_WORD, _EACH_STATE = 5.0, 2.5  # of these words
# And each of so many frames more than one a state that the first of them has as if it were said: nothing but
# a sound of it keeps it there so long.
_LONGER, _MOST_LONGER = 2.0, 10
# Any phones, less this a frame, are as good as those of a word whose pronunciation was guessed ("Leew", a
# name, as "lee"); and its states are no measure of what it must lose not to be said.
_GUESSED = 6.0
# Once such speech is found, where it is: so much less at either end where a pause is beside it, if that puts
# a pause behind it. Else it would begin after a word that begins what it says and what follows alike ("The").
_NO_PAUSE, _BESIDE = 40.0, 10  # frames that are looked at
# What one frame says against a state at most: a phone that is said otherwise has a few that say far more, a
# word that is not said has more that say something.
_MOST_OF_A_FRAME = 20.0
# Where even the likeliest state is unlikely (a glottal stop, a creak) ratios say less.
_UNUSUAL = 0.5
# All of these are of a voice that the model knows: so far is a phone below its frames' likeliest states. One
# that it does not know is further, and what says as much of it is more.
_USUAL_DEFICIT = 1.72
_KNOWN_VOICE = 0.5  # the part of it that is the same for all
_MOVED_FRAMES = 2  # of a word that is where it would be if all were said


@dataclass(frozen=True)
class Gaps:
    """What of an utterance's text is not said, and where something is said that it lacks.

    Args:
        unsaid: The words, by their index in the utterance.
        extra: The junctions, by the index of the word that follows.
        price: What a frame of such speech must be less likely than in its likeliest state.
        around: First and last word, and one more, of each part of the text that has any and whose words are
            elsewhere than if all were said.
    """

    unsaid: frozenset[int]
    extra: frozenset[int]
    price: float
    around: tuple[tuple[int, int], ...]

    def with_part(
        self, first_word: int, unsaid: NDArray[np.bool_], extra: NDArray[np.bool_], moved: NDArray[np.bool_]
    ) -> "Gaps":
        """These, and those of a part of the text that has W words.

        Args:
            first_word: Of the part.
            unsaid: `[W]`, which of its words are not said.
            extra: `[W + 1]`, at which of its junctions something is said that it lacks.
            moved: `[W]`, which of its words are elsewhere than if all were said.
        """
        around = ((first_word + a, first_word + b) for a, b in _around_gaps(unsaid, extra, moved))
        return Gaps(
            self.unsaid.union((first_word + np.flatnonzero(unsaid)).tolist()),
            self.extra.union((first_word + np.flatnonzero(extra)).tolist()),
            self.price,
            (*self.around, *around),
        )

    def said(self, words: Sequence[str]) -> list[str]:
        """Those of the utterance's words that are said."""
        return [word for index, word in enumerate(words) if index not in self.unsaid]

    def places(self, n_words: int) -> Iterator["GapPlace"]:
        """The gaps in order.

        Args:
            n_words: Of the utterance.
        """
        unsaid: list[int] = []
        extra, n_said = False, 0
        for word in range(n_words + 1):
            extra |= word in self.extra
            if word in self.unsaid:
                unsaid.append(word)
                continue
            if unsaid or extra:
                yield GapPlace(n_said, tuple(unsaid), extra)
            unsaid, extra, n_said = [], False, n_said + 1


class GapPlace(NamedTuple):
    """One gap.

    Args:
        before: The word that follows, by its index among those that are said.
        unsaid: The words that are not, by their index in the utterance.
        extra: Whether something is said that the text lacks.
    """

    before: int
    unsaid: tuple[int, ...]
    extra: bool


def find_gaps(
    encoder: Encoder,
    emissions: Tensor,
    features: PackedFeatures,
    tokens: PackedTokens,
    durations: TokenDurations,
    wanted: Mapping[int, frozenset[int]],
    n_symbols: int,
    common_words: CommonWords,
) -> dict[int, Gaps]:
    """The gaps of those of B utterances that have any, by the utterance's place in the batch.

    Args:
        encoder: Whose emissions these are; a context-free one.
        emissions: `[F, M]`, the joint ones. State 0 is the pause.
        features: The packed features of the utterances.
        tokens: Theirs, with the pronunciations that were chosen.
        durations: Of these tokens, by the joint path.
        wanted: Utterances that are looked at, by their places in the batch, in order: those whose phones are
            all of words. Of each, words whose pronunciation was guessed, by their index in it.
        n_symbols: That the encoder knows, the pause among them.
        common_words: Of which one may be missing from a text.
    """
    joint, log_likelihood, rows = durations.joint, durations.log_likelihood, list(wanted)
    if not wanted:
        return {}
    assert log_likelihood is not None
    if len(wanted) < len(tokens.ids):
        is_wanted = np.isin(np.arange(len(tokens.ids)), rows)
        joint = joint[np.repeat(is_wanted, tokens.lengths)]
        features, places = features.only(rows)
        emissions, log_likelihood, tokens = emissions[places], log_likelihood[places], tokens.only(rows)
    words = _words_of(tokens)
    own = log_likelihood.float().cpu().numpy()
    fit = _fit_of(emissions, own, joint, features, tokens)
    lost = np.maximum(fit.likeliest, fit.pause) - own
    parts = badly_fitting_parts(lost, fit.scale, joint, words, tokens)
    if not parts:
        return {}
    states = states_of(encoder, features, tokens)
    first_words = words[starts_of(tokens.lengths)]
    found: dict[int, Gaps] = {}
    any_phones = AnyPhones.of(encoder, n_symbols)
    word_starts, word_frames = _spans_of_words(joint, words, tokens)
    is_guessed = np.zeros(len(word_starts), np.bool_)
    for first_word, guessed in zip(first_words, wanted.values(), strict=True):
        is_guessed[[first_word + word for word in guessed]] = True
    searched = _search_parts(
        parts, emissions, fit, states, words, word_frames, is_guessed, any_phones, common_words
    )
    for part, (unsaid, extra, starts) in zip(parts, searched, strict=True):
        if not unsaid.any() and not extra.any():
            continue
        before = part.first_word - int(first_words[part.row])
        moved = abs(part.first_frame + starts - word_starts[part.first_word : part.end_word]) > _MOVED_FRAMES
        none = Gaps(frozenset(), frozenset(), _FRAME * float(fit.scale[part.row]), ())
        found[part.row] = found.get(part.row, none).with_part(before, unsaid, extra, moved)
    n_words = 1 + words[np.cumsum(tokens.lengths) - 1] - first_words
    return {
        rows[row]: gaps
        for row, gaps in sorted(found.items())
        if len(gaps.unsaid) < n_words[row]  # of another text nothing would be left
    }


@dataclass(frozen=True)
class _Fit:
    """How likely each frame is, whatever is said.

    Args:
        pause: `[F]`, the log-likelihood of a pause.
        likeliest: `[F]`, that of the likeliest state of all phones, less where it is unusually low.
        is_loud: Bool `[F]`, where a phone is likelier than a pause.
        scale: `[B]`, how much more than of a known voice a difference must be to say as much.
    """

    pause: NDArray[np.float64]
    likeliest: NDArray[np.float64]
    is_loud: NDArray[np.bool_]
    scale: NDArray[np.float64]


def _fit_of(
    emissions: Tensor,
    own: NDArray[np.float32],
    durations: Indices,
    features: PackedFeatures,
    tokens: PackedTokens,
) -> _Fit:
    """Of frames that the best path gives the log-likelihoods `own`, `[F]`, and tokens these durations."""
    likeliest = emissions[:, 1:].amax(1).double().cpu().numpy()
    token = rows_of(durations)
    spoken = np.where(tokens.is_phone & (durations > 0), durations, 0)
    deficit = sums_of(likeliest - own, durations) / np.maximum(durations, 1)
    row = rows_of(tokens.lengths)
    usual = medians_of(deficit[spoken > 0], sums_of(spoken > 0, tokens.lengths))
    scale = (usual + _KNOWN_VOICE * _USUAL_DEFICIT) / ((1 + _KNOWN_VOICE) * _USUAL_DEFICIT)
    of_speech = np.bincount(row, sums_of(likeliest, durations) * (spoken > 0), minlength=len(tokens.ids))
    level = of_speech / np.maximum(sums_of(spoken, tokens.lengths), 1)
    unusual = np.maximum(0.0, level[row[token]] - likeliest)
    pause = emissions[:, 0].double().cpu().numpy()
    return _Fit(pause, likeliest - _UNUSUAL * unusual, likeliest > pause, np.maximum(1.0, scale))


def _words_of(tokens: PackedTokens) -> Indices:
    """The word of each token, counted over the batch, `[N]`: of a pause the next one, or the last."""
    n_words = np.maximum.reduceat(tokens.words, starts_of(tokens.lengths)) + 1
    first = np.repeat(starts_of(n_words), tokens.lengths)
    counted = np.where(tokens.words >= 0, first + tokens.words, n_words.sum())
    following = np.minimum.accumulate(counted[::-1])[::-1]
    return np.minimum(following, first + np.repeat(n_words, tokens.lengths) - 1)


def _spans_of_words(durations: Indices, words: Indices, tokens: PackedTokens) -> tuple[Indices, Indices]:
    """The first frame of each word, counted over the batch, and how many frames its phones have."""
    phones = np.flatnonzero(tokens.words >= 0)
    first = np.flatnonzero(np.diff(words[phones], prepend=-1))
    return (np.cumsum(durations) - durations)[phones[first]], np.add.reduceat(durations[phones], first)


def _around_gaps(
    unsaid: NDArray[np.bool_], extra: NDArray[np.bool_], moved: NDArray[np.bool_]
) -> Iterator[tuple[int, int]]:
    """First and last word, and one more, of what is around gaps: `[W]`, `[W + 1]`, and which words moved."""
    touched = unsaid | moved | extra[1:] | extra[:-1]
    near = touched.copy()  # and a word on either side
    near[1:] |= touched[:-1]
    near[:-1] |= touched[1:]
    changes = np.flatnonzero(np.diff(near, prepend=False, append=False))
    for first, end in changes.reshape(-1, 2).tolist():
        if unsaid[first:end].any() or extra[first : end + 1].any():
            yield first, end


def _search_parts(
    parts: Sequence[Part],
    emissions: Tensor,
    fit: _Fit,
    states: PackedStates,
    words: Indices,
    word_frames: Indices,
    is_guessed: NDArray[np.bool_],
    any_phones: AnyPhones,
    common_words: CommonWords,
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_], Indices]]:
    """What `search_gaps` finds in each part; where that is nothing, common words that are missing."""
    n_frames = np.array([part.end_frame - part.first_frame for part in parts])
    places = ranges(np.array([part.first_frame for part in parts]), n_frames)
    # All at once: a GPU would be waited for at each.
    rows = emissions[on_device(places, emissions.device)].float().cpu().numpy()
    state_word = words[states.token]
    n_words = 1 + state_word[np.cumsum(states.lengths) - 1] - state_word[starts_of(states.lengths)]
    is_phone = ~states.skippable
    n_states = np.bincount(state_word[is_phone], minlength=len(word_frames))
    run_costs = _UNSAID + _LONGER * np.clip(word_frames - n_states, 0, _MOST_LONGER)
    word_costs = _EACH_WORD + _EACH_STATE * n_states * ~is_guessed

    def searched(
        part: Part, own: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Indices]:
        its_states = slice(*np.searchsorted(state_word, [part.first_word, part.end_word]))
        chosen = is_phone[its_states]
        first = np.searchsorted(state_word[its_states][chosen], np.arange(part.first_word, part.end_word + 1))
        frames, scale = slice(part.first_frame, part.end_frame), fit.scale[part.row]
        likeliest, pause = fit.likeliest[frames], fit.pause[frames]
        most = np.maximum(likeliest, pause)
        own = np.maximum(own, (most - _MOST_OF_A_FRAME * scale)[:, None].astype(np.float32))
        loud_before, loud_after = _loud_beside(fit.is_loud[frames])
        any_phone = np.minimum(likeliest, any_phones.scores(own, _PHONE * scale))
        filler = np.maximum(any_phone - _FRAME * scale, pause)
        least, state_guessed = any_phone - _GUESSED * scale, is_guessed[state_word[its_states][chosen]]
        own, text_states = _with_guesses(own, states.states[its_states][chosen], state_guessed, least)

        def found(no_pause: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Indices]:
            return search_gaps(
                own,
                pause,
                filler,
                text_states,
                first,
                scale * (_EXTRA - no_pause * (2 - loud_before[:-1])),
                scale * no_pause * loud_after,
                scale * run_costs[part.first_word : part.end_word],
                scale * word_costs[part.first_word : part.end_word],
            )

        unsaid, extra, starts = found(0.0)
        if extra.any():
            placed = found(_NO_PAUSE)
            if _before_pauses(placed[1], placed[2], fit.is_loud[frames]):
                return placed
        if not unsaid.any() and not extra.any():
            phones = np.unique(states.token[its_states][chosen], return_inverse=True)[1]
            args = own, pause, filler, most, text_states, first, phones, scale, int(n_words[part.row])
            for missing in common_words.missing(*args):
                extra[missing.junction] = True
                starts[missing.junction : missing.junction + 1] = missing.end_frame
        return unsaid, extra, starts

    pool = threads(torch.get_num_threads())
    return list(pool.map(searched, parts, np.split(rows, np.cumsum(n_frames)[:-1])))


def _with_guesses(
    emissions: NDArray[np.float32],
    states: Indices,
    is_guessed: NDArray[np.bool_],
    least: NDArray[np.float64],
) -> tuple[NDArray[np.float32], Indices]:
    """Emissions `[S, M + n]` and states `[T]`: the n that are guessed have `least`, `[S]`, or more."""
    guessed = np.flatnonzero(is_guessed)
    columns = np.maximum(emissions[:, states[guessed]], least[:, None].astype(np.float32))
    found = states.copy()
    found[guessed] = emissions.shape[1] + np.arange(len(guessed))
    return np.hstack([emissions, columns]) if len(guessed) else emissions, found


def _before_pauses(extra: NDArray[np.bool_], starts: Indices, is_loud: NDArray[np.bool_]) -> bool:
    """Whether each word that follows speech that the text lacks begins after a pause."""
    said = starts[starts >= 0]
    following = np.searchsorted(np.flatnonzero(starts >= 0), np.flatnonzero(extra))
    return all(
        place < len(said) and is_loud[max(0, said[place] - _BESIDE) : said[place]].sum() <= 0.7 * _BESIDE
        for place in following
    )


def _loud_beside(is_loud: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of the frames before, and after, each place between two frames is loud, `[S + 1]` each."""
    mean = np.convolve(np.pad(is_loud, _BESIDE), np.full(_BESIDE, 1 / _BESIDE), "valid")
    return mean[: len(is_loud) + 1], mean[_BESIDE:]
