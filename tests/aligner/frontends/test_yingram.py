"""Yingram against its definition, computed lag by lag."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from aligner.alignment import FrameRule
from aligner.frontends import Mel
from aligner.frontends.yingram import PRESETS, Yingram, normalised_difference

RATE = 22050


def definition(audio: np.ndarray, frontend: Yingram) -> np.ndarray:
    """The docstring of `Yingram`, word for word, in float64."""
    s = frontend.settings
    between_hops = s.frame_rule == "same"
    left = (s.window_samples - s.hop_samples) // 2 if between_hops else s.window_samples // 2
    padded = np.pad(audio.astype(np.float64), (left, s.window_samples), mode="reflect")
    floor = 2 * s.window_samples * s.noise_floor**2
    rows = []
    for t in range(frontend.frame_count(len(audio))):
        x = padded[t * s.hop_samples :][: s.window_samples]
        d = [0.0]
        normalised = [1.0]
        for tau in range(1, frontend.lags):
            d.append(np.sum((x[: s.window_samples - tau] - x[tau:]) ** 2) + floor)
            normalised.append(d[tau] * tau / (np.sum(d[1:]) + 1e-8))
        row = []
        for i in range(s.bins):
            lag = s.sample_rate_hz / (s.low_hz * 2 ** (i / s.bins_per_octave))
            below = int(lag)
            row.append(normalised[below] * (1 - lag + below) + normalised[below + 1] * (lag - below))
        rows.append(row)
    return np.array(rows)


def one(frontend: Yingram, audio: np.ndarray) -> np.ndarray:
    return frontend(torch.from_numpy(audio)[None], torch.tensor([len(audio)]))[0][0].numpy()


def voice(n_samples: int, offset: float = 0.0) -> np.ndarray:
    """A vowel-like sound of 110 Hz with some noise."""
    time_s = np.arange(n_samples) / RATE
    partials = sum(np.sin(2 * np.pi * 110 * k * time_s + k) / k for k in range(1, 20))
    noise = np.random.default_rng(0).standard_normal(n_samples)
    return (0.05 * partials + 0.002 * noise + offset).astype(np.float32)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("frame_rule", ["same", "center"])
def test_equals_its_definition(preset: str, frame_rule: FrameRule) -> None:
    frontend = Yingram(preset, frame_rule=frame_rule)
    audio = voice(2500)
    np.testing.assert_allclose(one(frontend, audio), definition(audio, frontend), atol=1e-5, rtol=0)


@pytest.mark.parametrize("audio", [voice(1500, offset=0.1), 1e-3 * voice(1500), 15 * voice(1500), voice(300)])
def test_equals_its_definition_quiet_loud_short_and_offset(audio: np.ndarray) -> None:
    frontend = Yingram()
    np.testing.assert_allclose(one(frontend, audio), definition(audio, frontend), atol=1e-5, rtol=0)


def test_equals_the_published_formula_on_speech(speech_data: Path) -> None:
    audio, rate = soundfile.read(next((speech_data / "ljspeech-sample").rglob("*0001.flac")), dtype="float32")
    assert rate == RATE
    frontend = Yingram("pits", noise_floor=0.0)
    audio = audio[30000:34000]
    np.testing.assert_allclose(one(frontend, audio), definition(audio, frontend), atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset", PRESETS)
def test_silence_tends_to_1(preset: str) -> None:
    frontend = Yingram(preset)
    digital = one(frontend, np.zeros(8000, np.float32))
    np.testing.assert_allclose(digital, 1, atol=5e-4)  # the published 1e-8 in the denominator is what is left
    hum = voice(8000)
    distances = [abs(one(frontend, (a * hum).astype(np.float32)) - 1).mean() for a in (1, 1e-2, 1e-3, 1e-4)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0.2
    assert distances[-1] < 5e-3


@pytest.mark.parametrize("hz", [80, 123.4, 300])
def test_a_tone_repeats_after_its_period_first(hz: float) -> None:
    frontend = Yingram("pits")
    row = one(frontend, (0.1 * np.sin(2 * np.pi * hz * np.arange(8000) / RATE)).astype(np.float32))[15]
    channels_hz = np.array([float(name.split()[1]) for name in frontend.channel_names])
    dips = [i for i in range(1, 79) if row[i] < min(row[i - 1], row[i + 1], 0.1)]
    assert channels_hz[dips[-1]] == pytest.approx(hz, rel=2 ** (1 / 48) - 1 + 0.01)


@pytest.mark.parametrize("frame_rule", ["same", "center", "center_drop_last"])
def test_frames_are_centred_where_a_mels_are(frame_rule: FrameRule) -> None:
    mel = Mel("hifigan", frame_rule=frame_rule)
    yingram = Yingram("pits", frame_rule=frame_rule)
    assert [mel.grid.centre_s(t) for t in range(5)] == [yingram.grid.centre_s(t) for t in range(5)]
    assert mel.frame_count(12345) == yingram.frame_count(12345)
    frame = 20
    centre = round(yingram.grid.centre_s(frame) * RATE)
    audio = np.random.default_rng(0).standard_normal(12000).astype(np.float32) * 0.1
    audio[centre - 1024 : centre + 1024] = np.sin(2 * np.pi * 220 * np.arange(2048) / RATE)
    tone = yingram.channel_names.index(
        min(yingram.channel_names, key=lambda n: abs(float(n.split()[1]) - 220))
    )
    assert one(yingram, audio)[:, tone].argmin() == frame


def test_gradients_are_right() -> None:
    frames = torch.randn(2, 64, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: normalised_difference(x, 20, 0.01), (frames,))
    audio = torch.from_numpy(voice(3000))[None].requires_grad_()
    Yingram()(audio, torch.tensor([3000]))[0].sum().backward()
    assert torch.isfinite(audio.grad).all()
    assert audio.grad.abs().max() > 0
    silence = torch.zeros(1, 3000, requires_grad=True)
    Yingram()(silence, torch.tensor([3000]))[0].sum().backward()
    assert torch.isfinite(silence.grad).all()


def test_presets_have_the_published_lags() -> None:
    shortest_and_longest = {
        name: (RATE / (s.low_hz * 2 ** ((s.bins - 1) / s.bins_per_octave)), RATE / s.low_hz)
        for name, s in PRESETS.items()
    }
    assert shortest_and_longest["pits"] == pytest.approx((43.4, 424.7), abs=0.1)
    assert shortest_and_longest["nansy-midi"] == pytest.approx((21.07, 2020.5), abs=0.1)
    assert shortest_and_longest["nansy"] == pytest.approx((RATE / 430, RATE / 25.11), rel=2e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "nansi"},
        {"bins": 2000},
        {"low_hz": 5.0},
        {"hop_samples": 4096},
        {"noise_floor": -0.5},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Yingram(**wrong)
