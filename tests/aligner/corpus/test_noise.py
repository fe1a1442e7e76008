"""Noise taken off noisy recordings."""

import numpy as np
import pytest
import torch
from torch import Tensor

from aligner.corpus import noise
from aligner.corpus.noise import signal_to_noise_db, without_noise

RATE_HZ = 16000


def speech_like(seconds: float = 3.0) -> Tensor:
    """Tones of half a second with half a second of nothing between them."""
    time_s = torch.arange(round(seconds * RATE_HZ), dtype=torch.float64) / RATE_HZ
    return (0.3 * torch.sin(2 * torch.pi * 500 * time_s) * (time_s % 1 < 0.5)).float()


def white(level_db: float, n: int, seed: int = 0) -> Tensor:
    """Noise that is so far below a tone of 0.3."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, generator=draw) * (0.3 / np.sqrt(2) * 10 ** (-level_db / 20))


def rms(audio: Tensor) -> float:
    return float(audio.double().square().mean().sqrt())


@pytest.mark.parametrize("level_db", [0.0, 10.0, 20.0, 40.0])
def test_the_ratio_is_that_of_what_is_loud_to_what_is_quiet(level_db: float) -> None:
    noisy = speech_like() + white(level_db, 3 * RATE_HZ)
    # Speech has its noise, too; and the quietest tenth of noise is below its mean.
    expected = 10 * np.log10(1 + 10 ** (level_db / 10))
    assert signal_to_noise_db(noisy, RATE_HZ) == pytest.approx(expected, abs=1.5)


def test_recordings_with_little_noise_are_left_as_they_are() -> None:
    for audio in (speech_like(), speech_like() + white(40, 3 * RATE_HZ), torch.zeros(RATE_HZ)):
        assert without_noise(audio, RATE_HZ) is audio


def test_noise_that_is_not_everywhere_is_no_steady_noise() -> None:
    """Silence that somebody put around a recording, with a noise of its own; however long it is."""
    clean = speech_like() + white(45, 3 * RATE_HZ)
    for seconds in (0.5, 5.0, 60.0):
        added = white(15, round(seconds * RATE_HZ), 1)
        audio = torch.cat([added, clean, added])
        assert without_noise(audio, RATE_HZ) is audio


def test_the_ratio_does_not_depend_on_how_much_of_the_noise_there_is() -> None:
    clean = speech_like()
    noisy, added = clean + white(14, len(clean)), white(14, 20 * RATE_HZ, 1)
    around = torch.cat([added, noisy, added])
    assert signal_to_noise_db(around, RATE_HZ) == pytest.approx(signal_to_noise_db(noisy, RATE_HZ), abs=1.5)


def test_what_is_too_short_to_tell_is_left_as_it_is() -> None:
    for n in (0, 1, 100, RATE_HZ // 4):
        audio = white(0, n)
        assert without_noise(audio, RATE_HZ) is audio


def test_pauses_become_quieter_and_speech_stays() -> None:
    clean = speech_like()
    noisy = clean + white(10, len(clean))
    found = without_noise(noisy, RATE_HZ)
    assert found.shape == noisy.shape
    pause = slice(round(0.6 * RATE_HZ), round(0.9 * RATE_HZ))
    tone = slice(round(1.1 * RATE_HZ), round(1.4 * RATE_HZ))
    assert rms(found[pause]) < 0.4 * rms(noisy[pause])
    assert rms(found[tone] - clean[tone]) < 0.5 * rms(noisy[tone] - clean[tone])


def test_nothing_moves_in_time() -> None:
    clean = speech_like()
    found = without_noise(clean + white(10, len(clean)), RATE_HZ)
    lags = range(-40, 41)
    likeness = [float((torch.roll(found, lag) * clean).sum()) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0


def test_the_less_noise_the_less_is_taken_off() -> None:
    taken = []
    for level_db in (12.0, 17.0, 19.0, 21.0, 30.0):
        noisy = speech_like() + white(level_db, 3 * RATE_HZ)
        taken.append(rms(noisy - without_noise(noisy, RATE_HZ)) / rms(white(level_db, 3 * RATE_HZ)))
    assert (np.diff(taken) < 0).all()
    assert taken[-1] == 0


def test_long_recordings_are_done_in_parts_and_keep_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_STRETCH_S", 1.0)
    noisy = speech_like(5.3) + white(10, round(5.3 * RATE_HZ))
    found = without_noise(noisy, RATE_HZ)
    assert found.shape == noisy.shape
    pause = slice(round(4.6 * RATE_HZ), round(4.9 * RATE_HZ))
    assert rms(found[pause]) < 0.4 * rms(noisy[pause])
