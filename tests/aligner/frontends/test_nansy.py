"""NANSY-like features against the frontends they are made of."""

import pytest
import torch
from sounds import noise

from aligner.frontends import Combine, Energy, Mel, Nansy, Yingram


def test_nansy_is_made_of_its_parts() -> None:
    nansy = Nansy(22050, 256, mels=40, cepstra=13, deltas=1)
    parts = [Mel("hifigan", mels=40, cepstra=13, deltas=1), Yingram("pits"), Energy()]
    audio, lengths = noise()
    torch.testing.assert_close(nansy(audio, lengths)[0], Combine(parts)(audio, lengths)[0])
    assert Nansy(16000, 80, yingram="", energy=False).channels == 60
    coarse = Nansy(cepstra=13, mels=20, deltas=0, log_mels=True, yingram_bins_per_octave=4)
    assert coarse.channel_names[:14] == Mel("hifigan", mels=20, cepstra=13, log_mels=True).channel_names[:14]
    assert coarse.channel_names[33:-1] == Yingram("pits", bins=14, bins_per_octave=4).channel_names
    with pytest.raises(ValueError, match="'pit'"):
        Nansy(yingram="pit")
