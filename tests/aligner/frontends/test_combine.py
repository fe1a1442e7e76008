"""Several frontends side by side."""

from typing import Any

import pytest
import torch
from sounds import noise

from aligner.frontends import Combine, Mel, Yingram


def test_parts_stand_side_by_side_each_as_it_is_alone() -> None:
    mel, yingram = Mel("hifigan"), Yingram("pits")
    both = Combine([Mel("hifigan"), Yingram("pits")])
    audio, lengths = noise()
    for frontend in (mel, yingram, both):
        frontend.fit_normalisation(
            batch for batch in [(audio, lengths)]
        )  # a generator: gone through once only
    expected = torch.cat([mel(audio, lengths)[0], yingram(audio, lengths)[0]], -1)
    features, _ = both(audio, lengths)
    torch.testing.assert_close(features, expected, rtol=0, atol=0)
    assert both.channel_names == mel.channel_names + yingram.channel_names
    assert both.grid == mel.grid


@pytest.mark.parametrize("other", [{"hop_samples": 128}, {"frame_rule": "center"}, {"sample_rate_hz": 24000}])
def test_parts_with_other_frames_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="different frames"):
        Combine([Mel("hifigan"), Yingram("pits", **other)])
