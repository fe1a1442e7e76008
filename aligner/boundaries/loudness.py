"""How loud the audio is, a value a millisecond: where speech begins and ends next to a pause.

N samples, P loudness values.
"""

import torch
from torch import Tensor

STEP_S = 0.001
_WINDOW_S = 0.010
_PRE_EMPHASIS = 0.97  # without it a hiss is drowned by hum


def loudness_db(audio: Tensor, sample_rate_hz: int) -> Tensor:
    """Power of audio `[N]` in dB, in a Hann window of 10 ms around each millisecond: `[P]`, float32."""
    step = max(1, round(sample_rate_hz * STEP_S))
    half = round(sample_rate_hz * _WINDOW_S / 2)
    emphasised = torch.cat([audio[:1], audio[1:] - _PRE_EMPHASIS * audio[:-1]]).float()
    window = torch.hann_window(2 * half + 1, periodic=False, device=audio.device)
    power = torch.nn.functional.conv1d(
        emphasised.square()[None, None], (window / window.sum())[None, None], stride=step, padding=half
    )[0, 0]
    return 10 * torch.log10(power + 1e-9)


def threshold_db(loudness: Tensor, fraction: float) -> float:
    """The level a `fraction` of the way from this utterance's quietest parts to its loudest."""
    low, high = torch.quantile(loudness, torch.tensor([0.05, 0.95], device=loudness.device)).tolist()
    return low + fraction * (high - low)
