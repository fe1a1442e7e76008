"""Teaching an aligner's confidence what a wrong text looks like.

Positives are utterances with their own text. Negatives are utterances with another's text, with a word
removed and with a word added; a text that cannot be changed (of the user's own tokens, or of one word) is
none.

What is right is known of a corpus alone, and of its voices: each corpus of some size is calibrated on itself.
"""

import contextlib
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aligner.align_batches import batches, side_by_side
from aligner.aligner import Aligner
from aligner.corpus.prepared import Utterance, iter_utterances
from aligner.corpus.read_ahead import read_ahead
from aligner.corpus.recording import Recording, load_recording
from aligner.decoded import Decoded
from aligner.errors import AlignerError
from aligner.text.transcript import Transcript

_UTTERANCES = 100  # enough for a few coefficients, and a matter of seconds
_LEAST_UTTERANCES = 20  # of fewer little can be said
_LEAST_TOLD_APART = 0.7  # a half if all texts are wrong, 0.71 to 0.77 if half are, 1 in voices not heard
_MOST_S = 1800.0  # and of long ones fewer
_SEED = 0

# Makes another voice of audio `[N]` at a sample rate, drawn by the generator.
Voice = Callable[[torch.Tensor, int, torch.Generator], torch.Tensor]
Shown = tuple[Utterance, Transcript]  # a text that it may not have
# The goodness of all phones, `[n]`, and the evidence of each utterance, `[n, 3]`.
Evidence = tuple[NDArray[np.float64], NDArray[np.float64]]


def calibrate(
    aligner: Aligner,
    utterances: Sequence[Utterance],
    seed: int,
    other_voice: Voice | None = None,
    least_told_apart: float = 0.0,
) -> None:
    """Fit the aligner's calibration to a sample of a corpus. Leaves it as it is if the sample is too small.

    Args:
        aligner: A trained one.
        utterances: Of the corpus.
        seed: Of the sample, and of the words left out and put in.
        other_voice: Every second utterance is heard in it, for speakers who are not in the corpus: their
            scores would be far too low else.
        least_told_apart: Nor is anything learnt of a corpus where less than this share of pairs, one of an
            utterance's own text and one of another's, have the better goodness in the former.
    """
    generator = np.random.default_rng(seed)
    own = _sample(utterances, generator)
    heard = _Heard(own, other_voice, aligner.frontend.grid.sample_rate_hz)
    texts = [utterance.transcript for utterance in own]
    others = texts[1:] + texts[:1]
    shorter = [without_a_word(text, generator) for text in texts]
    longer = [with_a_word(text, other, generator) for text, other in zip(texts, others, strict=True)]
    pairs = [list(zip(own, texts, strict=True))]
    pairs += [_changed(own, changed) for changed in (others, shorter, longer)]
    (right_phones, right), (swapped_phones, swapped), *altered = _evidence(aligner, heard, pairs)
    if len(right) and len(swapped) and _told_apart(right, swapped) >= least_told_apart:
        aligner.calibration.fit(
            right_phones=right_phones,
            wrong_phones=swapped_phones,
            right_utterances=right,
            wrong_utterances=np.concatenate([swapped, *(evidence for _, evidence in altered)]),
        )


def calibrate_on(aligner: Aligner, data: Path, ids: Sequence[str]) -> None:
    """As `calibrate`, of a prepared corpus that need not be held; of a small one not at all.

    Nor of one whose texts seem to be others': all scores would be about a half, and nobody would be told.

    Args:
        aligner: A trained one, on any device.
        data: The corpus.
        ids: Of its utterances.
    """
    if len(ids) < _LEAST_UTTERANCES:
        return
    ordered = sorted(ids)
    drawn = {ordered[i] for i in np.random.default_rng(_SEED).permutation(len(ids))[:_UTTERANCES]}
    calibrate(aligner, list(iter_utterances(data, drawn)), _SEED, least_told_apart=_LEAST_TOLD_APART)


def _told_apart(right: NDArray[np.float64], swapped: NDArray[np.float64]) -> float:
    """The area under the ROC curve of the mean goodness of all phones."""
    return float((right[:, 0, None] > swapped[None, :, 0]).mean())


def _sample(utterances: Sequence[Utterance], generator: np.random.Generator) -> list[Utterance]:
    """Those that come first in a random order; two at least, so that each has another's text."""
    drawn = [utterances[i] for i in generator.permutation(len(utterances))[:_UTTERANCES]]
    up_to_s = np.cumsum([utterance.duration_s for utterance in drawn])
    return drawn[: max(2, int(np.searchsorted(up_to_s, _MOST_S, side="right")))]


def without_a_word(transcript: Transcript, generator: np.random.Generator) -> Transcript:
    """The transcript with one word left out; itself if it is of the user's own tokens or one word."""
    if transcript.fixed is not None or len(transcript.words) < 2:
        return transcript
    left_out = int(generator.integers(len(transcript.words)))
    return Transcript(transcript.words[:left_out] + transcript.words[left_out + 1 :])


def with_a_word(transcript: Transcript, other: Transcript, generator: np.random.Generator) -> Transcript:
    """The transcript with a word of the other put in; itself if it is of the user's own tokens."""
    if transcript.fixed is not None or not other.words:
        return transcript
    place = int(generator.integers(len(transcript.words) + 1))
    word = other.words[int(generator.integers(len(other.words)))]
    return Transcript((*transcript.words[:place], word, *transcript.words[place:]))


def _changed(utterances: Sequence[Utterance], texts: Sequence[Transcript]) -> list[Shown]:
    """Those utterances whose text is not pronounced as their own, with these texts."""
    return [
        (utterance, text)
        for utterance, text in zip(utterances, texts, strict=True)
        if _phones(text) != _phones(utterance.transcript)
    ]


def _phones(text: Transcript) -> object:
    """What is spoken: neither spelling nor punctuation make it another text."""
    return text.fixed.symbols if text.fixed is not None else [word.variants for word in text.words]


class _Heard:
    """Recordings of the sample, each loaded once for all of its texts, some of them in another voice.

    Args:
        utterances: Of the sample.
        other_voice: Makes the voice that every second one is heard in; None: all are heard in their own.
        sample_rate_hz: Wanted.
    """

    def __init__(
        self, utterances: Sequence[Utterance], other_voice: Voice | None, sample_rate_hz: int
    ) -> None:
        self._loading = {own.id: threading.Lock() for own in utterances}
        self._loaded: dict[str, Recording] = {}
        self._in_another_voice = {own.id for own in utterances[::2]}
        self._other_voice = other_voice
        self._rate_hz = sample_rate_hz

    def load(self, utterance: Utterance, text: Transcript) -> Recording:
        """The recording with a text; called by several threads."""
        with self._loading[utterance.id]:
            if utterance.id not in self._loaded:
                self._loaded[utterance.id] = self._load(utterance)
        return replace(self._loaded[utterance.id], transcript=text)

    def _load(self, utterance: Utterance) -> Recording:
        recording = load_recording(utterance, self._rate_hz)
        if self._other_voice is None or utterance.id not in self._in_another_voice:
            return recording
        draw = torch.Generator().manual_seed(zlib.crc32(utterance.id.encode()))
        voice = self._other_voice(recording.audio, self._rate_hz, draw)
        return replace(recording, audio=voice, speaker="")  # whom nobody knows


def _evidence(aligner: Aligner, heard: _Heard, kinds: Sequence[Sequence[Shown]]) -> list[Evidence]:
    """Of the utterances of each kind whose text is not too long for them."""
    grid = aligner.frontend.grid

    def load(shown: Shown) -> Recording | None:
        with contextlib.suppress(AlignerError):  # lost since it was trained on
            recording = heard.load(*shown)
            if shown[1].min_tokens() <= grid.frame_count(len(recording.audio)):
                return recording
        return None

    def decode(loaded: Sequence[Recording | None]) -> Evidence:
        found = _decoded(aligner, [recording for recording in loaded if recording is not None])
        return _joined([(own.goodness[own.tokens.is_phone], own.evidence) for own in found])

    of_kinds: list[list[Evidence]] = [[] for _ in kinds]
    which, shown = [], []
    for number, kind in enumerate(kinds):
        durations_s = {str(i): utterance.duration_s for i, (utterance, _) in enumerate(kind)}
        for batch in batches(durations_s):
            which.append(number)
            shown.append([kind[int(i)] for i in batch])
    done = side_by_side(aligner, read_ahead(shown, load), decode)
    for number, (_, evidence) in zip(which, done, strict=True):
        of_kinds[number].append(evidence)
    return [_joined(own) for own in of_kinds]


def _joined(parts: Sequence[Evidence]) -> Evidence:
    phones, evidence = [np.empty(0)], [np.empty((0, 3))]
    for own_phones, own_evidence in parts:
        phones.append(own_phones)
        evidence.append(own_evidence)
    return np.concatenate(phones), np.concatenate(evidence)


def _decoded(aligner: Aligner, recordings: Sequence[Recording]) -> Iterator[Decoded]:
    """Those that can be decoded: another's text may fit the recording only in shorter pronunciations."""
    if not recordings:
        return
    try:
        yield aligner.decode(recordings, edges=False)
    except Exception:
        for recording in recordings if len(recordings) > 1 else ():
            yield from _decoded(aligner, [recording])
