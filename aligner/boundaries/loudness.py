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


def loudness_db(audio: Tensor, audio_lengths: Tensor, sample_rate_hz: int) -> tuple[Tensor, Tensor]:
    """Power in dB in a Hann window of 10 ms around each millisecond, float32.

    Args:
        audio: `[B, N]`. Samples beyond a length may hold anything.
        audio_lengths: `[B]`, samples of each utterance.
        sample_rate_hz: Of the audio.

    Returns:
        `[B, P]`, and how many of these values each utterance has, `[B]`, on the host.
    """
    step = max(1, round(sample_rate_hz * STEP_S))
    half = round(sample_rate_hz * _WINDOW_S / 2)
    n_values = (audio_lengths.cpu() - 1).div(step, rounding_mode="floor") + 1
    power = audio.float().clone()
    power[:, 1:] -= _PRE_EMPHASIS * audio[:, :-1]
    sample = torch.arange(audio.shape[1], device=audio.device)
    power = power.square_().masked_fill_(sample >= audio_lengths.to(audio.device)[:, None], 0.0)
    window = torch.hann_window(2 * half + 1, periodic=False, device=audio.device)
    power = torch.nn.functional.conv1d(
        power[:, None], (window / window.sum())[None, None], stride=step, padding=half
    )[:, 0]
    return power.add_(1e-9).log10_().mul_(10), n_values  # digital silence is -90 dB


def threshold_db(loudness: Tensor, n_values: Tensor, fraction: float) -> Tensor:
    """The level a `fraction` of the way from each utterance's quietest parts to its loudest, `[B]`.

    Args:
        loudness: `[B, P]`, in dB.
        n_values: `[B]`, values of each utterance.
        fraction: 0 for the quietest, 1 for the loudest.
    """
    quantiles = torch.tensor([_QUIETEST, _LOUDEST], device=loudness.device)
    own = loudness.masked_fill(~_inside(loudness, n_values), torch.nan)
    low, high = torch.nanquantile(own, quantiles, 1)
    return low + fraction * (high - low)


def quiet_parts(loudness: Tensor, n_values: Tensor, fraction: float) -> Tensor:
    """Where it is below that level, `[B, P]`; false after an utterance's end. Arguments of `threshold_db`."""
    return _inside(loudness, n_values) & (loudness < threshold_db(loudness, n_values, fraction)[:, None])


def _inside(loudness: Tensor, n_values: Tensor) -> Tensor:
    return torch.arange(loudness.shape[1], device=loudness.device) < n_values.to(loudness.device)[:, None]
