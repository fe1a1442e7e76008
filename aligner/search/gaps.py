"""Words that are not said, and speech that the text lacks, found after a search that takes a text as said.

Wherever the best path fits far worse than the likeliest states, whatever they are, a part of the utterance is
searched again (`part_search.py`).

B batch, L slots (see `text.packed`), N packed tokens, F packed frames, M states. Junction j is the place
before word j.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.devices import on_device
from aligner.encoders.base import Encoder
from aligner.frontends.packed import PackedFeatures
from aligner.ragged import Indices, medians_of, ranges, rows_of, starts_of, sums_of
from aligner.search.any_phones import AnyPhones
from aligner.search.forced_alignment import TokenDurations, states_of
from aligner.search.gap_parts import Part, badly_fitting_parts
from aligner.search.gap_search import GapPath
from aligner.search.missing_words import CommonWords
from aligner.search.part_search import FRAME, PartSound, PartText, search_part
from aligner.search.word_states import WordStates, word_states
from aligner.text.packed import PackedTexts, PackedTokens
from aligner.text.transcript import Transcript
from mas.backends.cpu_threads import threads

# Where even the likeliest state is unlikely (a glottal stop, a creak) ratios say less.
_UNUSUAL = 0.5
# All prices are of a voice that the model knows: so far is a phone below its frames' likeliest states. One
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
        spoken: Words near them that are said, by their index, and the symbols of each one's pronunciation.
        heard: Of junctions with extra speech, the symbols of what is said, where that is known.
    """

    unsaid: frozenset[int]
    extra: frozenset[int]
    price: float
    around: tuple[tuple[int, int], ...]
    spoken: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    heard: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def with_part(
        self, first_word: int, path: GapPath, words: WordStates, moved: NDArray[np.bool_]
    ) -> "Gaps":
        """These, and those of a part of the text that has W words.

        Args:
            first_word: Of the part.
            path: Where it differs from what is said.
            words: Of the part.
            moved: `[W]`, which of its words are elsewhere than if all were said.
        """
        spans = _around_gaps(path.unsaid, path.extra > 0, moved)
        around = ((first_word + a, first_word + b) for a, b in spans)
        said = enumerate(path.variants.tolist(), first_word)
        return Gaps(
            self.unsaid.union((first_word + np.flatnonzero(path.unsaid)).tolist()),
            self.extra.union((first_word + np.flatnonzero(path.extra)).tolist()),
            self.price,
            (*self.around, *around),
            {**self.spoken, **{word: words.pronunciation(own) for word, own in said if own >= 0}},
            {**self.heard, **{first_word + junction: own for junction, own in path.heard.items()}},
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
    texts: PackedTexts,
    tokens: PackedTokens,
    durations: TokenDurations,
    wanted: Mapping[int, Transcript],
    n_symbols: int,
    common_words: CommonWords,
) -> dict[int, Gaps]:
    """The gaps of those of B utterances that have any, by the utterance's place in the batch.

    Args:
        encoder: Whose emissions these are; a context-free one.
        emissions: `[F, M]`, the joint ones. State 0 is the pause.
        features: The packed features of the utterances.
        texts: Theirs, with all pronunciations.
        tokens: Theirs, with the pronunciations that were chosen.
        durations: Of these tokens, by the joint path.
        wanted: The transcripts of utterances that are looked at, by their places in the batch, in order:
            those whose phones are all of words.
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
    first_words = words[starts_of(tokens.lengths)]
    word_starts, word_frames = _spans_of_words(joint, words, tokens)
    heard = _heard(parts, emissions, fit)
    states = states_of(encoder, features, tokens)
    n_states = np.bincount(words[states.token][~states.skippable], minlength=len(word_frames))
    is_short = states.lengths == tokens.lengths  # so that each phone has one state
    transcripts, own_texts = list(wanted.values()), texts.only(rows)
    written = _written(parts, encoder, own_texts, transcripts, is_short, word_frames, n_states)
    any_phones = AnyPhones.of(encoder, n_symbols)
    pool = threads(torch.get_num_threads())
    searched = pool.map(
        lambda sound, text: search_part(sound, text, any_phones, common_words), heard, written
    )
    found: dict[int, Gaps] = {}
    for part, text, path in zip(parts, written, searched, strict=True):
        if not path.differs:
            continue
        before = part.first_word - int(first_words[part.row])
        was = word_starts[part.first_word : part.end_word]
        moved = abs(part.first_frame + path.starts - was) > _MOVED_FRAMES
        none = Gaps(frozenset(), frozenset(), FRAME * float(fit.scale[part.row]), ())
        found[part.row] = found.get(part.row, none).with_part(before, path, text.words, moved)
    return {
        rows[row]: gaps
        for row, gaps in sorted(found.items())
        if len(gaps.unsaid) < texts.text_words[rows[row]]  # of another text nothing would be left
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


def _heard(parts: Sequence[Part], emissions: Tensor, fit: _Fit) -> list[PartSound]:
    """What is heard in each part."""
    frames = [slice(part.first_frame, part.end_frame) for part in parts]
    n_frames = np.array([own.stop - own.start for own in frames])
    places = ranges(np.array([own.start for own in frames]), n_frames)
    # All at once: a GPU would be waited for at each.
    rows = emissions[on_device(places, emissions.device)].float().cpu().numpy()
    return [
        PartSound(own, fit.pause[at], fit.likeliest[at], fit.is_loud[at], float(fit.scale[part.row]))
        for part, at, own in zip(parts, frames, np.split(rows, np.cumsum(n_frames)[:-1]), strict=True)
    ]


def _written(
    parts: Sequence[Part],
    encoder: Encoder,
    texts: PackedTexts,
    transcripts: Sequence[Transcript],
    is_short: NDArray[np.bool_],
    word_frames: Indices,
    n_states: Indices,
) -> list[PartText]:
    """What is written in each part.

    Args:
        parts: Of these texts.
        encoder: Whose states these are.
        texts: With all pronunciations.
        transcripts: The same.
        is_short: Of which texts each phone has one state.
        word_frames: Of each word, as if all were said.
        n_states: Of each word, as it was spoken then.
    """
    row, first, end = np.array([(part.row, part.first_word, part.end_word) for part in parts]).T
    first_slots = starts_of(texts.text_slots)
    is_guessed = np.zeros(len(texts.slot_variants), np.bool_)
    is_edge = is_guessed.copy()
    for first_slot, transcript in zip(first_slots, transcripts, strict=True):
        is_guessed[[first_slot + word for word in transcript.guessed()]] = True
        is_edge[[first_slot + junction for junction in transcript.sentence_edges()]] = True
    slots = ranges(first + row, end - first)  # each text has one slot more than it has words
    in_words = word_states(encoder, texts, slots, end - first, is_short[row])
    found = []
    for part, own in zip(parts, in_words, strict=True):
        at = slice(part.first_word, part.end_word)
        slot = slice(part.first_word + part.row, part.end_word + part.row + 1)
        found.append(
            PartText(
                own,
                is_guessed[slot][:-1],
                is_edge[slot],
                word_frames[at],
                n_states[at],
                int(texts.text_words[part.row]),
            )
        )
    return found
