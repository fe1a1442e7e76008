"""Mel against librosa and torchaudio, computed live."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.fft
import soundfile
import torch
import torchaudio

from aligner.alignment import FrameRule
from aligner.frontends.mel import PRESETS, Mel, add_deltas, mel_filterbank

TOLERANCE = 1e-5


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def one(frontend: Mel, audio: np.ndarray) -> np.ndarray:
    features, lengths = frontend(torch.from_numpy(audio)[None], torch.tensor([len(audio)]))
    assert features.shape == (1, lengths[0], frontend.channels)
    return features[0].numpy()


def librosa_log_mel(audio: np.ndarray, frontend: Mel) -> np.ndarray:
    s = frontend.settings
    common = {"n_fft": s.n_fft, "hop_length": s.hop_samples, "win_length": s.window_samples}
    n_samples = len(audio)
    if s.frame_rule == "same":
        left = (s.n_fft - s.hop_samples) // 2
        audio = np.pad(audio, (left, s.n_fft - s.hop_samples - left), mode="reflect")
    mel = librosa.feature.melspectrogram(
        y=audio,
        sr=s.sample_rate_hz,
        n_mels=s.mels,
        fmin=s.fmin_hz,
        fmax=s.fmax_hz,
        power=s.power,
        center=s.frame_rule != "same",
        pad_mode="reflect",
        **common,
    )
    return np.log(np.maximum(mel, s.floor)).T[: frontend.frame_count(n_samples)]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "bands", [{}, {"mels": 23}, {"fmin_hz": 0.0}, {"fmin_hz": 1200.0, "mels": 17}, {"n_fft": 2048}]
)
def test_the_filterbank_is_librosas_to_the_last_bit(preset: str, bands: dict[str, Any]) -> None:
    s = replace(PRESETS[preset], **bands)
    expected = librosa.filters.mel(
        sr=s.sample_rate_hz, n_fft=s.n_fft, n_mels=s.mels, fmin=s.fmin_hz, fmax=s.fmax_hz, dtype=np.float64
    )
    np.testing.assert_array_equal(mel_filterbank(s).numpy(), expected.T.astype(np.float32))


@pytest.mark.filterwarnings("ignore:n_fft=.* is too large for input signal:UserWarning")  # librosa's
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("n_samples", [11025, 11024, 300])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_log_mel_is_librosas(preset: str, n_samples: int, power: float) -> None:
    frontend = Mel(preset, power=power, cepstra=0, deltas=0)
    audio = noise(n_samples)
    expected = librosa_log_mel(audio, frontend)
    assert len(expected) == frontend.frame_count(n_samples)
    np.testing.assert_allclose(one(frontend, audio), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("rule", ["same", "center", "center_drop_last"])
@pytest.mark.parametrize("hop", [80, 81, 160])
def test_free_settings_are_librosas(rule: FrameRule, hop: int) -> None:
    frontend = Mel(
        sample_rate_hz=16000, n_fft=400, window_samples=320, hop_samples=hop, mels=40, frame_rule=rule
    )
    audio = noise(16001)
    np.testing.assert_allclose(one(frontend, audio), librosa_log_mel(audio, frontend), atol=TOLERANCE, rtol=0)


def test_real_speech_is_librosas(speech_data: Path) -> None:
    audio, rate = soundfile.read(next((speech_data / "ljspeech-sample").rglob("*0001.flac")), dtype="float32")
    frontend = Mel("hifigan")
    assert rate == frontend.sample_rate_hz
    np.testing.assert_allclose(one(frontend, audio), librosa_log_mel(audio, frontend), atol=TOLERANCE, rtol=0)


def test_log_mel_is_torchaudios() -> None:  # whose filterbank is exact to 7e-8 only: this noise is kind to it
    frontend = Mel("tacotron2")
    audio = noise(20000)
    transform = torchaudio.transforms.MelSpectrogram(
        22050,
        1024,
        hop_length=256,
        f_min=0,
        f_max=8000,
        n_mels=80,
        power=1.0,
        norm="slaney",
        mel_scale="slaney",
    )
    expected = transform(torch.from_numpy(audio)).clamp(min=1e-5).log().T
    np.testing.assert_allclose(one(frontend, audio), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("preset", "n_samples", "frames"),
    [
        ("hifigan", 255, 0),
        ("hifigan", 256, 1),
        ("hifigan", 511, 1),
        ("tacotron2", 255, 1),
        ("fastspeech2", 512, 3),
    ],
)
def test_each_preset_counts_frames_as_its_project(preset: str, n_samples: int, frames: int) -> None:
    frontend = Mel(preset)
    assert frontend.frame_count(n_samples) == frames
    assert frontend.frame_count(torch.tensor([n_samples])).tolist() == [frames]
    assert one(frontend, noise(n_samples)).shape == (frames, 80)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_click_is_loudest_in_the_frame_centred_on_it(preset: str) -> None:
    frontend = Mel(preset, floor=1e-9, cepstra=0, deltas=0)
    for frame in (0, 7, 20):
        audio = np.zeros(30 * frontend.hop_samples, np.float32)
        audio[round(frontend.grid.centre_s(frame) * frontend.sample_rate_hz)] = 1.0
        assert one(frontend, audio).sum(1).argmax() == frame


@pytest.mark.parametrize("lifter", [0.0, 22.0])
def test_cepstra_are_a_liftered_dct(lifter: float) -> None:
    audio = noise(8000)
    settings: dict[str, Any] = {"sample_rate_hz": 16000, "n_fft": 512, "window_samples": 400}
    settings |= {"hop_samples": 80, "mels": 40}
    log_mel = one(Mel(**settings), audio)
    expected = scipy.fft.dct(log_mel.astype(np.float64), norm="ortho")[:, :13]
    if lifter:
        expected *= torchaudio.compliance.kaldi._get_lifter_coeffs(13, lifter).numpy()
    actual = one(Mel(**settings, cepstra=13, lifter=lifter), audio)
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE * (1 + lifter / 2), rtol=0)


def test_log_mels_stand_beside_the_cepstra_each_with_deltas() -> None:
    settings: dict[str, Any] = {"preset": "16k-10ms", "mels": 20, "deltas": 1}
    both = Mel(**settings, cepstra=5, log_mels=True)
    audio = noise(8000)
    found = dict(zip(both.channel_names, one(both, audio).T, strict=True))
    assert len(found) == both.channels == 2 * (5 + 20)
    for alone in (Mel(**settings, cepstra=5), Mel(**settings)):
        for name, channel in zip(alone.channel_names, one(alone, audio).T, strict=True):
            np.testing.assert_array_equal(found[name], channel)


def test_cepstra_are_librosas() -> None:
    audio = noise(8000)
    expected = librosa.feature.mfcc(S=one(Mel("16k-10ms"), audio).T.astype(np.float64), n_mfcc=20).T
    actual = one(Mel("16k-10ms", cepstra=20, lifter=0), audio)
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_deltas_are_the_regression_with_repeated_edges(width: int) -> None:
    x = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)

    def derivative(values: np.ndarray) -> np.ndarray:
        total = np.zeros_like(values)
        for t in range(len(values)):
            for j in range(1, width + 1):
                total[t] += j * (values[min(t + j, len(values) - 1)] - values[max(t - j, 0)])
        return total / (2 * sum(j * j for j in range(1, width + 1)))

    batch = torch.full((1, 14, 3), 1e6)  # padding must not leak in
    batch[0, :9] = torch.from_numpy(x)
    actual = add_deltas(batch, torch.tensor([9]), 2, width)[0, :9]
    first = derivative(x)
    np.testing.assert_allclose(actual, np.concatenate([x, first, derivative(first)], 1), atol=1e-6, rtol=0)


def test_mfcc_with_deltas_at_5_ms_names_channels_and_centres() -> None:
    frontend = Mel("16k-10ms", hop_samples=80, cepstra=13, deltas=2)
    assert frontend.channel_names[0::13] == ("c0", "delta c0", "delta2 c0")
    assert one(frontend, noise(16000)).shape == (200, 39)
    assert frontend.grid.centre_s(0) == 0.0025
    assert frontend.grid.centre_s(0.5) == 0.005


def test_mel_channels_are_named_after_their_frequency() -> None:
    frontend = Mel("hifigan")
    for channel in (5, 40, 79):
        hz = float(frontend.channel_names[channel].split()[1])
        tone = np.sin(2 * np.pi * hz * np.arange(11025) / 22050).astype(np.float32)
        assert one(frontend, tone)[20].argmax() == channel


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "hifi-gan"},
        {"n_fft": 128},
        {"fmax_hz": 12000.0},
        {"hop_samples": 0},
        {"cepstra": 81},
        {"deltas": 3},
        {"floor": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values()))).replace(".0", "")):
        Mel(**wrong)
