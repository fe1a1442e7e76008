"""Information perturbation changes the voice and leaves the times."""

from pathlib import Path

import numpy as np
import pytest
import torch

from aligner.frontends import Mel
from aligner.training.voice_perturbation import Perturbation, change_voice, equalise, pitch_periods

RATE = 22050


def vowel(
    hz: np.ndarray | float, seconds: float = 1.0, formants_hz: tuple[float, ...] = (700.0, 1200.0, 2600.0)
) -> torch.Tensor:
    """Pulses at `hz` (a number, or one a sample) through three resonances."""
    n = int(seconds * RATE)
    phase = np.cumsum(np.broadcast_to(hz, n) / RATE)
    pulses = np.diff(np.floor(phase), prepend=0)
    sound = torch.from_numpy(pulses)
    for formant_hz in formants_hz:
        radius, angle = np.exp(-np.pi * 90 / RATE), 2 * np.pi * formant_hz / RATE
        a = torch.tensor([1, -2 * radius * np.cos(angle), radius**2], dtype=torch.float64)
        sound = _filter(sound, a)
    return (0.3 * sound / sound.abs().max()).float()


def _filter(sound: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    from torchaudio.functional import lfilter

    return lfilter(sound, a, torch.tensor([1.0, 0, 0], dtype=torch.float64), clamp=False)


def pitch_hz(audio: torch.Tensor) -> np.ndarray:
    period = pitch_periods(audio, RATE)[20:-20]
    assert (period > 0).mean() > 0.9
    return RATE / period[period > 0]


def first_formant_hz(audio: torch.Tensor) -> float:
    """The peak of the smoothed spectrum below 1.05 kHz."""
    power = np.abs(np.fft.rfft(audio.numpy())) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / RATE)
    smooth = np.convolve(power, np.hanning(250), "same")
    return hz[(hz > 300) & (hz < 1050)][smooth[(hz > 300) & (hz < 1050)].argmax()]


@pytest.mark.parametrize("hz", [90, 133.3, 240])
def test_pitch_is_found(hz: float) -> None:
    assert np.median(pitch_hz(vowel(hz))) == pytest.approx(hz, rel=0.005)
    assert (pitch_periods(torch.zeros(5000), RATE) == 0).all()
    noise = 0.1 * torch.randn(22050, generator=torch.Generator().manual_seed(0))
    assert (pitch_periods(noise, RATE) > 0).mean() < 0.05


@pytest.mark.parametrize("ratio", [0.6, 1.5, 1.9])
def test_pitch_moves_and_formants_stay(ratio: float) -> None:
    audio = vowel(150)
    changed = change_voice(audio, RATE, pitch_ratio=ratio)
    assert np.median(pitch_hz(changed)) == pytest.approx(150 * ratio, rel=0.02)
    # a formant shows at a partial, so to half the distance between two
    assert first_formant_hz(changed) == pytest.approx(first_formant_hz(audio), abs=75 * max(ratio, 1))


@pytest.mark.parametrize("ratio", [1 / 1.4, 1.3])
def test_formants_move_and_pitch_stays(ratio: float) -> None:
    audio = vowel(100)
    changed = change_voice(audio, RATE, formant_ratio=ratio)
    assert np.median(pitch_hz(changed)) == pytest.approx(100, rel=0.02)
    assert first_formant_hz(changed) == pytest.approx(700 * ratio, rel=0.1)


def test_pitch_range_widens_about_the_median() -> None:
    contour = 150 * 2 ** (0.2 * np.sin(2 * np.pi * np.arange(RATE) / RATE))
    before, after = (
        np.log2(pitch_hz(a)) for a in (vowel(contour), change_voice(vowel(contour), RATE, 1, 1, 1.5))
    )
    assert np.ptp(after) == pytest.approx(1.5 * np.ptp(before), rel=0.1)
    assert np.median(after) == pytest.approx(np.median(before), abs=0.05)


def test_nothing_moves_in_time() -> None:
    """Sounds and pauses start and end where they did, to a half period."""
    audio = torch.cat(
        [torch.zeros(3000), vowel(120, 0.3), torch.zeros(4000), vowel(180, 0.2), torch.zeros(2000)]
    )
    noise = 0.05 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
    audio[4000 + 6615 : 6000 + 6615] = noise
    for seed in range(6):
        changed = Perturbation()(audio, RATE, torch.Generator().manual_seed(seed))
        assert changed.shape == audio.shape
        assert changed.dtype == torch.float32
        for sound in (audio, changed):
            loud = torch.nn.functional.avg_pool1d(sound.abs()[None], 64, 64)[0] > 0.01 * sound.abs().max()
            edges = np.flatnonzero(np.diff(loud.numpy().astype(int))) * 64
            long = np.flatnonzero(np.diff(edges, prepend=-9999) > 900)
            assert abs(edges[long[0]] - 3000) < 200
            assert abs(edges - (3000 + 6615 + 4000)).min() < 200


def test_the_equaliser_stays_within_its_range_and_is_random() -> None:
    click = torch.zeros(8192)
    click[4000] = 1
    responses = []
    for seed in range(5):
        out = equalise(click, RATE, 12.0, torch.Generator().manual_seed(seed))
        responses.append(20 * torch.fft.rfft(out).abs().clamp(min=1e-6).log10())
    spread = torch.stack(responses)
    assert spread.abs().max() < 40
    assert spread.std(0).mean() > 2
    torch.testing.assert_close(equalise(click, RATE, 0.0), click, atol=1e-5, rtol=0)


def test_a_generator_repeats_and_ranges_of_1_change_nothing() -> None:
    audio = vowel(140, 0.5)
    first, second = (Perturbation()(audio, RATE, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Perturbation()(audio, RATE, torch.Generator().manual_seed(4)))
    unchanged = Perturbation(1, 1, 1, 0)(audio, RATE)
    mel = Mel("hifigan")
    before, after = (mel(a[None], torch.tensor([len(a)]))[0][0, 5:-5] for a in (audio, unchanged))
    assert (before - after).abs().mean() < 0.2
    with pytest.raises(ValueError, match="at least 1"):
        Perturbation(formant_ratio=0.7)


@pytest.mark.parametrize("audio", [torch.zeros(1), torch.zeros(4000), torch.full((50,), 0.5)])
def test_silence_and_snippets_pass(audio: torch.Tensor) -> None:
    assert torch.isfinite(Perturbation()(audio, RATE)).all()


def test_real_speech_keeps_its_times(speech_data: Path) -> None:
    import soundfile

    path = next((speech_data / "ljspeech-sample").rglob("*0002.flac"))
    audio = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    changed = Perturbation()(audio, RATE, torch.Generator().manual_seed(0))
    level, other = (
        torch.nn.functional.avg_pool1d(a.abs()[None], 441)[0].clamp(min=1e-3).log() for a in (audio, changed)
    )
    lags = range(-5, 6)
    likeness = [np.corrcoef(level[5:-5], other.roll(-lag)[5:-5])[0, 1] for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0
    assert max(likeness) > 0.8
