"""K1: times must not depend on how much silence surrounds or interrupts the speech (MFA 222, 386, 966)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aligner import Aligner
from aligner.alignment import Alignment
from aligner.corpus.prepared import load_utterances
from aligner.corpus.recording import Recording, load_recording

RATE_HZ = 16000
WITHIN_S = 0.012  # a frame; on real recordings scripts/bench_silence.py measures the mean


def silence(kind: str, seconds: float) -> torch.Tensor:
    n, generator = round(seconds * RATE_HZ), torch.Generator().manual_seed(0)
    return {
        "zeros": torch.zeros(n),
        "noise": 10 ** (-55 / 20) * torch.randn(n, generator=generator),
        "loud noise": 10 ** (-40 / 20) * torch.randn(n, generator=generator),
        "offset": torch.full((n,), 0.05),
    }[kind]


@pytest.fixture(scope="module")
def aligner(checkpoint: Path) -> Aligner:
    return Aligner.load(checkpoint)


@pytest.fixture(scope="module")
def recordings(tiny_corpus: Path) -> list[Recording]:
    return [load_recording(utterance, RATE_HZ) for utterance in load_utterances(tiny_corpus)[:6]]


def word_times_s(alignments: list[Alignment]) -> list[float]:
    return [time_s for a in alignments for word in a.words for time_s in (word.start_s, word.end_s)]


@pytest.mark.parametrize("kind", ["zeros", "noise", "loud noise", "offset"])
@pytest.mark.parametrize(("before_s", "after_s"), [(2.0, 0.0), (0.0, 5.0), (10.0, 60.0)])
def test_silence_around_a_recording_moves_its_times_along_and_nothing_else(
    aligner: Aligner, recordings: list[Recording], kind: str, before_s: float, after_s: float
) -> None:
    plain = word_times_s(aligner.align_batch(recordings))
    longer = []
    for recording in recordings:
        audio = torch.cat([silence(kind, before_s), recording.audio, silence(kind, after_s)])
        longer.append(replace(recording, audio=audio, duration_s=len(audio) / RATE_HZ))
    found = word_times_s(aligner.align_batch(longer))
    assert np.abs(np.array(found) - before_s - np.array(plain)).mean() < WITHIN_S


@pytest.mark.parametrize("kind", ["zeros", "noise", "loud noise"])
@pytest.mark.parametrize("seconds", [2.0, 10.0])
def test_silence_between_words_moves_what_follows_and_nothing_else(
    aligner: Aligner, recordings: list[Recording], kind: str, seconds: float
) -> None:
    plain = aligner.align_batch(recordings)
    longer, cuts_s = [], []
    for recording, found in zip(recordings, plain, strict=True):
        cut_s = found.words[len(found.words) // 2].start_s
        cut = round(cut_s * RATE_HZ)
        audio = torch.cat([recording.audio[:cut], silence(kind, seconds), recording.audio[cut:]])
        longer.append(replace(recording, audio=audio, duration_s=len(audio) / RATE_HZ))
        cuts_s.append(cut_s)
    moves_s = []
    for before, after, cut_s in zip(plain, aligner.align_batch(longer), cuts_s, strict=True):
        for old, new in zip(before.words, after.words, strict=True):
            shift_s = seconds if old.start_s >= cut_s else 0.0
            moves_s += [new.start_s - old.start_s - shift_s, new.end_s - old.end_s - shift_s]
    assert np.abs(moves_s).mean() < WITHIN_S


@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_no_phone_lasts_for_seconds(aligner: Aligner, recordings: list[Recording], kind: str) -> None:
    audio = torch.cat([silence(kind, 3.0), recordings[0].audio, silence(kind, 20.0)])
    found = aligner.align_batch([replace(recordings[0], audio=audio, duration_s=len(audio) / RATE_HZ)])[0]
    assert max(t.end_s - t.start_s for t in found.tokens if t.symbol != "sil") < 0.5


@pytest.mark.parametrize("kind", ["zeros", "noise", "offset"])
def test_nothing_but_silence_has_an_alignment_or_a_clear_refusal(
    aligner: Aligner, recordings: list[Recording], kind: str
) -> None:
    found = aligner.align_batch([replace(recordings[0], audio=silence(kind, 4.0), duration_s=4.0)])[0]
    assert len(found.words) == len(recordings[0].transcript.words)
