"""How loud the audio is, a value a millisecond: where speech begins and ends next to a pause.

N samples, P loudness values.
"""

import torch
from torch import Tensor

STEP_S = 0.001  # a tenth of the frames of the search
_WINDOW_S = 0.010  # a period of the lowest voices
_PRE_EMPHASIS = 0.97  # without it a hiss is drowned by hum; the usual value of speech front ends
# The quietest and loudest parts: single clicks and single gaps do not count.
_QUIETEST, _LOUDEST = 0.05, 0.95


def loudness_db(audio: Tensor, sample_rate_hz: int) -> Tensor:
    """Power in dB in a Hann window of 10 ms around each millisecond, float32 `[P]`.

    Args:
        audio: `[N]`.
        sample_rate_hz: Of the audio.
    """
    step = max(1, round(sample_rate_hz * STEP_S))
    half = round(sample_rate_hz * _WINDOW_S / 2)
    emphasised = torch.cat([audio[:1], audio[1:] - _PRE_EMPHASIS * audio[:-1]]).float()
    window = torch.hann_window(2 * half + 1, periodic=False, device=audio.device)
    power = torch.nn.functional.conv1d(
        emphasised.square()[None, None], (window / window.sum())[None, None], stride=step, padding=half
    )[0, 0]
    return 10 * torch.log10(power + 1e-9)  # digital silence is -90 dB


def threshold_db(loudness: Tensor, fraction: float) -> float:
    """The level a `fraction` of the way from the utterance's quietest parts to its loudest.

    Args:
        loudness: `[P]`, in dB.
        fraction: 0 for the quietest, 1 for the loudest.
    """
    quantiles = torch.tensor([_QUIETEST, _LOUDEST], device=loudness.device)
    low, high = torch.quantile(loudness, quantiles).tolist()
    return low + fraction * (high - low)
