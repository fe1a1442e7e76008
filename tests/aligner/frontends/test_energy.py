"""Energy against librosa's rms."""

import librosa
import numpy as np
import pytest
import torch
from sounds import noise

from aligner.frontends import Energy


def test_energy_is_the_level_of_the_frame() -> None:
    energy = Energy(window_samples=1024)
    audio = torch.full((1, 8000), 0.25)
    audio[0, 4000:] = 0
    features = energy(audio, torch.tensor([8000]))[0][0, :, 0]
    torch.testing.assert_close(features[5], torch.tensor(0.25).log())
    assert features[-3] == pytest.approx(np.log(1e-5))


def test_energy_is_librosas_rms() -> None:
    audio, lengths = noise(11000)
    features = Energy(window_samples=1024, frame_rule="center")(audio[:1], lengths[:1])[0][0, :, 0]
    rms = librosa.feature.rms(y=audio[0].numpy(), frame_length=1024, hop_length=256, pad_mode="reflect")[0]
    np.testing.assert_allclose(features, np.log(rms), atol=1e-5)
