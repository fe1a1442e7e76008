"""The constant-Q transform against librosa's."""

import librosa
import numpy as np
import pytest
import torch
from sounds import noise

from aligner.alignment import FrameRule
from aligner.frontends import Cqt


@pytest.mark.parametrize("frame_rule", ["center", "same"])
def test_cqt_is_librosas_and_centred_as_other_frontends(frame_rule: FrameRule) -> None:
    cqt = Cqt(low_hz=65.4, bins=96, frame_rule=frame_rule)
    audio, _ = noise(20000)
    features = cqt(audio[:1], torch.tensor([20000]))[0][0].exp()
    if frame_rule == "center":
        expected = abs(
            librosa.cqt(audio[0].numpy(), sr=22050, hop_length=256, fmin=65.4, n_bins=96, bins_per_octave=24)
        )
        np.testing.assert_allclose(features, np.maximum(expected.T, 1e-5), rtol=1e-5)
    click = torch.zeros(1, 20000)
    click[0, round(cqt.grid.centre_s(40) * 22050)] = 1
    assert cqt(click, torch.tensor([20000]))[0][0, :, -1].argmax() == 40
