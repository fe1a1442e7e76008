"""Voice perturbation, an augmentation for training: the same words at the same times in another voice.

Pitch tracking (YIN) and resynthesis (overlap-add) are written here by hand because parselmouth (Praat), which
NANSY uses for both, is GPL and this package is MIT.

N samples, on the CPU.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
import torch
import torchaudio.functional as AF
from numpy.typing import NDArray
from torch import Tensor

from aligner.frontends.yingram import normalised_difference
from aligner.training.augmentation import Augmentation

Signal = NDArray[np.float64]

_FRAME_S = 0.005  # between two measurements of pitch; has nothing to do with a frontend's frames
_LOWEST_HZ, _HIGHEST_HZ = 75.0, 600.0  # Praat's default pitch floor and ceiling
_PERIODIC = 0.2  # YIN's d' below which a lag counts as a period (0.1 in the paper)
_UNVOICED_PERIOD_S = 0.01  # between two grains where there is no pitch
_QUIET = 1e-3  # rms (60 dB below full scale) below which there is no pitch to look for
_NOISE_FLOOR = 1e-4  # as in `frontends.Yingram`
_HEADROOM = 1e-9  # torchaudio's filters clip at 1, and the equaliser's ten may add up to 120 dB


@dataclass(frozen=True)
class Perturbation(Augmentation):
    """Random changes of formants, pitch, pitch range and equalisation, drawn anew for each recording.

    A ratio is drawn from 1 to the number given and inverted half of the time. The defaults are NANSY's.

    Args:
        formant_ratio: The most that formants are multiplied by, at least 1 (no change).
        pitch_ratio: The most that the median pitch is multiplied by, at least 1.
        pitch_range_ratio: The most that the spread of pitch about its median, in octaves, is multiplied by,
            at least 1.
        equaliser_db: The most that each of the equaliser's ten filters adds or takes, see `equalise`.

    Source:
        Choi et al., NANSY (2021), information perturbation.
    """

    formant_ratio: float = 1.4
    pitch_ratio: float = 2.0
    pitch_range_ratio: float = 1.5
    equaliser_db: float = 12.0

    def __post_init__(self) -> None:
        if min(self.formant_ratio, self.pitch_ratio, self.pitch_range_ratio) < 1:
            raise ValueError(
                "formant_ratio, pitch_ratio and pitch_range_ratio must be at least 1 (no change)"
            )
        if self.equaliser_db < 0:
            raise ValueError(f"equaliser_db is {self.equaliser_db}: must be at least 0 (no change)")

    def __call__(
        self, audio: Tensor, sample_rate_hz: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """As of every augmentation: the recording in another voice, its level as it is."""

        def ratio(largest: float) -> float:
            drawn = 1 + (largest - 1) * torch.rand((), generator=generator).item()
            return 1 / drawn if torch.rand((), generator=generator) < 0.5 else drawn

        changed = change_voice(
            audio,
            sample_rate_hz,
            ratio(self.formant_ratio),
            ratio(self.pitch_ratio),
            ratio(self.pitch_range_ratio),
        )
        changed = equalise(changed, sample_rate_hz, self.equaliser_db, generator)
        level = changed.square().mean().sqrt()
        return changed * (audio.square().mean().sqrt() / level) if level > 0 else changed


def equalise(
    audio: Tensor, sample_rate_hz: int, most_db: float, generator: torch.Generator | None = None
) -> Tensor:
    """A recording through a random parametric equaliser, `[N]`.

    A low shelf, eight peaks and a high shelf, evenly spaced in octaves from 60 Hz to 10 kHz (or 0.45 of the
    sample rate), Q 2 to 5.

    Args:
        audio: `[N]`.
        sample_rate_hz: Its sample rate.
        most_db: The most that each filter adds or takes.
        generator: Draws gains and Qs; torch's own without one.

    Source:
        Choi et al., NANSY (2021): its parametric equaliser (PEQ).
    """

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=generator).item()

    sound = audio.double() * _HEADROOM
    top_hz = min(10000.0, 0.45 * sample_rate_hz)
    for i in range(10):
        hz = 60 * (top_hz / 60) ** (i / 9)
        gain_db, q = uniform(-most_db, most_db), 2 * 2.5 ** uniform(0, 1)
        if i == 0:
            sound = AF.bass_biquad(sound, sample_rate_hz, gain_db, hz, q)
        elif i == 9:
            sound = AF.treble_biquad(sound, sample_rate_hz, gain_db, hz, q)
        else:
            sound = AF.equalizer_biquad(sound, sample_rate_hz, hz, gain_db, q)
    return (sound / _HEADROOM).float()


def change_voice(
    audio: Tensor,
    sample_rate_hz: int,
    formant_ratio: float = 1.0,
    pitch_ratio: float = 1.0,
    pitch_range_ratio: float = 1.0,
) -> Tensor:
    """A recording with other formants and another pitch, `[N]`.

    Pitch-synchronous overlap-add: grains of two periods around each pulse are set down at the periods asked
    for, and stretched in themselves for the formants. Nothing moves in time by more than half a period.

    Args:
        audio: `[N]`.
        sample_rate_hz: Its sample rate.
        formant_ratio: What formants are multiplied by.
        pitch_ratio: What the median pitch is multiplied by.
        pitch_range_ratio: What the spread of pitch about its median, in octaves, is multiplied by.
    """
    sound = audio.detach().cpu().double().numpy()
    period = pitch_periods(audio, sample_rate_hz)
    voiced = period > 0
    unvoiced_period = _UNVOICED_PERIOD_S * sample_rate_hz
    old = np.where(voiced, period, unvoiced_period)
    new = old.copy()
    if voiced.any():
        middle = np.exp(np.median(np.log(period[voiced])))
        new[voiced] = middle / pitch_ratio * (period[voiced] / middle) ** pitch_range_ratio
    new = np.clip(new, sample_rate_hz / (2 * _HIGHEST_HZ), 2 * sample_rate_hz / _LOWEST_HZ)
    hop = _FRAME_S * sample_rate_hz
    pulses = _pulses(sound, old, voiced, hop)
    changed = _overlap_add(sound, old, voiced, new, pulses, hop, formant_ratio)
    return torch.from_numpy(changed).to(audio)


@numba.njit
def _overlap_add(sound, period, voiced, new_period, pulses, hop, formant_ratio):  # type: ignore[no-untyped-def]
    """Grains of two periods set down a new period apart."""
    result, weight = np.zeros_like(sound), np.zeros_like(sound)
    nearest = 0
    at = 0.0
    while at < len(sound):
        frame = min(int(at / hop), len(period) - 1)
        middle = round(at)
        source = middle
        if voiced[frame]:
            while nearest + 1 < len(pulses) and abs(pulses[nearest + 1] - at) < abs(pulses[nearest] - at):
                nearest += 1
            source = pulses[nearest]
        width = math.ceil(period[frame] / formant_ratio)
        for offset in range(max(-width, -middle), min(width + 1, len(sound) - middle)):
            window = 0.5 + 0.5 * math.cos(math.pi * offset / (width + 1))
            weight[middle + offset] += window
            place = source + offset * formant_ratio
            if 0 <= place <= len(sound) - 1:
                below = int(place)
                above = min(below + 1, len(sound) - 1)
                value = sound[below] + (place - below) * (sound[above] - sound[below])
                result[middle + offset] += window * value
        at += new_period[frame]
    return result / np.maximum(weight, 1.0)  # where grains lie closer than they are wide; gaps stay gaps


def pitch_periods(audio: Tensor, sample_rate_hz: int) -> Signal:
    """The period of the voice in samples every 5 ms, 0 where there is none.

    Args:
        audio: `[N]`.
        sample_rate_hz: Its sample rate.

    Source:
        de Cheveigne and Kawahara, YIN (2002).
    """
    lags = int(sample_rate_hz / _LOWEST_HZ) + 2
    window = 2 * lags
    hop = _FRAME_S * sample_rate_hz
    count = max(1, int(len(audio) / hop))
    starts = (torch.arange(count) * hop).round().long()
    padded = torch.nn.functional.pad(audio.detach().cpu().float(), (window // 2, window))
    frames = padded[starts[:, None] + torch.arange(window)]
    normalised = normalised_difference(frames, lags, _NOISE_FLOOR).numpy()
    loud = frames.square().mean(-1).sqrt().numpy() > _QUIET
    return _first_dips(normalised, loud, int(sample_rate_hz / _HIGHEST_HZ))


@numba.njit
def _first_dips(curves, loud, first):  # type: ignore[no-untyped-def]
    """Of each curve of d' the lag of the first dip at or after lag `first`, 0 where there is none."""
    period = np.zeros(len(curves))
    last = curves.shape[1] - 1
    for t in np.flatnonzero(loud):
        curve = curves[t]
        lag = first
        while lag < last and curve[lag] >= _PERIODIC:
            lag += 1
        if lag == last:
            continue
        while lag + 1 < last and curve[lag + 1] < curve[lag]:
            lag += 1
        bend = curve[lag - 1] - 2 * curve[lag] + curve[lag + 1]
        period[t] = lag + (0.5 * (curve[lag - 1] - curve[lag + 1]) / bend if bend > 0 else 0)
    return period


def _pulses(sound: Signal, period: Signal, voiced: NDArray[np.bool_], hop: float) -> NDArray[np.int64]:
    """The samples of greatest amplitude, one a period, through each voiced stretch."""
    pulses: list[int] = []
    at = 0.0
    fresh = True
    while at < len(sound):
        frame = min(int(at / hop), len(period) - 1)
        length = period[frame]
        if voiced[frame]:
            reach = length / 2 if fresh else length / 5
            low, high = max(0, round(at - reach)), min(len(sound), round(at + reach) + 1)
            at = low + int(np.abs(sound[low:high]).argmax())
            if not pulses or at > pulses[-1]:
                pulses.append(int(at))
            at = max(at, pulses[-1])
        fresh = not voiced[frame]
        at += max(1.0, length)
    return np.array(pulses or [0])
