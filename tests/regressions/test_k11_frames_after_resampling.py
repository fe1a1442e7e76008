"""K11: durations sum to the frames that a consumer counts after it has resampled the recording itself."""

import itertools
import math

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from aligner.alignment import Alignment, FrameGrid, FrameRule

RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
PAIRS = list(itertools.permutations(RATES_HZ, 2))
HOP = 256
# The field report's, the shortest, ends of hops, and primes.
LENGTHS = (80062, 1, 255, 256, 257, 3, 12800, 7919, 20011, 39989)


def frames_of(samples: int, rule: FrameRule) -> int:
    """As `torch.stft` and librosa count them, centred; and what HiFi-GAN's padding leaves."""
    return samples // HOP + (rule == "center")


def whole(samples: int, rate_hz: int) -> Alignment:
    duration_s = samples / rate_hz
    return Alignment.from_boundaries("u", ["a"], [0], ["a"], [0, duration_s], duration_s)


@pytest.mark.parametrize("rule", ["center", "center_drop_last", "same"])
def test_the_reported_recording(rule: FrameRule) -> None:
    durations = whole(80062, 16000).durations(HOP, 22050, frame_rule=rule)
    assert durations.sum() == {"center": 432, "center_drop_last": 431, "same": 431}[rule]


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_frames_are_those_of_the_resampled_recording(from_hz: int, to_hz: int) -> None:
    for samples in LENGTHS:
        audio = np.zeros(samples, np.float32)
        by_librosa = len(librosa.resample(audio, orig_sr=from_hz, target_sr=to_hz, res_type="soxr_qq"))
        by_torchaudio = torchaudio.functional.resample(
            torch.from_numpy(audio), from_hz, to_hz, lowpass_filter_width=1
        ).shape[0]
        exact = -(-samples * to_hz // from_hz)
        # librosa multiplies in float64: what should be a whole number may be a bit more, and is rounded up.
        rounded_up = samples * to_hz % from_hz == 0 and samples * (to_hz / from_hz) > exact
        assert by_librosa == exact + rounded_up
        # torchaudio divides and then rounds up in float32.
        single = math.ceil(float(np.float32(samples * to_hz / from_hz)))
        assert by_torchaudio == single
        for rule in ("center", "center_drop_last", "same"):
            if frames_of(exact, rule) < 1:
                continue
            durations = whole(samples, from_hz).durations(HOP, to_hz, frame_rule=rule)
            assert durations.sum() == frames_of(exact, rule)
            if not rounded_up:
                assert durations.sum() == frames_of(by_librosa, rule)
            if single == exact:
                assert durations.sum() == frames_of(by_torchaudio, rule)


def test_counts_are_exact_for_any_length_and_rates() -> None:
    draw = np.random.default_rng(0)
    for from_hz, to_hz in PAIRS:
        for samples in map(int, draw.integers(1, 600 * from_hz, 200)):
            grid = FrameGrid(HOP, to_hz, "center")
            assert grid.sample_count(samples / from_hz) == -(-samples * to_hz // from_hz)
            assert grid.sample_count(round(samples / from_hz, 9)) == -(-samples * to_hz // from_hz)


def test_without_resampling_the_samples_are_the_recordings_own() -> None:
    for rate_hz in RATES_HZ:
        for samples in range(1, 4000, 7):
            assert FrameGrid(HOP, rate_hz, "same").sample_count(samples / rate_hz) == samples
