"""Where a part of a text differs from what is said.

Every word may be missing, and at every junction there may be any phones (`any_phones.py`), each at a price
(`gap_search.py`). A second search decides where: a long stretch of speech that the text lacks begins and
ends at pauses and where sentences do, and so do many words that are not said. Where nothing is found, a
common word that the text lacks may be (`missing_words.py`).

S frames, W words, T states of their pronunciations, M states of the model. Junction j is the place before
word j; junction W the end.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aligner.ragged import Indices
from aligner.search.any_phones import AnyPhones
from aligner.search.gap_search import GapCosts, GapPath, search_gaps
from aligner.search.missing_words import CommonWords, pronunciations_beside
from aligner.search.word_states import WordStates

# Natural logarithms of likelihoods, chosen on CMU ARCTIC prompts, TIMIT and LJSpeech (scripts/bench_gaps.py),
# as are the others.
FRAME = 2.0  # of speech that the text lacks, each frame
_PHONE = 4.0  # and each phone
_EXTRA, _UNSAID = 160.0, 28.0  # speech that the text lacks; words that are not said
_EACH_WORD, _EACH_STATE = 5.0, 2.5  # of these words
# And each of so many frames more than one a state that the first of them has as if it were said: nothing but
# a sound of it keeps it there so long.
_LONGER, _MOST_LONGER = 2.0, 10
# Any phones, less this a frame, are as good as those of a word whose pronunciation was guessed ("Leew", a
# name, as "lee"); and its states are no measure of what it must lose not to be said.
_GUESSED = 6.0
# Where a gap is, once it is found: so much less at either end of such speech where a pause is beside it, and
# where a sentence begins or ends. Else it would begin after a word that begins what it says and what follows
# alike ("The"). Words that are not said, so much less at either end of them.
_PAUSE, _EDGE, _RUN_EDGE = 40.0, 60.0, 30.0
_BESIDE = 10  # frames that are looked at
# All of it for speech as long as a sentence, and so many words; nothing for what is as long as a word.
_WORD_FRAMES, _SENTENCE_FRAMES, _SENTENCE_WORDS = 60, 160, 4
_NEAR = 3  # junctions, of where it was found
# What one frame says against a state at most: a phone that is said otherwise has a few that say far more, a
# word that is not said has more that say something.
_MOST_OF_A_FRAME = 20.0


@dataclass(frozen=True)
class PartSound:
    """The frames of a part.

    Args:
        emissions: `[S, M]`, log-likelihoods.
        pause: `[S]`, that of a pause.
        likeliest: `[S]`, that of the likeliest state of all phones, less where it is unusually low.
        is_loud: Bool `[S]`, where a phone is likelier than a pause.
        scale: How much more than of a known voice a difference must be to say as much.
    """

    emissions: NDArray[np.float32]
    pause: NDArray[np.float64]
    likeliest: NDArray[np.float64]
    is_loud: NDArray[np.bool_]
    scale: float


@dataclass(frozen=True)
class PartText:
    """What is written in a part.

    Args:
        words: In all pronunciations.
        is_guessed: `[W]`, whose pronunciation was guessed.
        is_edge: `[W + 1]`, at which junctions a sentence begins or ends.
        n_frames: `[W]`, of each word as if all were said.
        n_states: `[W]`, of the pronunciation that it has then.
        n_words: Of the whole text.
    """

    words: WordStates
    is_guessed: NDArray[np.bool_]
    is_edge: NDArray[np.bool_]
    n_frames: Indices
    n_states: Indices
    n_words: int


def search_part(
    sound: PartSound, text: PartText, any_phones: AnyPhones, common_words: CommonWords
) -> GapPath:
    """Where a part differs from what is said: pronunciations are counted over its words.

    Args:
        sound: What is heard.
        text: What is written.
        any_phones: Of the model.
        common_words: Of which one may be missing.
    """
    scale, pause = sound.scale, sound.pause
    most = np.maximum(sound.likeliest, pause)
    own = np.maximum(sound.emissions, (most - _MOST_OF_A_FRAME * scale)[:, None].astype(np.float32))
    any_phone = np.minimum(sound.likeliest, any_phones.scores(own, _PHONE * scale))
    filler = np.maximum(any_phone - FRAME * scale, pause)
    own, words = _with_guesses(own, text, any_phone - _GUESSED * scale)
    costs = _costs(sound, text)
    path = search_gaps(own, pause, filler, words, costs)
    if path.differs:
        placed = search_gaps(own, pause, filler, words, _placing(costs, path, text.is_edge, scale))
        path = placed if placed.differs else path
        junctions = np.flatnonzero(path.extra).tolist()
        if len(junctions) != 1 or path.extra[junctions[0]] > _SENTENCE_FRAMES or path.unsaid.any():
            return path
        phones = common_words.heard(junctions[0], own, pause, filler, words, scale)
        return path._replace(heard={junctions[0]: phones} if phones else {})
    missing = common_words.missing(own, pause, filler, most, words, scale, text.n_words)
    if not missing:
        return path
    extra, starts = path.extra.copy(), path.starts.copy()
    for word in missing:
        extra[word.junction] = word.end_frame - word.start_frame
        starts[word.junction : word.junction + 1] = word.end_frame
    return GapPath(
        path.unsaid,
        extra,
        starts,
        pronunciations_beside(missing, own, pause, most, words),
        {word.junction: common_words.phones[word.word] for word in missing},
    )


def _costs(sound: PartSound, text: PartText) -> GapCosts:
    """What a gap costs, wherever it is."""
    scale, n_words = sound.scale, len(text.words)
    loud_before, loud_after = _loud_beside(sound.is_loud)
    longer = np.clip(text.n_frames - text.n_states, 0, _MOST_LONGER)
    return GapCosts(
        extra=np.full(n_words + 1, scale * _EXTRA),
        before=scale * _PAUSE * (loud_before[:-1] - 1.0),
        after=scale * _PAUSE * (loud_after - 1.0),
        beside=np.zeros(n_words + 1),
        run=scale * (_UNSAID + _LONGER * longer),
        word=scale * (_EACH_WORD + _EACH_STATE * np.where(text.is_guessed, 0, text.n_states)),
        edge=np.zeros(n_words + 1),
    )


def _placing(costs: GapCosts, path: GapPath, is_edge: NDArray[np.bool_], scale: float) -> GapCosts:
    """The costs near gaps that were found, by how likely they are whole sentences."""
    of_extra = np.clip((path.extra - _WORD_FRAMES) / (_SENTENCE_FRAMES - _WORD_FRAMES), 0.0, 1.0)
    found = [(junction, of_extra[junction]) for junction in np.flatnonzero(path.extra)]
    runs = np.flatnonzero(np.diff(path.unsaid, prepend=False, append=False)).reshape(-1, 2)
    for run in runs:
        likely = min(1.0, (run[1] - run[0] - 1) / (_SENTENCE_WORDS - 1))
        found += [(junction, likely) for junction in run]
    is_sentence = np.zeros(len(is_edge))
    for junction, likely in found:
        near = slice(max(0, junction - _NEAR), junction + _NEAR + 1)
        is_sentence[near] = np.maximum(is_sentence[near], likely)
    at_edge = scale * is_sentence * is_edge
    return costs._replace(extra=costs.extra - _EDGE * at_edge, beside=is_sentence, edge=-_RUN_EDGE * at_edge)


def _with_guesses(
    emissions: NDArray[np.float32], text: PartText, least: NDArray[np.float64]
) -> tuple[NDArray[np.float32], WordStates]:
    """Emissions `[S, M + n]` and words: the n states that are guessed have `least`, `[S]`, or more."""
    words = text.words
    n_states = np.diff(words.first[words.variants])
    guessed = np.flatnonzero(np.repeat(text.is_guessed, n_states))
    if not len(guessed):
        return emissions, words
    columns = np.maximum(emissions[:, words.states[guessed]], least[:, None].astype(np.float32))
    states = words.states.copy()
    states[guessed] = emissions.shape[1] + np.arange(len(guessed))
    return np.hstack([emissions, columns]), replace(words, states=states)


def _loud_beside(is_loud: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of the frames before, and after, each place between two frames is loud, `[S + 1]` each."""
    mean = np.convolve(np.pad(is_loud, _BESIDE), np.full(_BESIDE, 1 / _BESIDE), "valid")
    return mean[: len(is_loud) + 1], mean[_BESIDE:]
