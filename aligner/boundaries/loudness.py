"""How loud the audio is, a value a millisecond: where speech begins and ends next to a pause.

B batch, N samples, P loudness values, F packed frames.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.ragged import Indices, rows_of, starts_of

STEP_S = 0.001  # a tenth of the frames of the search
_WINDOW_S = 0.010  # a period of the lowest voices
_PRE_EMPHASIS = 0.97  # without it a hiss is drowned by hum; the usual value of speech front ends
# A pause that was found too long has some speech in it. Of the speech, clicks do not count.
_QUIETEST, _LOUDEST = 0.2, 0.92
_DEEPEST_DB = 50.0  # recordings with less noise sound no different from digital silence


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


def loud_part_db(
    loudness: Tensor, n_values: Tensor, spoken: Tensor, n_frames: Tensor, hop_s: float
) -> NDArray[np.float64]:
    """How loud the loud parts of each utterance's speech are, `[B]`.

    Args:
        loudness: `[B, P]`, in dB.
        n_values: `[B]`, values of each utterance, on the host.
        spoken: Bool `[F]`, the frames that are speech (`SpeechActivity`), of one utterance after the other.
        n_frames: `[B]`, frames of each utterance.
        hop_s: Seconds from one frame to the next.
    """
    device = loudness.device
    value = torch.arange(loudness.shape[1], device=device)
    inside = value < n_values.to(device)[:, None]
    lengths = n_frames.to(device)[:, None]
    frame = torch.minimum((value * (STEP_S / hop_s)).long(), lengths - 1)
    speech = inside & spoken[frame + lengths.cumsum(0) - lengths]
    speech = torch.where(speech.any(1, keepdim=True), speech, inside)
    return torch.nanquantile(loudness.masked_fill(~speech, torch.nan), _LOUDEST, 1).double().cpu().numpy()


def threshold_db(
    pause_db: NDArray[np.float32], lengths: Indices, speech_db: NDArray[np.float64], fraction: float
) -> NDArray[np.float64]:
    """The level a `fraction` of the way from a pause to the speech, `[n]`.

    Args:
        pause_db: Levels in n pauses, one after the other.
        lengths: `[n]`, how many levels each pause has, at least 1.
        speech_db: `[n]`, of the speech around each.
        fraction: 0 for the pause's level, 1 for the speech's.
    """
    ordered = pause_db[np.lexsort((pause_db, rows_of(lengths)))]
    place = _QUIETEST * (lengths - 1)
    below = starts_of(lengths) + place.astype(np.int64)
    above = np.minimum(below + 1, np.cumsum(lengths) - 1)
    quiet_db = ordered[below] + (place % 1) * (ordered[above] - ordered[below])
    low_db = np.maximum(quiet_db, speech_db - _DEEPEST_DB)
    return low_db + fraction * (speech_db - low_db)


def quantile_threshold_db(loudness: Tensor, counted: Tensor, fraction: float) -> Tensor:
    """The level a `fraction` of the way from the quietest parts to the loudest, where nothing else is known.

    Args:
        loudness: Levels in dB of B utterances, `[B, S]`.
        counted: Which of them count, bool `[B, S]`: those that are no surplus silence.
        fraction: 0 for the quietest, 1 for the loudest.

    Returns:
        `[B, 1]`.
    """
    quantiles = torch.tensor([0.05, 0.95], device=loudness.device)
    low_db, high_db = torch.nanquantile(loudness.masked_fill(~counted, torch.nan), quantiles, 1, keepdim=True)
    low_db = torch.maximum(low_db, high_db - _DEEPEST_DB)
    return low_db + fraction * (high_db - low_db)
