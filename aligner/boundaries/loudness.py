"""How loud the audio is, a value a millisecond: where speech begins and ends next to a pause.

B batch, N samples, P loudness values, F packed frames.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.ragged import Indices, rows_of, starts_of

STEP_S = 0.001  # a tenth of the frames of the search
_WINDOW_S = 0.010  # a period of the lowest voices
_PRE_EMPHASIS = 0.97  # without it a hiss is drowned by hum; the usual value of speech front ends
# The quietest and loudest parts: single clicks and single gaps do not count.
_QUIETEST, _LOUDEST = 0.05, 0.95
_QUIET_IN_PAUSE = 0.2
_FURTHER_DB = 1024.0  # levels are between -90 dB and that of samples of 4 (`corpus.recording`)
_DEEPEST_DB = 50.0  # recordings with less noise sound no different from digital silence


@dataclass(frozen=True)
class Levels:
    """How loud B utterances are.

    Args:
        level_db: Loudness `[B, P]`, one value a millisecond.
        n_values: `[B]`, how many of them each utterance has.
        quiet_db: `[B]`, the level of the quiet parts of each utterance (`typical_levels_db`).
        loud_db: `[B]`, that of the loud parts.
    """

    level_db: NDArray[np.float32]
    n_values: Indices
    quiet_db: NDArray[np.float64]
    loud_db: NDArray[np.float64]


def milliseconds(time_s: NDArray[np.float64]) -> Indices:
    """The place of times among values a millisecond."""
    return np.round(time_s / STEP_S).astype(np.int64)


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


def without_surplus(
    loudness: Tensor, n_values: Tensor, surplus: Tensor, n_frames: Tensor, hop_s: float
) -> Tensor:
    """Which values lie inside their utterance and in no surplus silence, bool `[B, P]`.

    Args:
        loudness: `[B, P]`.
        n_values: `[B]`, values of each utterance, on the host.
        surplus: Bool `[F]`, the frames of surplus silence, of one utterance after the other.
        n_frames: `[B]`, frames of each utterance.
        hop_s: Seconds from one frame to the next.
    """
    device = loudness.device
    value = torch.arange(loudness.shape[1], device=device)
    lengths = n_frames.to(device)[:, None]
    frame = torch.minimum((value * (STEP_S / hop_s)).long(), lengths - 1)
    return (value < n_values.to(device)[:, None]) & ~surplus[frame + lengths.cumsum(0) - lengths]


def typical_levels_db(loudness: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """The levels of the quiet and of the loud parts of B utterances, `[B, 1]` each.

    Args:
        loudness: `[B, P]` or, a value a frame, `[B, S]`, in dB.
        counted: Which of them count, bool.
    """
    quantiles = torch.tensor([_QUIETEST, _LOUDEST], device=loudness.device)
    quiet_db, loud_db = torch.nanquantile(
        loudness.masked_fill(~counted, torch.nan), quantiles, 1, keepdim=True
    )
    return torch.maximum(quiet_db, loud_db - _DEEPEST_DB), loud_db


def pause_levels_db(pause_db: NDArray[np.float32], lengths: Indices) -> NDArray[np.float64]:
    """The level of each of n pauses, `[n]`: low, since one that was found too long has some speech in it.

    Args:
        pause_db: Levels in the pauses, one after the other.
        lengths: `[n]`, how many levels each pause has, at least 1.
    """
    # Sorted at once: no level comes near that of the next pause, and doubles keep all digits of both.
    ordered = pause_db[np.argsort(pause_db + _FURTHER_DB * rows_of(lengths))]
    place = _QUIET_IN_PAUSE * (lengths - 1)
    below = starts_of(lengths) + place.astype(np.int64)
    above = np.minimum(below + 1, np.cumsum(lengths) - 1)
    return ordered[below] + (place % 1) * (ordered[above] - ordered[below])
