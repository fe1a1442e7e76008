"""Teaching an aligner's confidence what a wrong text looks like.

Positives are utterances with their own text. Negatives are utterances with another's text, with a word
removed and with a word added; a text that cannot be changed (of the user's own tokens, or of one word) is
none. Every second utterance is heard in another voice: scores of speakers who are not in the corpus would be
far too low else.
"""

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from aligner.aligner import Aligner
from aligner.corpus.prepared import Utterance
from aligner.corpus.read_ahead import read_ahead
from aligner.corpus.recording import Recording, load_recording
from aligner.decoded import Decoded
from aligner.errors import AlignerError
from aligner.text.transcript import Transcript
from aligner.training.batches import batches_in_order
from aligner.training.voice_perturbation import Perturbation

_UTTERANCES = 100  # enough for a few coefficients, and a matter of seconds
_MOST_S = 1800.0  # and of long ones fewer
_BATCH_S = 200.0  # as large as training's on any machine

# The goodness of all phones, `[n]`, and the evidence of each utterance, `[n, 3]`.
Evidence = tuple[NDArray[np.float64], NDArray[np.float64]]


def calibrate(aligner: Aligner, utterances: Sequence[Utterance], seed: int) -> None:
    """Fit the aligner's calibration to a sample of a corpus. Leaves it as it is if the sample is too small.

    Args:
        aligner: A trained one.
        utterances: Of the corpus.
        seed: Of the sample, and of the words left out and put in.
    """
    generator = np.random.default_rng(seed)
    own = _sample(utterances, generator)
    heard = _Heard(own[::2], aligner.frontend.grid.sample_rate_hz)
    texts = [utterance.transcript for utterance in own]
    others = texts[1:] + texts[:1]
    right_phones, right = _evidence(aligner, heard, own, texts)
    swapped_phones, swapped = _evidence(aligner, heard, *_changed(own, others))
    shorter = [without_a_word(text, generator) for text in texts]
    longer = [with_a_word(text, other, generator) for text, other in zip(texts, others, strict=True)]
    altered = [_evidence(aligner, heard, *_changed(own, changed))[1] for changed in (shorter, longer)]
    if len(right) and len(swapped):
        aligner.calibration.fit(
            right_phones=right_phones,
            wrong_phones=swapped_phones,
            right_utterances=right,
            wrong_utterances=np.concatenate([swapped, *altered]),
        )


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


def _changed(
    utterances: Sequence[Utterance], texts: Sequence[Transcript]
) -> tuple[list[Utterance], list[Transcript]]:
    """Those utterances whose text is not pronounced as their own, and these texts."""
    pairs = [
        (utterance, text)
        for utterance, text in zip(utterances, texts, strict=True)
        if _phones(text) != _phones(utterance.transcript)
    ]
    return [utterance for utterance, _ in pairs], [text for _, text in pairs]


def _phones(text: Transcript) -> object:
    """What is spoken: neither spelling nor punctuation make it another text."""
    return text.fixed.symbols if text.fixed is not None else [word.variants for word in text.words]


class _Heard:
    """Recordings of the sample, some of them in another voice, which is made once.

    Args:
        in_another_voice: These.
        sample_rate_hz: Wanted.
    """

    def __init__(self, in_another_voice: Sequence[Utterance], sample_rate_hz: int) -> None:
        self._voices: dict[str, torch.Tensor | None] = {own.id: None for own in in_another_voice}
        self._rate_hz = sample_rate_hz

    def load(self, utterance: Utterance, text: Transcript) -> Recording:
        """The recording with a text; loaded by several threads, each utterance by one."""
        recording = load_recording(utterance, self._rate_hz, text)
        if utterance.id not in self._voices:
            return recording
        voice = self._voices[utterance.id]
        if voice is None:
            draw = torch.Generator().manual_seed(zlib.crc32(utterance.id.encode()))
            voice = self._voices[utterance.id] = Perturbation()(recording.audio, self._rate_hz, draw)
        return replace(recording, audio=voice, speaker="")  # whom nobody knows


def _evidence(
    aligner: Aligner, heard: _Heard, utterances: Sequence[Utterance], texts: Sequence[Transcript]
) -> Evidence:
    """Of the utterances whose text is not too long for them."""
    grid = aligner.frontend.grid

    def load(pair: tuple[Utterance, Transcript]) -> Recording | None:
        with contextlib.suppress(AlignerError):  # lost since it was trained on
            recording = heard.load(*pair)
            if pair[1].min_tokens() <= grid.frame_count(len(recording.audio)):
                return recording
        return None

    pairs = list(zip(utterances, texts, strict=True))
    phones, evidence = [np.empty(0)], [np.empty((0, 3))]
    durations_s = {str(i): utterance.duration_s for i, (utterance, _) in enumerate(pairs)}
    batches = [[pairs[int(i)] for i in batch] for batch in batches_in_order(durations_s, _BATCH_S)]
    for _, loaded in read_ahead(batches, load):
        for found in _decoded(aligner, [recording for recording in loaded if recording is not None]):
            phones.append(found.goodness[found.tokens.is_phone])
            evidence.append(found.evidence)
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
